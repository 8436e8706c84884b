"""The request line: method, path and query, out of the shapes in which front doors describe them.

A target is in origin form and stays as the client encoded it. Only bytes that no request line may carry are encoded
here: the formats differ in how much they decode, and an adapter that normalised would break signatures and ``%2F``.
"""

from __future__ import annotations

from adapter.errors import InvalidEvent
from adapter.payload.headers import glimpse, is_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Pairs = list[tuple[str, str]]

_COMMON_METHODS = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})
#: Printable ASCII without space and "#"; in a path without "?" too, since a query would begin there.
_LEGAL_IN_QUERY = bytes(range(0x21, 0x7F)).replace(b"#", b"")
_LEGAL_IN_PATH = _LEGAL_IN_QUERY.replace(b"?", b"")
#: The unreserved characters of RFC 3986 section 2.3.
_UNRESERVED = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_ABSOLUTE_FORM = r"https?://(?P<authority>[^/?#@]+)(?P<path>([/?][^#]*)?)"


def method_of(method: Any) -> str:
    """``method`` as it came. Raises InvalidEvent unless it is a token, and for CONNECT: there is no tunnel here."""
    if isinstance(method, str) and (method in _COMMON_METHODS or (is_token(method) and method.upper() != "CONNECT")):
        return method
    raise InvalidEvent(f"the event's method is {glimpse(method)}, which is not an HTTP method for an app")


def request_target(path: Any, query: Any = "") -> str:
    """The origin form of ``path`` (no query in it) and ``query`` (still encoded); null is empty.

    A path that begins with two slashes stays a path. Raises InvalidEvent when either is not text.
    """
    encoded = _percent_encoded(_LEGAL_IN_PATH, _text("path", path))
    if not encoded.startswith("/"):
        encoded = "/" + encoded
    query = _text("query string", query)
    return f"{encoded}?{_percent_encoded(_LEGAL_IN_QUERY, query)}" if query else encoded


def encoded_query(pairs: Pairs) -> str:
    """A query string of decoded names and values."""
    return "&".join([f"{percent_encoded(name)}={percent_encoded(value)}" for name, value in pairs])


def joined_query(pairs: Pairs) -> str:
    """A query string of names and values that are still encoded."""
    return "&".join([f"{name}={value}" for name, value in pairs])


def query_pairs(single: Any, multi: Any = None) -> Pairs:
    """The pairs of an event's query maps; the multi-value map holds everything where there is one.

    Raises InvalidEvent unless names and values are text.
    """
    source = multi or single or {}
    if not isinstance(source, dict):
        raise InvalidEvent(f"the query parameters are of type {type(source).__name__}, not an object")
    pairs: Pairs = []
    for name, values in source.items():
        for value in values if isinstance(values, list) else [values]:
            if not isinstance(value, str):
                kind = type(value).__name__
                raise InvalidEvent(f"the query parameter {glimpse(name)} is of type {kind}, not a string")
            pairs.append((name, value))
    return pairs


def split_target(target: str) -> tuple[str, str]:
    """Path and query of an origin form, both as they came."""
    path, _, query = target.partition("?")
    return path, query


def origin_form(target: str) -> tuple[str, str] | None:
    """Path and query of a target on a request line, and the authority where it named one (RFC 9112, section 3.2).

    None for what is neither a path nor an http or https URL, and for a URL with nobody's name or with a user's.
    """
    if target.startswith("/"):
        return target, ""
    import re  # only servers get other targets, and regular expressions would be a part of every cold start

    matched = re.fullmatch(_ABSOLUTE_FORM, target, re.IGNORECASE)
    if matched is None:
        return None
    path = matched["path"]
    return path if path.startswith("/") else "/" + path, matched["authority"]


def path_alone(target: str) -> str:
    """What a log may show of a target: not its query, and no authority with a user's name and password."""
    path = target.partition("?")[0]
    scheme, separator, rest = path.partition("://")
    if separator and "/" not in scheme:
        return "/" + rest.partition("/")[2]
    return path if path.startswith("/") else path.rpartition("@")[2]


def split_query(query: str) -> Pairs:
    """The pairs of a query string, still encoded. A name with no ``=`` has the empty value."""
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((name, value))
    return pairs


def decoded_query(query: str) -> Pairs:
    """The pairs of a query string, decoded as a form is: ``+`` is a space."""
    return [
        (percent_decoded(name.replace("+", " ")), percent_decoded(value.replace("+", " ")))
        for name, value in split_query(query)
    ]


def strip_base_path(target: str, base: str) -> str:
    """``target`` (path, or path and query) without one leading ``base``, if a path segment ends there.

    ``base`` begins with a slash and does not end with one; empty is none.
    """
    if not base or not target.startswith(base):
        return target
    rest = target[len(base) :]
    if rest.startswith("/"):
        return rest
    return "/" + rest if not rest or rest.startswith("?") else target


def normal_base_path(base: str) -> str:
    """``base`` as `strip_base_path` wants it: ``api``, ``/api`` and ``/api/`` are the same."""
    trimmed = base.strip("/")
    return "/" + trimmed if trimmed else ""


def percent_encoded(text: str) -> str:
    """``text`` with every byte of its UTF-8 encoded that is not unreserved."""
    return _percent_encoded(_UNRESERVED, text)


def percent_decoded(text: str) -> str:
    """``text`` decoded once; bytes that are not UTF-8 become U+FFFD, as in API Gateway's maps [unsure]."""
    if "%" not in text:
        return text
    parts = text.encode().split(b"%")
    decoded = [parts[0]]
    for part in parts[1:]:
        byte = _byte_of(part[:2])
        decoded += (b"%", part) if byte is None else (byte, part[2:])
    return b"".join(decoded).decode(errors="replace")


def _byte_of(digits: bytes) -> bytes | None:
    """The byte that two hexadecimal digits stand for; None if they are anything else."""
    # int() alone would take a sign, spaces and underscores as well.
    if len(digits) != 2 or not digits.isalnum():
        return None
    try:
        return int(digits, 16).to_bytes()
    except ValueError:
        return None


def _percent_encoded(legal: bytes, text: str) -> str:
    """``text`` with every byte of its UTF-8 encoded that is not one of ``legal``."""
    try:
        written = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidEvent("the request target contains a lone surrogate, which has no UTF-8 form") from error
    if not written.translate(None, legal):
        return text
    return "".join([chr(byte) if byte in legal else f"%{byte:02X}" for byte in written])


def _text(what: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidEvent(f"the event's {what} is of type {type(value).__name__}, not a string")
    return value
