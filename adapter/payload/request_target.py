"""Conversion of method, path and query between the request line and the events of the front doors.

A target is in origin form. If the front door preserves the client's percent-encoding, so does the target. Some front
doors decode paths, so a path can contain any character. This module encodes the characters that are illegal in a
request line or would begin a query. Paths are not normalized, because that would break signatures and ``%2F``.
"""

from __future__ import annotations

from adapter.errors import InvalidEvent
from adapter.payload.headers import excerpt, is_host, is_token

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    Pairs = list[tuple[str, str]]

_COMMON_METHODS: Final = frozenset({"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"})
#: Printable ASCII without space and "#". A path must not contain "?" either, since that begins a query.
_LEGAL_IN_QUERY: Final = bytes(range(0x21, 0x7F)).replace(b"#", b"")
_LEGAL_IN_PATH: Final = _LEGAL_IN_QUERY.replace(b"?", b"")
#: The unreserved characters of RFC 3986 section 2.3.
_UNRESERVED: Final = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"
_HEX: Final = "0123456789abcdefABCDEF"
_ABSOLUTE_FORM: Final = r"https?://(?P<authority>[^/?#@]+)(?P<path>([/?][^#]*)?)"


def method_of(method: Any) -> str:
    """Return ``method``. Raises InvalidEvent if ``method`` is not a token, or is CONNECT, which needs a tunnel."""
    if isinstance(method, str) and (method in _COMMON_METHODS or (is_token(method) and method.upper() != "CONNECT")):
        return method
    raise InvalidEvent(f"the event's method is {excerpt(method)}, which is not an HTTP method that an app can receive")


def request_target(path: Any, query: Any = "", *, is_encoded: bool = False) -> str:
    """Return the target with ``path`` and ``query``, in origin form. None counts as empty.

    ``path`` has no query of its own. ``query`` is percent-encoded. If ``is_encoded`` is True, ``path`` is as the client
    sent it. Otherwise a front door may have decoded ``path``, so this encodes each "%" that is not followed by two
    hexadecimal digits. Two slashes at the start of ``path`` are kept. Raises InvalidEvent if ``path`` or ``query`` is
    neither a string nor None.
    """
    encoded = percent_encode(_text("path", path), _LEGAL_IN_PATH)
    if "%" in encoded and not is_encoded:
        encoded = encode_lone_percents(encoded)
    if not encoded.startswith("/"):
        encoded = "/" + encoded
    query = _text("query string", query)
    return f"{encoded}?{percent_encode(query, _LEGAL_IN_QUERY)}" if query else encoded


def encode_query(pairs: Pairs) -> str:
    """Percent-encode the names and values, and return the query string."""
    return join_query([(percent_encode(name), percent_encode(value)) for name, value in pairs])


def join_query(pairs: Pairs) -> str:
    """Return the query string for names and values that are already encoded."""
    return "&".join([f"{name}={value}" for name, value in pairs])


def query_pairs(single: Any, multi: Any = None) -> Pairs:
    """Return the pairs of the multi-value map if it is not empty, else the pairs of the single-value map.

    Raises InvalidEvent if the map that is used is not a JSON object, or if a value in it is not a string.
    """
    source = multi or single or {}
    if not isinstance(source, dict):
        raise InvalidEvent(f"the query parameters are of type {type(source).__name__}, not a JSON object")
    pairs: Pairs = []
    for name, values in source.items():
        for value in values if isinstance(values, list) else [values]:
            if not isinstance(value, str):
                kind = type(value).__name__
                raise InvalidEvent(f"the query parameter {excerpt(name)} is of type {kind}, not a string")
            pairs.append((name, value))
    return pairs


def query_lists(pairs: Pairs) -> dict[str, list[str]]:
    """Return ``pairs`` as a multi-value map: each name with a list of its values."""
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        lists.setdefault(name, []).append(value)
    return lists


def split_target(target: str) -> tuple[str, str]:
    """Split ``target``, which is in origin form. Return the path and the query, both still encoded."""
    path, _, query = target.partition("?")
    return path, query


