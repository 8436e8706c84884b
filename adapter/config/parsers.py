"""The parsers of option values. Each parser converts the string that a user gives to the option's value.

A parser raises ValueError if the string is not valid. The error's message completes the sentence ``NAME: 'string' …``.
The whole sentence shows the option, the string and valid values.
"""

from __future__ import annotations

from adapter.aws.limits import (
    LAMBDA_BANDWIDTH,
    MANAGED_INSTANCES_TIMEOUT_LIMIT,
    MAX_BANDWIDTH,
    MAX_CONCURRENCY,
    MAX_MEMORY,
    MIN_BANDWIDTH,
    MIN_MEMORY,
    STREAM_LIMIT,
    STREAM_LIMIT_UNTIL_2025,
    Bandwidth,
)
from adapter.net.address import LAST_PORT, Address
from adapter.numbers import LONGEST_WAIT, decimal, whole_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Generic as Generic
    from typing import TypeVar

    T = TypeVar("T")
    T_co = TypeVar("T_co", covariant=True)
else:

    class Generic:
        """Replaces typing.Generic. Importing typing would take a third as long as the start of the interpreter."""

        def __class_getitem__(cls, parameters):
            return cls

    T = T_co = None

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_SIZE_UNITS = {"": 1, "b": 1}
for _power, _letter in enumerate("kmg", 1):
    _SIZE_UNITS |= dict.fromkeys((_letter, f"{_letter}b", f"{_letter}ib"), 1024**_power)
# The largest number before the unit in the text of a size.
_MAX_SIZE = 10**12
#: The value of the stream limit ``none``.
NO_LIMIT = 0
#: The front doors of the local Lambda.
FRONT_DOORS = ("function-url", "http-api", "rest-api", "alb", "alb-multi-value", "lattice", "lattice-v1")
# Other names of front doors, each with the names that this program uses.
_CALLED = {
    **dict.fromkeys(("apigateway", "apigw", "gateway", "api"), "http-api or rest-api"),
    **dict.fromkeys(("apigatewayv2", "http"), "http-api"),
    **dict.fromkeys(("apigatewayv1", "rest"), "rest-api"),
    **dict.fromkeys(("elb", "elbv2", "loadbalancer", "applicationloadbalancer"), "alb or alb-multi-value"),
    **dict.fromkeys(("url", "lambdaurl", "functionurl", "furl"), "function-url"),
    **dict.fromkeys(("vpclattice", "vpc"), "lattice"),
}
# The minimum similarity, as difflib measures it, of a text and the name that the user meant. "dve" is similar enough to
# "dev"; "nope" is not similar enough to "invoke".
_LEAST_SIMILARITY = 0.65
_STREAM_LIMIT_PRESETS = {"20mb": STREAM_LIMIT_UNTIL_2025, "200mb": STREAM_LIMIT, "none": NO_LIMIT}


class Parser(Generic[T_co]):
    """Turns the string that a user gives for an option into the option's value.

    In ``--help`` and the docs, ``metavar`` stands for the string. ``repair`` gets a string that only the Rust adapter
    accepts, and returns a similar string that this parser accepts.
    """

    def __init__(self, parse: Callable[[str], T_co], metavar: str, repair: Callable[[str], str] | None = None) -> None:
        self._parse = parse
        self.metavar = metavar
        self.repair = repair

    def __call__(self, text: str) -> T_co:
        """Return the value that ``text`` means. Raises ValueError if ``text`` is not valid."""
        return self._parse(text)


def parser(metavar: str, repair: Callable[[str], str] | None = None) -> Callable[[Callable[[str], T]], Parser[T]]:
    """Return a decorator that turns a function into a parser with ``metavar`` and ``repair``."""
    return lambda parse: Parser(parse, metavar, repair)


def nearest(text: str, known: Iterable[str], shown_as: Mapping[str, str] | None = None) -> str:
    """Return a hint with the name in ``known`` that is most similar to ``text``, or "" if no name is similar.

    ``shown_as`` maps names in ``known`` to the names that the hint shows instead.
    """
    from difflib import get_close_matches  # only a mistake needs it

    matches = get_close_matches(text, known, n=1, cutoff=_LEAST_SIMILARITY)
    return f"; did you mean {(shown_as or {}).get(matches[0], matches[0])}?" if matches else ""


