"""Header rules: which headers are forwarded, which are legal, and the conversion between JSON maps and pairs.

Headers are a list of name-value pairs in order, with repeats. The JSON of a front door has them in a single-value map,
in a multi-value map or in both. Every invocation uses this module, so it must be fast: one C call checks all names, and
another one all values. Only if a check fails is the illegal header searched.
"""

from __future__ import annotations

from itertools import product

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any, TypeAlias

    from adapter.errors import AdapterError

    Headers: TypeAlias = list[tuple[str, str]]

#: Headers that are not forwarded in either direction, in lower case: headers about a single connection (RFC 9110
#: section 7.6.1, RFC 9112 section 9), and Content-Length, because the writer of the forwarded message sets it again.
NOT_FORWARDED = frozenset(
    {
        "connection",
        "content-length",
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

#: Headers that only the adapter may set. A client's own are removed, so an app can trust them.
REQUEST_CONTEXT = "x-amzn-request-context"
LAMBDA_CONTEXT = "x-amzn-lambda-context"
TENANT_ID = "x-amz-tenant-id"

#: ``tchar`` of RFC 9110 section 5.6.2.
_TOKEN = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: The legal bytes of a field value in UTF-8: all bytes except DEL and the control bytes other than HTAB.
_VALUE = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))

#: How many names differ from ``set-cookie`` only in the case of its 9 letters, itself included.
_SET_COOKIE_CASES = 2**9

#: The maximum number of characters of a value in `excerpt`.
_EXCERPT = 40


def all_spellings(names: Iterable[str]) -> frozenset[str]:
    """Return ``names`` with all variants that have ``_`` in place of one or more ``-``.

    CGI and WSGI put ``x-a-b`` and ``x_a-b`` into the same variable, so a client could forge the first
    by sending the second.
    """
    spellings = set()
    for name in names:
        first, *rest = name.split("-")
        for separators in product("-_", repeat=len(rest)):
            spellings.add(first + "".join(map("".join, zip(separators, rest, strict=True))))
    return frozenset(spellings)


#: Headers that are never forwarded to the app. ``expect`` asks for an interim response, which could not reach the
#: client. A CGI program would use the value of ``proxy`` as its own HTTP proxy (CVE-2016-5385).
NOT_FOR_APP = all_spellings([*NOT_FORWARDED, REQUEST_CONTEXT, LAMBDA_CONTEXT, TENANT_ID, "expect", "proxy"])


