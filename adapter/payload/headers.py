"""Header rules: which headers are forwarded, which are legal, and how JSON maps become pairs and back.

Headers are pairs in order, repeats kept. A front door's JSON has them in a single-value map, in a multi-value map or in
both; the functions here turn either into pairs. Every invocation passes through this module, so a check looks at all
names, or all values, in one C call and only a failed check looks for the culprit.
"""

from __future__ import annotations

from itertools import product

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any, TypeAlias

    from adapter.errors import AdapterError

    Headers: TypeAlias = list[tuple[str, str]]

#: Headers that mean the connection they came over (RFC 9110 section 7.6.1, RFC 9112 section 9), in lower case.
HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authentication-info",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)

#: What is never forwarded in either direction: whoever writes the next message sets its own framing.
NOT_FORWARDED = HOP_BY_HOP | {"content-length"}

#: ``tchar`` of RFC 9110 section 5.6.2.
_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: Bytes of a field value, as UTF-8: no control byte but HTAB, no DEL.
_VALUE = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))

#: How much of an illegal value a message quotes, in characters.
_GLIMPSE = 40


def with_twins(names: Iterable[str]) -> frozenset[str]:
    """``names`` with every spelling that has ``_`` for some ``-``.

    CGI and WSGI give ``x-a-b`` and ``x_a-b`` the same variable, so that a twin could stand in for a name of ours.
    """
    twins = set()
    for name in names:
        first, *rest = name.split("-")
        for separators in product("-_", repeat=len(rest)):
            twins.add(first + "".join(map("".join, zip(separators, rest, strict=True))))
    return frozenset(twins)


#: Headers that only the adapter may set: an app takes them for Lambda's word.
_IDENTITY = ("x-amzn-request-context", "x-amzn-lambda-context", "x-amz-tenant-id")

#: What is never forwarded to the app. The interim response that ``expect`` asks for has nobody to go to, and ``proxy``
#: would name a CGI program's own HTTP proxy (CVE-2016-5385).
NOT_FOR_APP = with_twins([*NOT_FORWARDED, *_IDENTITY, "expect", "proxy"])


def forwardable(headers: Headers, dropped: frozenset[str] = NOT_FORWARDED) -> Headers:
    """``headers`` without those in ``dropped`` (lower case) and those that any Connection header nominates.

    Host cannot be nominated: it says whose request this is.
    """
    kept: Headers = []
    nominated: set[str] = set()
    for header in headers:
        name = header[0].lower()
        if name not in dropped:
            kept.append(header)
        if name == "connection":
            nominated.update([option.strip().lower() for option in header[1].split(",")])
    nominated.discard("host")
    if nominated:
        return [header for header in kept if header[0].lower() not in nominated]
    return kept


def first(headers: Headers, name: str) -> str:
    """The first value of ``name`` (lower case), or the empty text."""
    for field, value in headers:
        if field.lower() == name:
            return value
    return ""


def first_values(headers: Headers) -> dict[str, str]:
    """The first value of every name (lower case), for whoever asks for several."""
    return {name.lower(): value for name, value in reversed(headers)}


def check(names: Collection[Any], values: Collection[Any], failure: type[AdapterError]) -> None:
    """Raises ``failure`` unless every name is a token and every value is legal text."""
    try:
        legal = not (
            "".join(names).encode().translate(None, _TOKEN) or "".join(values).encode().translate(None, _VALUE)
        )
    except (TypeError, UnicodeEncodeError):
        legal = False
    if not legal or "" in names:
        raise failure(_fault(names, values))


def is_token(text: object) -> bool:
    """Whether ``text`` is an RFC 9110 token, as a header name or a method must be."""
    return isinstance(text, str) and text != "" and not text.encode(errors="replace").translate(None, _TOKEN)


def is_value(text: str) -> bool:
    """Whether ``text`` is a field value that no reader can take for the end of it."""
    return not text.encode(errors="replace").translate(None, _VALUE)