def nearest_door(text: str, known: Iterable[str]) -> str:
    """Return a hint with the front doors that are also called ``text``, or else with the most similar name."""
    called = _CALLED.get("".join(filter(str.isalnum, text.lower())))
    return f"; did you mean {called}?" if called else nearest(text, known)


def text(metavar: str) -> Parser[str]:
    """Return a parser that accepts any string."""
    return Parser(str, metavar)


def choice(*choices: str) -> Parser[str]:
    """Return a parser that accepts one of ``choices``, in upper or lower case, and returns it in lower case."""

    def parse(value: str) -> str:
        if value.lower() not in choices:
            raise ValueError(f"is not one of {', '.join(choices)}")
        return value.lower()

    return Parser(parse, "|".join(choices))


def _whole_number(metavar: str, low: int, high: int, refusal: str) -> Parser[int]:
    """Return a parser of whole numbers from ``low`` to ``high``. ``refusal`` is the message for any other string."""

    def parse(value: str) -> int:
        number = whole_number(value, high)
        # Zero must be written as a single digit.
        if number is None or number < low or (number == 0 and value != "0"):
            raise ValueError(refusal)
        return number

    return Parser(parse, metavar)


def _listed(value: str) -> list[str]:
    """Split ``value`` at commas. Return the parts that are not empty, without surrounding spaces."""
    return list(filter(None, map(str.strip, value.split(","))))


_PORT_REFUSAL = f"is not a port; use a number from 1 to {LAST_PORT}"
#: Parses a TCP port.
port = _whole_number("PORT", 1, LAST_PORT, _PORT_REFUSAL)
#: The values for any free port, and for the port on which the app actually listens.
ANY_PORT, FOLLOWED_PORT = 0, -1
_PORT_OR_ANY = _whole_number("PORT", ANY_PORT, LAST_PORT, f"{_PORT_REFUSAL}, 0 for any free port, or auto")


@parser("PORT|auto")
def app_port(value: str) -> int:
    """Parse the app's port: a TCP port, ``0`` (ANY_PORT) or ``auto`` (FOLLOWED_PORT)."""
    return FOLLOWED_PORT if value.lower() == "auto" else _PORT_OR_ANY(value)


#: Parses a TCP port to listen on; 0 lets the system choose a free one.
listen_port = _whole_number("PORT", 0, LAST_PORT, f"{_PORT_REFUSAL}, or 0 for any free port")

#: Parses a whole number of at least 1.
positive_integer = _whole_number("NUMBER", 1, 999_999_999, "is not a count; use a whole number of at least 1")
#: Parses a number of slots. Lambda allows 1,600; each slot takes memory from the start.
slots = _whole_number(
    "NUMBER", 1, 10_000, "is not a number of concurrent invocations; use a whole number from 1 to 10000"
)
#: Parses a whole number of at least 0.
count = _whole_number("NUMBER", 0, 999_999_999, "is not a count; use a whole number of at least 0")

#: Parses the number of invocations that an environment can have at once, up to Lambda's maximum.
concurrency = _whole_number(
    "NUMBER",
    1,
    MAX_CONCURRENCY,
    f"is not a number of concurrent invocations; use a whole number from 1 to {MAX_CONCURRENCY}",
)
#: Parses a function's memory in MB, within Lambda's bounds.
memory = _whole_number(
    "MB",
    MIN_MEMORY,
    MAX_MEMORY,
    f"is not possible: Lambda gives a function {MIN_MEMORY} to {MAX_MEMORY} MB; use a whole number in this range",
)


def _duration(*, above_zero: bool, limit: float = LONGEST_WAIT) -> Parser[float]:
    """Return a parser of a duration in seconds, up to ``limit``. If ``above_zero`` is True, the parser refuses 0."""

    def parse(value: str) -> float:
        duration = decimal(value)
        if duration is None or duration > LONGEST_WAIT:
            raise ValueError("is not a duration; use seconds, for example 2 or 0.5")
        if duration == 0 and above_zero:
            raise ValueError("is not a duration above 0; use seconds, for example 2 or 0.5")
        if duration > limit:
            raise ValueError(f"is more than the maximum timeout of a function; use at most {limit:g} seconds")
        return duration

    return Parser(parse, "SECONDS")