def forwardable(headers: Headers, dropped: frozenset[str] = NOT_FORWARDED) -> Headers:
    """Return ``headers`` without those in ``dropped`` (lower case) and without those listed in a Connection header.

    Host is kept even if it is listed there, because the server needs it to select the site.
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


def with_authorization(headers: Headers, source: str) -> Headers:
    """Return ``headers`` with the first value of ``source`` (lower case) as Authorization.

    The ``source`` header is removed, and so is an Authorization header from the client. If the ``source`` header is
    missing, ``headers`` are returned unchanged.
    """
    values = [value for name, value in headers if name.lower() == source]
    if not values:
        return headers
    others = [header for header in headers if header[0].lower() not in (source, "authorization")]
    return [*others, ("authorization", values[0])]


def first(headers: Headers, name: str) -> str:
    """Return the first value of ``name`` (lower case), or the empty string."""
    for field, value in headers:
        if field.lower() == name:
            return value
    return ""


def first_values(headers: Headers) -> dict[str, str]:
    """Return a map from each name in lower case to its first value."""
    return {name.lower(): value for name, value in reversed(headers)}


def check_headers(names: Collection[Any], values: Collection[Any], failure: type[AdapterError]) -> None:
    """Raise ``failure`` unless every name is a token and every value is legal text."""
    try:
        legal = not (
            "".join(names).encode().translate(None, _TOKEN) or "".join(values).encode().translate(None, _VALUE)
        )
    except (TypeError, UnicodeEncodeError):
        legal = False
    if not legal or "" in names:
        raise failure(_reason(names, values))


def is_token(text: object) -> bool:
    """Return whether ``text`` is a token (RFC 9110 section 5.6.2), as a header name or a method must be."""
    return isinstance(text, str) and text != "" and not text.encode(errors="replace").translate(None, _TOKEN)


def is_value(text: str) -> bool:
    """Return whether ``text`` is a legal field value, without any byte that could end the field."""
    return not text.encode(errors="replace").translate(None, _VALUE)


def excerpt(value: object) -> str:
    """Return ``repr(value)`` for a message. A long value is cut, so that the message stays one short line."""
    shown = repr(value[:_EXCERPT] if isinstance(value, str) else value)[: _EXCERPT + 2]
    return f"{shown}…" if isinstance(value, str) and len(value) > _EXCERPT else shown


def _reason(names: Iterable[object], values: Iterable[object]) -> str:
    """Return the reason why headers failed the check. Values are not quoted, since they may be secret."""
    for name in names:
        if not is_token(name):
            return f"{excerpt(name)} is not a header name"
    kinds = {type(value).__name__ for value in values if not isinstance(value, str)}
    if kinds:
        return f"a header value is of type {kinds.pop()}, not a string"
    return "a header value contains a control character or a lone surrogate"


def from_map(values: Any, failure: type[AdapterError]) -> Headers:
    """Return the pairs of a single-value map. None means no headers. Raises ``failure`` if the map is malformed."""
    if values is None:
        return []
    if not isinstance(values, dict):
        raise failure(f"headers are of type {type(values).__name__}, not an object")
    check_headers(values, values.values(), failure)
    return list(values.items())


def from_lists(values: Any, failure: type[AdapterError]) -> Headers:
    """Return the pairs of a multi-value map. None means no headers. A string value counts as a list with one item.

    Raises ``failure`` if the map is malformed.
    """
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
    check_headers(values, [value for _, value in headers], failure)
    return headers


def from_both(single: Any, multi: Any, failure: type[AdapterError]) -> Headers:
    """Return the pairs of both maps. If a name is in both (in any case), only the multi-value map counts.

    Raises ``failure`` if either map is malformed.
    """
    headers = from_lists(multi, failure)
    if single is None or (isinstance(single, dict) and multi and single.keys() <= multi.keys()):
        return headers
    named = {name.lower() for name, _ in headers}
    return headers + [header for header in from_map(single, failure) if header[0].lower() not in named]


def join_repeats(headers: Headers) -> tuple[dict[str, str], list[str]]:
    """Return a response's headers as a single-value map with lower-case names, and a list of the Set-Cookie values.

    Repeated headers are joined with a comma. Set-Cookie values are not, since they may contain a comma (RFC 6265
    section 3).
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
    """Return a request's headers as the single-value map of an event, with lower-case names.

    Like AWS, it joins repeated headers with a comma and no space. All cookies are joined in one Cookie header (RFC 6265
    section 5.4).
    """
    single = {name: ",".join(values) for name, values in group_by_name(headers).items() if name != "cookie"}
    if cookies := cookies_of(headers):
        single["cookie"] = "; ".join(cookies)
    return single


def cookies_of(headers: Headers) -> list[str]:
    """Return the cookies of all Cookie headers, each as ``name=value``."""
    return [
        cookie.strip()
        for name, value in headers
        if name.lower() == "cookie"
        for cookie in value.split(";")
        if cookie.strip()
    ]


def group_by_name(headers: Headers) -> dict[str, list[str]]:
    """Return ``headers`` as a multi-value map with lower-case names."""
    lists: dict[str, list[str]] = {}
    for name, value in headers:
        lists.setdefault(name.lower(), []).append(value)
    return lists


def single_values(headers: Headers, *, all_cookies: bool) -> dict[str, str]:
    """Return a response's headers as a single-value map with lower-case names, with only the last cookie.

    If ``all_cookies`` is True, the map has every cookie, under names that differ in case: ``set-cookie``,
    ``Set-cookie``, ``sEt-cookie`` … Only the last 512 have a name.
    """
    single, cookies = join_repeats(headers)
    if not all_cookies:
        cookies = cookies[-1:]
    for number, cookie in enumerate(cookies[-_SET_COOKIE_CASES:]):
        single[_set_cookie_in_case(number)] = cookie
    return single


def _set_cookie_in_case(number: int) -> str:
    """Return ``set-cookie`` in the case with this number: letter ``n`` is upper case if bit ``n`` is set."""
    if number == 0:
        return "set-cookie"
    letters = [letter.upper() if number >> bit & 1 else letter for bit, letter in enumerate("setcookie")]
    return f"{''.join(letters[:3])}-{''.join(letters[3:])}"
