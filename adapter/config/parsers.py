"""The text of an option → its value. Each parser raises ValueError whose message says what would have been right.

The messages complete the sentence "NAME: 'text' …", so that a mistake names the variable, its value and the way out.
"""

from __future__ import annotations

from adapter.aws.limits import (
    LAMBDA_BANDWIDTH,
    MAX_BANDWIDTH,
    MIN_BANDWIDTH,
    STREAM_LIMIT,
    STREAM_LIMIT_UNTIL_2025,
    Bandwidth,
)
from adapter.net.address import Address

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

_TRUE = frozenset({"true", "1", "yes", "on"})
_FALSE = frozenset({"false", "0", "no", "off"})
_SIZE_UNITS = {
    "": 1,
    "b": 1,
    "k": 1024,
    "kb": 1024,
    "kib": 1024,
    "m": 1024**2,
    "mb": 1024**2,
    "mib": 1024**2,
    "g": 1024**3,
    "gb": 1024**3,
    "gib": 1024**3,
}
#: What ``none`` stands for among stream limits.
NO_LIMIT = 0
#: The front doors of the local Lambda.
FRONT_DOORS = ("function-url", "http-api", "rest-api", "alb", "alb-multi-value", "lattice", "lattice-v1")
_STREAM_LIMIT_PRESETS = {"20mb": STREAM_LIMIT_UNTIL_2025, "200mb": STREAM_LIMIT, "none": NO_LIMIT}


def nearest(text: str, known: Iterable[str]) -> str:
    """A hint at the one of ``known`` that ``text`` is a slip of; empty where there is none."""
    from difflib import get_close_matches  # only a mistake needs it

    matches = get_close_matches(text, known, n=1)
    return f"; did you mean {matches[0]}?" if matches else ""


def text(value: str) -> str:
    """Any text, as it is."""
    return value


def boolean(value: str) -> bool:
    """``true`` or ``false``, in any case; also 1/0, yes/no, on/off."""
    if value.lower() in _TRUE:
        return True
    if value.lower() in _FALSE:
        return False
    raise ValueError("is not a switch; use true or false")


def choice(*allowed: str) -> Callable[[str], str]:
    """One of ``allowed``, in any case."""

    def parse(value: str) -> str:
        if value.lower() not in allowed:
            raise ValueError(f"is not one of {', '.join(allowed)}")
        return value.lower()

    return parse


def port(value: str) -> int:
    """A TCP port."""
    if not (value.isascii() and value.isdigit() and 1 <= int(value) <= 65535):
        raise ValueError("is not a port; use a number from 1 to 65535")
    return int(value)


def positive_integer(value: str) -> int:
    """A whole number of at least 1."""
    if not (value.isascii() and value.isdigit() and 0 < len(value) < 10 and int(value) >= 1):
        raise ValueError("is not a count; use a whole number of at least 1")
    return int(value)


def count(value: str) -> int:
    """A whole number, 0 as well."""
    return 0 if value == "0" else positive_integer(value)


def memory(value: str) -> int:
    """A function's memory in MB, within Lambda's bounds (Lambda quotas)."""
    if not (value.isascii() and value.isdigit() and 128 <= int(value[:9]) <= 10240):
        raise ValueError("is not a function's memory; use MB from 128 to 10240")
    return int(value)


def seconds(value: str) -> float:
    """A duration in seconds; fractions are allowed, 0 as well."""
    try:
        duration = float(value)
    except ValueError:
        duration = -1.0
    # An upper bound also keeps out "inf" and what no poll() accepts; a NaN fails every comparison.
    if not 0 <= duration <= 1_000_000:
        raise ValueError("is not a duration; use seconds, for example 2 or 0.5")
    return duration


def positive_seconds(value: str) -> float:
    """A duration in seconds, more than 0."""
    duration = seconds(value)
    if duration == 0:
        raise ValueError("is no time at all; use seconds above 0, for example 2 or 0.5")
    return duration


def function_timeout(value: str) -> float:
    """A function's timeout in seconds, within Lambda's bound (Lambda quotas); fractions are for tests."""
    duration = positive_seconds(value)
    if duration > 900:
        raise ValueError("is not a function's timeout; use seconds up to 900")
    return duration


def host(value: str) -> str:
    """A host name or an IP address, without scheme, port or brackets."""
    if any(character in value for character in "/@[] \t") or value.count(":") == 1:
        raise ValueError("is not a host; use a name or an address, for example 127.0.0.1")
    return value


def host_and_port(value: str) -> Address:
    """Return the address for ``HOST:PORT``, as Lambda writes it in AWS_LAMBDA_RUNTIME_API."""
    name, _, number = value.rpartition(":")
    try:
        port(number)
        if not name or "/" in name:
            raise ValueError
    except ValueError:
        raise ValueError("is not HOST:PORT, for example 127.0.0.1:9001") from None
    return Address.parse(value)


def listen_port(value: str) -> int:
    """A TCP port to listen on; 0 lets the system choose a free one."""
    if value == "0":
        return 0
    try:
        return port(value)
    except ValueError as error:
        raise ValueError(f"{error}, or 0 for any free one") from None