#: Parses a duration in seconds of at least 0.
seconds = _duration(above_zero=False)
#: Parses a duration in seconds of more than 0.
positive_seconds = _duration(above_zero=True)
#: Parses a function's timeout in seconds, up to the maximum of Managed Instances. Lambda has no fractions of a
#: second; they are accepted for tests.
function_timeout = _duration(above_zero=True, limit=MANAGED_INSTANCES_TIMEOUT_LIMIT)


@parser("BOOL")
def boolean(value: str) -> bool:
    """Parse ``true`` or ``false`` in upper or lower case, also 1/0, yes/no and on/off."""
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise ValueError("is not a boolean; use true or false")


@parser("HOST")
def host(value: str) -> str:
    """Parse a host name or an IP address, without scheme, port or brackets."""
    if any(character in value for character in "/@[] \t") or value.count(":") == 1:
        raise ValueError("is not a host; use a name or an address, for example 127.0.0.1")
    return value


@parser("HOST:PORT")
def host_and_port(value: str) -> Address:
    """Parse ``HOST:PORT``, the form of AWS_LAMBDA_RUNTIME_API."""
    name, _, number = value.rpartition(":")
    try:
        port(number)
        if not name or "/" in name:
            raise ValueError
    except ValueError:
        raise ValueError("is not HOST:PORT; use an address such as 127.0.0.1:9001") from None
    return Address.parse(value)


@parser("[HOST:]PORT")
def listen_address(value: str) -> Address:
    """Parse ``HOST:PORT``, or ``PORT`` alone for all addresses. Port 0 means any free port."""
    name, _, number = value.rpartition(":")
    try:
        listen_port(number)
        host(name.strip("[]"))
    except ValueError:
        raise ValueError("is not an address to listen on; use one such as 127.0.0.1:9000 or 0.0.0.0:8080") from None
    return Address.parse(f"{name or '0.0.0.0'}:{number}")


@parser("[HOST:]PORT")
def loopback_address(value: str) -> Address:
    """Parse ``HOST:PORT``, or ``PORT`` alone for 127.0.0.1. Port 0 means any free port."""
    return listen_address(value if ":" in value else f"127.0.0.1:{value}")


@parser("LIST")
def networks(value: str) -> tuple[str, ...]:
    """Parse IP addresses and networks, for example ``10.0.0.0/8,127.0.0.1``; ``*`` means all."""
    from ipaddress import ip_network  # few processes need it

    found = tuple(_listed(value))
    try:
        for part in found:
            if part != "*":
                ip_network(part, strict=False)
    except ValueError:
        found = ()
    if not found:
        raise ValueError("is not a list of addresses or networks; use one such as 10.0.0.0/8,127.0.0.1")
    return found


@parser("PATH", repair="/{}".format)
def path(value: str) -> str:
    """Parse an absolute URL path, with or without a query."""
    if not value.startswith("/") or not value.isascii() or any(c in value for c in " \r\n\t#"):
        raise ValueError("is not a path; a path starts with a slash and is percent-encoded, for example /healthz")
    return value


@parser("PATH", repair="/{}".format)
def base_path(value: str) -> str:
    """Parse the prefix of a path, and return it without a trailing slash. ``/`` means no prefix."""
    return path(value).rstrip("/")


@parser("HEADER")
def header_name(value: str) -> str:
    """Parse the name of an HTTP header, and return it in lower case."""
    if not value.isascii() or not value.replace("-", "").replace("_", "").isalnum():
        raise ValueError("is not a header name; use one such as x-authorization")
    return value.lower()


def _without_bad_statuses(value: str) -> str:
    """Return only those parts of the list ``value`` that are a status or a range of statuses."""
    found = []
    for part in value.split(","):
        try:
            statuses(part)
        except ValueError:
            continue
        found.append(part.strip())
    return ",".join(found)


@parser("LIST", repair=_without_bad_statuses)
def statuses(value: str) -> frozenset[int]:
    """Parse HTTP statuses and ranges of them, for example ``500,502-504``."""
    found: set[int] = set()
    for part in value.split(","):
        low, dash, high = (piece.strip() for piece in part.partition("-"))
        high = high if dash else low
        first, last = whole_number(low, 999), whole_number(high, 999)
        if first is None or last is None or not 100 <= first <= last:
            raise ValueError("is not a list of statuses; use numbers and ranges, for example 200-399,404")
        found.update(range(first, last + 1))
    return frozenset(found)