def glimpse(value: object) -> str:
    """``value`` for a message, its beginning alone where it is long: a message stays one short line."""
    shown = repr(value[:_GLIMPSE] if isinstance(value, str) else value)[: _GLIMPSE + 2]
    return f"{shown}…" if isinstance(value, str) and len(value) > _GLIMPSE else shown


def _fault(names: Iterable[object], values: Iterable[object]) -> str:
    """What is wrong in headers that failed the check. Values are secrets often enough, so none is shown."""
    for name in names:
        if not is_token(name):
            return f"{glimpse(name)} is not a header name"
    kinds = {type(value).__name__ for value in values if not isinstance(value, str)}
    if kinds:
        return f"a header value is of type {kinds.pop()}, not a string"
    return "a header value contains a control character or a lone surrogate"


def from_map(values: Any, failure: type[AdapterError]) -> Headers:
    """The pairs of a single-value map; null is no headers. Raises ``failure`` for anything else."""
    if values is None:
        return []
    if not isinstance(values, dict):
        raise failure(f"headers are of type {type(values).__name__}, not an object")
    check(values, values.values(), failure)
    return list(values.items())


def from_lists(values: Any, failure: type[AdapterError]) -> Headers:
    """The pairs of a multi-value map; a plain string counts as a list of one. Raises ``failure`` for anything else."""
    if values is None:
        return []
    if not isinstance(values, dict):
        raise failure(f"multi-value headers are of type {type(values).__name__}, not an object")
    headers: list[Any] = []
    for name, items in values.items():
        if isinstance(items, list):
            headers.extend([(name, item) for item in items])
        else:
            headers.append((name, items))
    check(values, [value for _, value in headers], failure)
    return headers


def from_both(single: Any, multi: Any, failure: type[AdapterError]) -> Headers:
    """The pairs of both maps: a name in the multi-value map is taken from there alone, whatever its case."""
    headers = from_lists(multi, failure)
    if single is None or (isinstance(single, dict) and multi and single.keys() <= multi.keys()):
        return headers
    named = {name.lower() for name, _ in headers}
    return headers + [header for header in from_map(single, failure) if header[0].lower() not in named]


def joined(headers: Headers) -> tuple[dict[str, str], list[str]]:
    """A response's headers as a single-value map with lower-case names, and its Set-Cookie values apart.

    Repeats are joined with a comma. Set-Cookie never is: it is the one header that a comma breaks (RFC 6265 section 3).
    """
    single: dict[str, str] = {}
    cookies: list[str] = []
    for name, value in headers:
        lower = name.lower()
        if lower in single:
            single[lower] = f"{single[lower]}, {value}"
        elif lower == "set-cookie":
            cookies.append(value)
        else:
            single[lower] = value
    return single, cookies


def request_map(headers: Headers) -> dict[str, str]:
    """A request's headers as the single-value map of an event: lower-case names, repeats joined as AWS joins them.

    That is a comma without a space, but cookies are one Cookie header (RFC 6265 section 5.4), absent without any.
    """
    single = {name: ",".join(values) for name, values in listed(headers).items() if name != "cookie"}
    if cookies := cookies_of(headers):
        single["cookie"] = "; ".join(cookies)
    return single


def cookies_of(headers: Headers) -> list[str]:
    """Every cookie, ``name=value``, of every Cookie header."""
    return [
        cookie.strip()
        for name, value in headers
        if name.lower() == "cookie"
        for cookie in value.split(";")
        if cookie.strip()
    ]


def listed(headers: Headers) -> dict[str, list[str]]:
    """A multi-value map with lower-case names."""
    lists: dict[str, list[str]] = {}
    for name, value in headers:
        lists.setdefault(name.lower(), []).append(value)
    return lists


def last_values(headers: Headers) -> dict[str, str]:
    """A single-value map with lower-case names, for front doors with no room for two cookies: the last one survives."""
    single, cookies = joined(headers)
    if cookies:
        single["set-cookie"] = cookies[-1]
    return single