def listen_address(value: str) -> Address:
    """Return the address for ``HOST:PORT``, or for ``PORT`` alone: all addresses. Port 0 is any free one."""
    name, _, number = value.rpartition(":")
    try:
        listen_port(number)
        host(name.strip("[]"))
    except ValueError:
        raise ValueError("is not an address to listen on, for example 127.0.0.1:9000 or 0.0.0.0:8080") from None
    return Address.parse(f"{name or '0.0.0.0'}:{number}")


def networks(value: str) -> tuple[str, ...]:
    """IP addresses and networks: ``10.0.0.0/8,127.0.0.1``; ``*`` for all."""
    from ipaddress import ip_network  # only the proxy has such an option, and few set it

    found = tuple(part.strip() for part in value.split(",") if part.strip())
    try:
        for part in found:
            if part != "*":
                ip_network(part, strict=False)
    except ValueError:
        found = ()
    if not found:
        raise ValueError("is not a list of addresses or networks, for example 10.0.0.0/8,127.0.0.1")
    return found


def path(value: str) -> str:
    """An absolute URL path, perhaps with a query."""
    if not value.startswith("/") or not value.isascii() or any(c in value for c in " \r\n\t#"):
        raise ValueError("is not a path; it starts with a slash and is percent-encoded, for example /healthz")
    return value


def base_path(value: str) -> str:
    """A leading path without its trailing slash; ``/`` means none."""
    return path(value).rstrip("/")


def header_name(value: str) -> str:
    """The name of an HTTP header, in lower case."""
    if not value.isascii() or not value.replace("-", "").replace("_", "").isalnum():
        raise ValueError("is not a header name, for example x-authorization")
    return value.lower()


def statuses(value: str) -> frozenset[int]:
    """HTTP statuses and ranges of them: ``500,502-504``."""
    found: set[int] = set()
    for part in value.split(","):
        low, dash, high = (piece.strip() for piece in part.partition("-"))
        high = high if dash else low
        if not ((low + high).isascii() and low.isdigit() and high.isdigit() and 100 <= int(low) <= int(high) <= 999):
            raise ValueError("is not a list of statuses; use numbers and ranges, for example 200-399,404")
        found.update(range(int(low), int(high) + 1))
    return frozenset(found)


def media_types(value: str) -> tuple[str, ...]:
    """Media types, where ``*`` may stand for a subtype: ``image/*,application/pdf``."""
    found = tuple(part.strip().lower() for part in value.split(",") if part.strip())
    if not found or any(part.count("/") != 1 or part.startswith(("/", "*")) or part.endswith("/") for part in found):
        raise ValueError("is not a list of media types, for example image/*,application/pdf")
    return found


def size(value: str) -> int:
    """A number of bytes: ``1048576``, ``1MB``, ``512KiB``. As in AWS's limits, 1 MB is 1,024 KiB."""
    number = value.rstrip("BKMGIbkmgi")
    unit = value[len(number) :].lower()
    if not (number.isascii() and number.isdigit() and unit in _SIZE_UNITS):
        raise ValueError("is not a size; use bytes or a unit, for example 6291456, 512KB or 6MB")
    return int(number) * _SIZE_UNITS[unit]


def stream_limit(value: str) -> int:
    """How many body bytes a stream may have: a preset (``20mb``, ``200mb``, ``none``: NO_LIMIT) or any size."""
    preset = value.lower()
    return _STREAM_LIMIT_PRESETS[preset] if preset in _STREAM_LIMIT_PRESETS else size(value)


def front_doors(value: str) -> tuple[tuple[str, int | None], ...]:
    """Front doors, each as ``NAME`` or ``NAME:PORT``, with commas between them."""
    found = []
    for part in filter(None, map(str.strip, value.split(","))):
        name, colon, number = part.partition(":")
        if name not in FRONT_DOORS:
            raise ValueError(
                f"is not a list of front doors; use one or more of {', '.join(FRONT_DOORS)}{nearest(name, FRONT_DOORS)}"
            )
        found.append((name, listen_port(number) if colon else None))
    if not found:
        raise ValueError(f"is not a list of front doors; use one or more of {', '.join(FRONT_DOORS)}")
    return tuple(found)


def resource(value: str) -> str:
    """A resource of a REST API: a path, of which segments may be parameters."""
    if not value.startswith("/") or "?" in value or value.count("{") != value.count("}"):
        raise ValueError("is not a resource, for example /{proxy+} or /orders/{id}")
    return value


def bandwidth(value: str) -> Bandwidth | None:
    """``lambda``, ``unlimited`` or ``BURST+RATE``: bytes at once and bytes per second after that."""
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
            from adapter.aws.sizes import size_text  # only a mistake needs it

            bounds = f"{size_text(MIN_BANDWIDTH)} to {size_text(MAX_BANDWIDTH)}"
            raise ValueError(f"is out of bounds; Lambda's limiter takes {bounds} for each")
    return parsed