@parser("LIST")
def media_types(value: str) -> tuple[str, ...]:
    """Parse media types, for example ``image/*,application/pdf``; ``*`` stands for any subtype."""
    found = tuple(_listed(value.lower()))
    if not found or any(part.count("/") != 1 or part.startswith(("/", "*")) or part.endswith("/") for part in found):
        raise ValueError("is not a list of media types; use one such as image/*,application/pdf")
    return found


@parser("SIZE")
def size(value: str) -> int:
    """Parse a number of bytes: ``1048576``, ``1MB``, ``512KiB``. As in AWS's limits, 1 MB is 1,024 KiB."""
    digits = value.rstrip("BKMGIbkmgi")
    unit = value[len(digits) :].lower()
    number = whole_number(digits, _MAX_SIZE)
    if number is None or unit not in _SIZE_UNITS:
        raise ValueError("is not a size; use bytes or a unit, for example 6291456, 512KB or 6MB")
    return number * _SIZE_UNITS[unit]


@parser("SIZE")
def stream_limit(value: str) -> int:
    """Parse the maximum number of bytes in a stream: a size such as ``20mb``, or ``none``, which means NO_LIMIT."""
    preset = value.lower()
    return _STREAM_LIMIT_PRESETS[preset] if preset in _STREAM_LIMIT_PRESETS else size(value)


@parser("|".join(FRONT_DOORS) + "[:PORT]")
def front_doors(value: str) -> tuple[tuple[str, int | None], ...]:
    """Parse front doors, each ``NAME`` or ``NAME:PORT``, separated by commas."""
    found = []
    known = f"use one or more of {', '.join(FRONT_DOORS)}"
    for part in _listed(value):
        name, colon, number = part.partition(":")
        if name not in FRONT_DOORS:
            what = "a front door" if name == value else f"a list of front doors, because of {name!r}"
            raise ValueError(f"is not {what}; {known}{nearest_door(name, FRONT_DOORS)}")
        try:
            found.append((name, listen_port(number) if colon else None))
        except ValueError as error:
            raise ValueError(f"is not a front door with a port: {number!r} {error}") from error
    if not found:
        raise ValueError(f"is not a front door; {known}")
    return tuple(found)


@parser("NAME")
def domain(value: str) -> str:
    """Parse a domain name, and return it in lower case."""
    labels = value.split(".")
    if len(value) > 253 or not value.isascii() or not all(_is_label(label) for label in labels):
        raise ValueError("is not a domain name; use one without scheme and port, e.g. abc.lambda-url.us-east-1.on.aws")
    return value.lower()


def _is_label(text: str) -> bool:
    return text.replace("-", "").replace("_", "").isalnum() and len(text) < 64 and "-" not in (text[0], text[-1])


@parser("PATH")
def resource(value: str) -> str:
    """Parse a resource of a REST API: a path whose segments may be parameters."""
    if not value.startswith("/") or "?" in value or value.count("{") != value.count("}"):
        raise ValueError("is not a resource; use one such as /{proxy+} or /orders/{id}")
    return value


@parser("lambda|unlimited|BURST+RATE")
def bandwidth(value: str) -> Bandwidth | None:
    """Parse ``lambda``, ``unlimited`` (None) or ``BURST+RATE`` (bytes at once, and bytes per second after that)."""
    if value.lower() == "lambda":
        return LAMBDA_BANDWIDTH
    if value.lower() == "unlimited":
        return None
    burst, plus, rate = value.partition("+")
    try:
        parsed = Bandwidth(burst=size(burst.strip()), rate=size(rate.strip()))
    except ValueError:
        parsed = None
    if not plus or parsed is None:
        raise ValueError("is not a bandwidth; use lambda, unlimited or BURST+RATE, for example 6MB+2MB")
    for amount in (parsed.burst, parsed.rate):
        if not MIN_BANDWIDTH <= amount <= MAX_BANDWIDTH:
            from adapter.quantities import size_text  # only a mistake needs it

            bounds = f"{size_text(MIN_BANDWIDTH)} to {size_text(MAX_BANDWIDTH)}"
            raise ValueError(f"is out of bounds; BURST and RATE must each be from {bounds}")
    return parsed
