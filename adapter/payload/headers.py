"""Header rules: which headers are forwarded, which are legal, and the conversion between JSON maps and pairs.

Headers are a list of name-value pairs in order, with repeats. The JSON of a front door contains them in a single-value
map, in a multi-value map or in both. Every invocation uses this module, so it must be fast: one C call checks all
names, and a second one checks all values. If a check fails, a slower search finds the illegal header.
"""

from __future__ import annotations

from adapter.payload.proxy_claims import (
    IDENTITY_PREFIXES,
    INTERNAL,
    INTERNAL_PREFIXES,
    ORIGIN,
    ORIGIN_PREFIXES,
    TWINS_ONLY,
    TWINS_ONLY_PREFIXES,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from typing import Any, Final, TypeAlias

    from adapter.errors import AdapterError

    Headers: TypeAlias = list[tuple[str, str]]

#: Headers that are not forwarded in either direction, in lower case. Most of them are about a single connection (RFC
#: 9110 section 7.6.1, RFC 9112 section 9). Content-Length is one of them, because the writer of the forwarded message
#: sets it again.
NOT_FORWARDED: Final = frozenset(
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

#: The maximum number of fields in a head or in trailers, of elements in a list header, of cookies, and of query
#: parameters. It applies to HTTP messages, never to Lambda's events. Peers allow 100 (Apache) to 20,000 fields. Parsed
#: fields take up to 60 times as much memory as their bytes.
MAX_FIELDS: Final = 1000

#: Headers that only the adapter may set. They are removed from the client's request, so an app can trust them.
REQUEST_CONTEXT: Final = "x-amzn-request-context"
LAMBDA_CONTEXT: Final = "x-amzn-lambda-context"
LAMBDA_EVENT: Final = "x-amzn-lambda-event"
TENANT_ID: Final = "x-amz-tenant-id"

#: ``tchar`` of RFC 9110 section 5.6.2.
_TOKEN: Final = b"!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: The legal bytes of a field value in UTF-8: all bytes except DEL and the control bytes other than HTAB.
_VALUE: Final = b"\t" + bytes(range(0x20, 0x7F)) + bytes(range(0x80, 0x100))

_HEX: Final = b"0123456789abcdefABCDEF"
#: ``reg-name`` of RFC 3986 section 3.2.2: unreserved characters, sub-delims, and the "%" of an encoded byte.
_REG_NAME: Final = b"-._~!$&'()*+,;=%0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#: A name in the DNS has at most 253 characters, and RFC 3986 section 3.2.2 names 255. A colon and a port may follow.
_LONGEST_HOST: Final = 255 + len(":65535")
#: The number of ways to write ``set-cookie``: each of its 9 letters can be upper or lower case.
_SET_COOKIE_CASES: Final = 2**9

#: The maximum number of characters of a value in `excerpt`.
_EXCERPT: Final = 40


# The actions of a filter on a header: keep it; drop it; drop the headers that it names (Connection); drop it if it is
# the twin of another header. The names of twins differ only in their separators.
_KEEP: Final = 0
_DROP: Final = 1
_CONNECTION: Final = 2
_TWIN: Final = 4
# Every further code stands for one name that a request should have only once. Servers differ in how they treat two
# lines with such a name: they use the first or the last line (Node.js and Starlette), join both (Flask), or drop both
# (waitress). The lines of all other names are forwarded as received (RFC 9110 section 5.3), because a comma in an
# unknown value may be a part of the value.
_JOINED: Final = {
    # RFC 9113 section 8.2.3, RFC 6265 section 5.4.
    "cookie": (8, "; "),
    # Lists, by their de-facto syntax and by RFC 7239 section 4.
    "x-forwarded-for": (16, ", "),
    "forwarded": (32, ", "),
}
# These headers are not lists (RFC 9110 sections 8.3 and 11.6.2), so two lines have no common meaning. A check in front
# of the adapter may have used one line and the app the other. (nginx refuses a second Authorization, and gunicorn a
# second Content-Type.) The code that writes requests (`http1.py`) refuses a second Host, and the code that parses them
# refuses a second Content-Length.
_ONLY_ONCE: Final = {"authorization": 64, "content-type": 128}
_CODES: Final = {name: code for name, (code, _) in _JOINED.items()} | _ONLY_ONCE
# Characters of a token that CGI, WSGI and other servers do not distinguish: all that are neither letter nor digit.
_FOLD: Final = str.maketrans("!#$%&'*+.^_`|~", "-" * 14)
# The maximum number of names that a filter remembers, and the maximum length of such a name, in characters.
_MAX_KNOWN_NAMES: Final = 1024
_MAX_KNOWN_LENGTH: Final = 64
# Values that are known to be legal as Host. Nearly all requests have one of a few.
_legal_hosts: Final[set[str]] = set()
_MAX_KNOWN_HOSTS: Final = 64
# Names that are known to be tokens.
_legal_names: Final[set[str]] = set()


class HeaderFilter:
    """Decides by the name of a header what `forwardable` does with the header. Each name is examined only once.

    CGI, WSGI and others put ``x-a-b``, ``x_a-b`` and ``x.a.b`` into the same variable. So a client could forge
    ``x-a-b`` by sending one of its twins, ``x_a-b`` or ``x.a.b``. A filter for requests to the app therefore also drops
    the twins of all headers that an app may trust.

    - ``known`` maps each name, spelled as it was received, to its code (``_KEEP`` …).
    - ``failure`` is raised if a header that may have only one value occurs twice, with different values.
    """

    __slots__ = ("_claims", "_kept", "_names", "_prefixes", "failure", "is_for_app", "known")

    def __init__(
        self,
        names: frozenset[str],
        prefixes: tuple[str, ...] = (),
        *,
        is_for_app: bool = True,
        kept: str = "",
        failure: type[AdapterError] | None = None,
    ) -> None:
        """Drop the headers in ``names``, and those whose name begins with one of ``prefixes``. Always keep ``kept``.

        All these names are in lower case.
        """
        self._names: Final = names
        self._prefixes: Final = prefixes
        self._kept: Final = kept
        self._claims: Final = names | ORIGIN | INTERNAL | TWINS_ONLY
        self.is_for_app: Final = is_for_app
        self.failure: Final = failure
        self.known: Final[dict[str, int]] = {}

    def code_of(self, name: str) -> int:
        """Return the code of ``name`` and remember it."""
        code = self._examine(name.lower())
        if len(name) <= _MAX_KNOWN_LENGTH:
            # Clients choose the names, so their number needs a limit.
            if len(self.known) >= _MAX_KNOWN_NAMES:
                self.known.clear()
            self.known[name] = code
        return code

    def _examine(self, name: str) -> int:
        if name == "connection":
            return _CONNECTION
        if not self.is_for_app:
            return _DROP if name in self._names else _KEEP
        if name == self._kept:
            return _CODES.get(name, _KEEP)
        folded = name.translate(_FOLD)
        if folded in self._names or folded.startswith(self._prefixes):
            return _DROP
        if folded == name:
            return _CODES.get(name, _KEEP)
        return _DROP if folded in self._claims or folded.startswith(_CLAIM_PREFIXES) else _TWIN


_CLAIM_PREFIXES = ORIGIN_PREFIXES + IDENTITY_PREFIXES + INTERNAL_PREFIXES + TWINS_ONLY_PREFIXES
_CONNECTION_ONLY: Final = HeaderFilter(NOT_FORWARDED, is_for_app=False)

#: The names that are never forwarded to the app. ``expect`` is one of them: it asks for an interim response, which
#: could not reach the client.
NEVER_FOR_APP: Final = NOT_FORWARDED | INTERNAL | {REQUEST_CONTEXT, LAMBDA_CONTEXT, LAMBDA_EVENT, TENANT_ID, "expect"}


def app_filter(
    *,
    origin: bool,
    identity: bool,
    dropped: frozenset[str] = frozenset(),
    kept: str = "",
    failure: type[AdapterError] | None = None,
) -> HeaderFilter:
    """Return a filter for requests to the app. It drops headers in ``dropped`` and in the tables of `proxy_claims.py`.

    If ``origin`` is True, headers about the origin of a request are forwarded; if ``identity`` is True, headers about
    the user are forwarded. The header ``kept`` is always forwarded, because a setting of the user selects it.
    """
    names = NEVER_FOR_APP | dropped
    prefixes: tuple[str, ...] = INTERNAL_PREFIXES
    if not origin:
        names |= ORIGIN
        prefixes += ORIGIN_PREFIXES
    if not identity:
        prefixes += IDENTITY_PREFIXES
    return HeaderFilter(names, prefixes, kept=kept, failure=failure)


def forwardable(headers: Headers, rules: HeaderFilter = _CONNECTION_ONLY) -> Headers:
    """Return the headers that ``rules`` does not drop and that no Connection header lists.

    Host is kept even if Connection lists it, because the server needs the Host to select the site. In a request to the
    app, all Cookie headers are joined into one. So are all Forwarded headers, and all X-Forwarded-For headers. Raises
    ``rules.failure`` if a header that may have only one value occurs twice, with different values.
    """
    known = rules.known
    kept: Headers = []
    connection: list[str] = []
    seen = repeated = 0
    for header in headers:
        code = known.get(header[0], -1)
        if code < 0:
            code = rules.code_of(header[0])
        if code == _KEEP:
            kept.append(header)
        elif code == _CONNECTION:
            connection.append(header[1])
        elif code != _DROP:
            kept.append(header)
            repeated |= seen & code
            seen |= code
    if connection:
        kept = _without_nominated(kept, connection)
    if seen & _TWIN:
        kept = _without_twins(kept)
    return _without_repeats(kept, repeated & ~_TWIN, rules.failure) if repeated & ~_TWIN else kept


def without_connection(headers: Headers) -> Headers:
    """Return ``headers`` without the Connection headers and without the headers that they list. Host is kept."""
    connection = [value for name, value in headers if name.lower() == "connection"]
    others = [header for header in headers if header[0].lower() != "connection"]
    return _without_nominated(others, connection)


def _without_nominated(headers: Headers, connection: list[str]) -> Headers:
    """Return ``headers`` without those named in ``connection``, the values of Connection headers. Host is kept."""
    nominated = {option.strip().lower() for value in connection for option in value.split(",")} - {"host"}
    return [header for header in headers if header[0].lower() not in nominated]


def _without_twins(headers: Headers) -> Headers:
    """Return ``headers`` without twins.

    A twin has the same name as another header, except that another character replaces a ``-``.
    """
    names = {name.lower() for name, _ in headers}
    return [header for header in headers if not _has_twin(header[0].lower(), names)]


def _has_twin(name: str, names: set[str]) -> bool:
    folded = name.translate(_FOLD)
    return folded != name and folded in names


def _without_repeats(headers: Headers, repeated: int, failure: type[AdapterError] | None) -> Headers:
    """Return ``headers`` with all lines of a repeated header merged into the first of these lines.

    The bit mask ``repeated`` contains the codes of the repeated headers. Raises ``failure`` if a header that may
    have only one value has different values.
    """
    lines: dict[str, list[str]] = {}
    once: Headers = []
    for name, value in headers:
        lower = name.lower()
        if not _CODES.get(lower, 0) & repeated:
            once.append((name, value))
        elif lower in lines:
            lines[lower].append(value)
        else:
            lines[lower] = [value]
            once.append((lower, ""))
    for lower, values in lines.items():
        if lower in _ONLY_ONCE and failure is not None and (different := len(set(values))) > 1:
            raise failure(f"the request has {different} different {lower} headers instead of one")
    return [(name, _joined(name, lines[name]) if name in lines else value) for name, value in once]


def _joined(name: str, values: list[str]) -> str:
    """Return one value with the meaning of all ``values`` of the header ``name`` (lower case)."""
    if name not in _JOINED:
        return values[0]
    separator = _JOINED[name][1]
    return separator.join(filter(None, [value.strip(separator + "\t") for value in values]))


def with_authorization(headers: Headers, source: str) -> Headers:
    """Return ``headers`` with the first value of the header ``source`` (lower case) as Authorization.

    The ``source`` header is removed, and so is an Authorization header from the client. If there is no
    ``source`` header, ``headers`` are returned unchanged.
    """
    values = [value for name, value in headers if name.lower() == source]
    if not values:
        return headers
    others = [header for header in headers if header[0].lower() not in (source, "authorization")]
    return [*others, ("authorization", values[0])]


def first(headers: Headers, name: str) -> str:
    """Return the first value of the header ``name`` (lower case), or an empty string if there is no such header."""
    for field, value in headers:
        # Comparing the lengths first takes a tenth of the time of `lower`.
        if len(field) == len(name) and field.lower() == name:
            return value
    return ""


def first_values(headers: Headers) -> dict[str, str]:
    """Return a map from each name in lower case to its first value."""
    return {name.lower(): value for name, value in reversed(headers)}


def check_headers(names: Collection[Any], values: Collection[Any], failure: type[AdapterError]) -> None:
    """Raise ``failure`` if a name is not a token, or if a value is not a legal string."""
    try:
        # Clients send the same few names again and again.
        legal = _legal_names.issuperset(names) or _are_tokens(names)
        legal = legal and not "".join(values).encode().translate(None, _VALUE)
    except (TypeError, UnicodeEncodeError):
        legal = False
    if not legal:
        raise failure(_reason(names, values))


def _are_tokens(names: Collection[str]) -> bool:
    """Return whether every name is a token. If so, remember the names."""
    if "" in names or "".join(names).encode().translate(None, _TOKEN):
        return False
    if len(_legal_names) < _MAX_KNOWN_NAMES:
        _legal_names.update([name for name in names if len(name) <= _MAX_KNOWN_LENGTH])
    return True


def is_token(text: object) -> bool:
    """Return whether ``text`` is a token (RFC 9110 section 5.6.2), as a header name or a method must be."""
    return isinstance(text, str) and text != "" and not text.encode(errors="replace").translate(None, _TOKEN)


def is_value(text: str) -> bool:
    """Return whether ``text`` is a legal field value, without any byte that could end the field."""
    return not text.encode(errors="replace").translate(None, _VALUE)


def is_host(text: str) -> bool:
    """Return whether ``text`` is a Host value: empty, or a host with an optional port (RFC 9110 section 7.2)."""
    if text in _legal_hosts:
        return True
    is_legal = len(text) <= _LONGEST_HOST and _is_host(text)
    if is_legal and len(_legal_hosts) < _MAX_KNOWN_HOSTS:
        _legal_hosts.add(text)
    return is_legal


def _is_host(text: str) -> bool:
    if text.startswith("["):
        host, bracket, after = text[1:].partition("]")
        colon, port = after[:1], after[1:]
        is_legal = bracket != "" and colon in ("", ":") and _is_ipv6(host)
    else:
        host, colon, port = text.partition(":")
        is_legal = not host.encode(errors="replace").translate(None, _REG_NAME) and (host != "" or colon == "")
        for part in host.split("%")[1:] if "%" in host else ():
            is_legal = is_legal and len(part) > 1 and not part[:2].encode(errors="replace").translate(None, _HEX)
    if port:
        is_legal = is_legal and port.isascii() and port.isdigit() and len(port) < 6 and int(port) <= 65535
    return is_legal


def _is_ipv6(text: str) -> bool:
    from ipaddress import AddressValueError, IPv6Address  # the Host of a function is never an IPv6 address

    try:
        # The address must be in ASCII. "%" would begin a zone, which is meaningful on one machine only.
        return "%" not in text and text.isascii() and bool(IPv6Address(text).packed)
    except AddressValueError:
        return False


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
        raise failure(f"the headers are of type {type(values).__name__}, not a JSON object")
    check_headers(values, values.values(), failure)
    return list(values.items())


def from_lists(values: Any, failure: type[AdapterError]) -> Headers:
    """Return the pairs of a multi-value map. None means no headers. A string value counts as a list with one item.

    Raises ``failure`` if the map is malformed.
    """
    if values is None:
        return []
    if not isinstance(values, dict):
        raise failure(f"the multi-value headers are of type {type(values).__name__}, not a JSON object")
    headers: list[Any] = []
    for name, items in values.items():
        if isinstance(items, list):
            headers.extend([(name, item) for item in items])
        else:
            headers.append((name, items))
    check_headers(values, [value for _, value in headers], failure)
    return headers


def from_both(single: Any, multi: Any, failure: type[AdapterError]) -> Headers:
    """Return the pairs of both maps. If a name is in both (ignoring case), only its values in ``multi`` are returned.

    Raises ``failure`` if either map is malformed.
    """
    headers = from_lists(multi, failure)
    if single is None or (isinstance(single, dict) and multi and single.keys() <= multi.keys()):
        return headers
    named = {name.lower() for name, _ in headers}
    return headers + [header for header in from_map(single, failure) if header[0].lower() not in named]


def join_repeats(headers: Headers) -> tuple[dict[str, str], list[str]]:
    """Return a response's headers as a single-value map with lower-case names, and a list of the Set-Cookie values.

    Repeated headers are joined with a comma. Set-Cookie values are not joined, since they may contain a comma (RFC
    6265 section 3).
    """
    single: dict[str, str] = {}
    cookies: list[str] = []
    # The values of repeated headers. They are joined only once, because each join copies all earlier values.
    repeated: dict[str, list[str]] = {}
    for name, value in headers:
        lower = name.lower()
        if lower in single:
            repeated.setdefault(lower, [single[lower]]).append(value)
        elif lower == "set-cookie":
            cookies.append(value)
        else:
            single[lower] = value
    for name, values in repeated.items():
        single[name] = ", ".join(values)
    return single, cookies


def request_map(headers: Headers) -> dict[str, str]:
    """Return a request's headers as the single-value map of an event, with lower-case names.

    As on AWS, repeated headers are joined with a comma and no space. All cookies are joined in one Cookie header (RFC
    6265 section 5.4).
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
    """Return a response's headers as a single-value map with lower-case names.

    If ``all_cookies`` is False, the map contains only the last cookie. Otherwise, it contains the last 512 cookies,
    each under one of the 512 spellings of the name: ``set-cookie``, ``Set-cookie``, ``sEt-cookie`` …
    """
    single, cookies = join_repeats(headers)
    if not all_cookies:
        cookies = cookies[-1:]
    for number, cookie in enumerate(cookies[-_SET_COOKIE_CASES:]):
        single[_set_cookie_in_case(number)] = cookie
    return single


def _set_cookie_in_case(number: int) -> str:
    """Return a spelling of ``set-cookie``. Letter ``n`` is in upper case if bit ``n`` of ``number`` is set."""
    if number == 0:
        return "set-cookie"
    letters = [letter.upper() if number >> bit & 1 else letter for bit, letter in enumerate("setcookie")]
    return f"{''.join(letters[:3])}-{''.join(letters[3:])}"