def origin_form(target: str) -> tuple[str, str] | None:
    """Return the path of ``target`` with its query, and the authority of ``target`` (RFC 9112 section 3.2).

    The authority is "" if ``target`` is a path. Otherwise ``target`` must be an http or https URL that has a valid host
    and no credentials; for any other target, return None.
    """
    if target.startswith("/"):
        return target, ""
    import re  # imported here, since the runtime never needs it, and it would slow down every cold start

    matched = re.fullmatch(_ABSOLUTE_FORM, target, re.IGNORECASE)
    if matched is None or not is_host(matched["authority"]):
        return None
    path = matched["path"]
    return path if path.startswith("/") else "/" + path, matched["authority"]


def path_alone(target: str) -> str:
    """Return the part of ``target`` that a log may show: the path, or an authority without credentials."""
    path = target.partition("?")[0]
    if path.startswith("/"):
        return path
    scheme, separator, rest = path.partition("://")
    if separator and "/" not in scheme:
        return "/" + rest.partition("/")[2]
    return path.rpartition("@")[2]


def split_query(query: str) -> Pairs:
    """Return the pairs of a query string, still encoded. A name without ``=`` gets an empty value."""
    pairs = []
    for part in query.split("&"):
        if part:
            name, _, value = part.partition("=")
            pairs.append((name, value))
    return pairs


def decode_query(query: str) -> Pairs:
    """Return the pairs of a query string, decoded as in a form: ``+`` becomes a space."""
    return [
        (percent_decode(name.replace("+", " ")), percent_decode(value.replace("+", " ")))
        for name, value in split_query(query)
    ]


def strip_base_path(target: str, base: str) -> str:
    """Return ``target`` without the prefix ``base``. If the prefix ends within a path segment, it is not removed.

    ``target`` may have a query. ``base`` is a result of `normalize_base_path`. An empty ``base`` removes nothing.
    """
    if not base or not target.startswith(base):
        return target
    rest = target[len(base) :]
    if rest.startswith("/"):
        return rest
    return "/" + rest if not rest or rest.startswith("?") else target


def normalize_base_path(base: str) -> str:
    """Return ``base`` in the form that `strip_base_path` expects: ``api`` and ``/api/`` become ``/api``."""
    trimmed = base.strip("/")
    return "/" + trimmed if trimmed else ""


def percent_encode(text: str, legal: bytes = _UNRESERVED) -> str:
    """Encode ``text`` as UTF-8 and percent-encode every byte that is not in ``legal``.

    Raises InvalidEvent if ``text`` contains a lone surrogate.
    """
    try:
        encoded = text.encode()
    except UnicodeEncodeError as error:
        raise InvalidEvent("the request target contains a lone surrogate, which has no UTF-8 form") from error
    if not encoded.translate(None, legal):
        return text
    return "".join([chr(byte) if byte in legal else f"%{byte:02X}" for byte in encoded])


def encode_lone_percents(text: str) -> str:
    """Return ``text`` with ``%25`` for each "%" that is not followed by two hexadecimal digits."""
    parts = text.split("%")
    for index in range(1, len(parts)):
        part = parts[index]
        if len(part) < 2 or part[0] not in _HEX or part[1] not in _HEX:
            parts[index] = "25" + part
    return "%".join(parts)


def percent_decode(text: str) -> str:
    """Percent-decode ``text`` once. Bytes that are not UTF-8 become U+FFFD, as in API Gateway's events [unsure]."""
    if "%" not in text:
        return text
    parts = text.encode().split(b"%")
    decoded = [parts[0]]
    for part in parts[1:]:
        byte = _byte_of(part[:2])
        decoded += (b"%", part) if byte is None else (byte, part[2:])
    return b"".join(decoded).decode(errors="replace")


def _byte_of(digits: bytes) -> bytes | None:
    """Return the byte for two hexadecimal digits, or None for any other text."""
    # int() alone would accept a sign, spaces and underscores as well.
    if len(digits) != 2 or not digits.isalnum():
        return None
    try:
        return int(digits, 16).to_bytes()
    except ValueError:
        return None


def _text(what: str, value: Any) -> str:
    if value is None:
        return ""
    if not isinstance(value, str):
        raise InvalidEvent(f"the event's {what} is of type {type(value).__name__}, not a string")
    return value
