"""Bodies in JSON: a plain string if that preserves every byte, otherwise base64.

A JSON string contains Unicode, a body contains bytes, and a front door sends a plain string as UTF-8. So a body that is
valid UTF-8 arrives unchanged, whatever charset its Content-Type names. Any other body must be sent as base64. If the
media type is known to be binary, the body becomes base64 without a check of its bytes. For all other types, including
text types, the bytes are checked.
"""

from __future__ import annotations

import orjson

from adapter.payload.headers import excerpt, first

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from re import Pattern
    from typing import Any, Final

    from adapter.errors import AdapterError
    from adapter.payload.headers import Headers

_BINARY_KINDS: Final = frozenset({"audio", "font", "image", "model", "video"})
_BINARY_TYPES: Final = frozenset(
    {
        "application/avro",
        "application/cbor",
        "application/gzip",
        "application/java-archive",
        "application/msgpack",
        "application/octet-stream",
        "application/pdf",
        "application/protobuf",
        "application/vnd.apache.parquet",
        "application/vnd.google.protobuf",
        "application/vnd.ms-excel",
        "application/wasm",
        "application/x-7z-compressed",
        "application/x-bzip2",
        "application/x-gzip",
        "application/x-msgpack",
        "application/x-protobuf",
        "application/x-tar",
        "application/zip",
        "application/zstd",
    }
)
_BINARY_PREFIXES = ("application/grpc", "application/vnd.openxmlformats-officedocument.")
_BINARY_SUFFIXES = ("+cbor", "+gzip", "+protobuf", "+zip", "+zstd")
#: The suffixes of text types within binary kinds: ``image/svg+xml``, ``model/gltf+json``.
_TEXT_SUFFIXES = ("+json", "+xml")

#: The types that a front door writes into an event as text, besides ``text/*``. All other types, and all bodies with a
#: Content-Encoding, become base64. AWS documents this list for ALB; function URLs are known to do the same for forms
#: and JSON, the rest is [unsure].
_FRONT_DOOR_TEXT: Final = frozenset({"application/json", "application/javascript", "application/xml"})

# The size in bytes above which a body is large. Measured: a smaller one is encoded faster with the rest of the payload.
_LARGE_BODY: Final = 64 * 1024


# What a Content-Type means for the encoding of a body.
BINARY: Final = 0
TEXT: Final = 1
TEXT_UNLESS_ENCODED: Final = 2
# How many values of Content-Type are remembered, and the maximum length of such a value, in characters.
_MAX_KNOWN_TYPES: Final = 256
_MAX_KNOWN_LENGTH: Final = 128


class BodyRules:
    """The user's settings for encoding responses: binary and text media types, and whether all cookies are sent.

    The types are patterns such as ``application/pdf``, ``image/*`` or ``*+json``. A match takes precedence over the
    built-in rules. If a binary and a text pattern match, the binary pattern decides. Text that is not valid UTF-8 still
    becomes base64. If ``all_cookies`` is True, formats that allow only one Set-Cookie header send all cookies, in
    headers whose names differ in case.
    """

    __slots__ = ("_binary", "_kinds", "_text", "all_cookies")

    def __init__(
        self, *, binary_types: Iterable[str] = (), text_types: Iterable[str] = (), all_cookies: bool = False
    ) -> None:
        self.all_cookies: Final = all_cookies
        self._binary: Final = _pattern(tuple(binary_types))
        self._text: Final = _pattern(tuple(text_types))
        # What ``kind_of`` returned, by the value of Content-Type.
        self._kinds: Final[dict[str, int]] = {}

    def kind_of(self, content_type: str) -> int:
        """Return TEXT, BINARY or TEXT_UNLESS_ENCODED (binary if the body has a Content-Encoding, else text)."""
        kind = self._kinds.get(content_type)
        if kind is None:
            kind = self._examine(_media_type(content_type))
            # Apps choose the values, so their number and length need limits.
            if len(content_type) <= _MAX_KNOWN_LENGTH and len(self._kinds) < _MAX_KNOWN_TYPES:
                self._kinds[content_type] = kind
        return kind

    def _examine(self, media_type: str) -> int:
        is_text = self._override(media_type)
        if is_text is not None:
            return TEXT if is_text else BINARY
        return BINARY if _is_binary_type(media_type) else TEXT_UNLESS_ENCODED

    def _override(self, media_type: str) -> bool | None:
        """Return True for text, False for binary, None if no pattern matches. ``media_type`` is in lower case."""
        if self._binary is not None and self._binary.fullmatch(media_type):
            return False
        if self._text is not None and self._text.fullmatch(media_type):
            return True
        return None


def _pattern(types: tuple[str, ...]) -> Pattern[str] | None:
    if not types:
        return None
    import re  # imported here, since few users set these types

    return re.compile("|".join([re.escape(each.lower()).replace(r"\*", ".*") for each in types]))


def media_type_of(headers: Headers) -> str:
    """Return the media type in lower case, without its parameters, or an empty string if there is no Content-Type."""
    return _media_type(first(headers, "content-type"))


def _media_type(content_type: str) -> str:
    return content_type.partition(";")[0].strip().lower()


def is_content_encoded(headers: Headers) -> bool:
    """Return whether ``headers`` contain a Content-Encoding other than ``identity``."""
    for name, value in headers:
        if len(name) == len("content-encoding") and name.lower() == "content-encoding":
            for coding in value.split(","):
                if coding.strip().lower() not in ("", "identity"):
                    return True
    return False


def text_of(headers: Headers, body: bytes | bytearray, rules: BodyRules) -> str | None:
    """Return the body as a string, or None if the body must be encoded as base64."""
    return _utf8(body) if _may_be_text(headers, rules) else None


def _may_be_text(headers: Headers, rules: BodyRules) -> bool:
    """Return whether the headers allow a body in UTF-8 to be sent as text."""
    kind = rules.kind_of(first(headers, "content-type"))
    return kind == TEXT or (kind == TEXT_UNLESS_ENCODED and not is_content_encoded(headers))


def _is_binary_type(media_type: str) -> bool:
    if media_type.endswith(_TEXT_SUFFIXES):
        return False
    return (
        media_type.partition("/")[0] in _BINARY_KINDS
        or media_type in _BINARY_TYPES
        or media_type.endswith(_BINARY_SUFFIXES)
        or media_type.startswith(_BINARY_PREFIXES)
    )


def _utf8(body: bytes | bytearray) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def response_parts(
    response: dict[str, Any], headers: Headers, body: bytes | bytearray, rules: BodyRules
) -> list[bytes]:
    """Return the JSON of ``response`` with the fields ``body`` and ``isBase64Encoded`` added, as a list of parts.

    A large body is not copied into a larger string, but has parts of its own. These parts are either base64, which
    needs no escaping, or escaped text.
    """
    is_large = len(body) > _LARGE_BODY
    text = None if is_large else text_of(headers, body, rules)
    if text is not None:
        return [orjson.dumps({**response, "body": text, "isBase64Encoded": False})]
    pieces = None
    if is_large and _may_be_text(headers, rules):
        from adapter.payload.json_text import encode_text  # only large texts need it

        pieces = encode_text(body)
    opening = orjson.dumps({**response, "isBase64Encoded": pieces is None})
    if pieces is None:
        import pybase64  # only binary bodies need it

        pieces = [pybase64.b64encode(body)]
    return [opening[:-1] + b',"body":"', *pieces, b'"}']


def decode_body(body: Any, is_base64: Any, failure: type[AdapterError]) -> bytes | bytearray:
    """Return the bytes of a ``body`` field. None means an empty body.

    Besides a string, ``body`` can be a bytearray (text in UTF-8) or a memoryview (base64); ``event.py`` makes these.

    Raises ``failure`` if ``body`` or ``is_base64`` has the wrong type, if base64 is not canonical, or if plain text
    contains a lone surrogate. White space in base64 and text after the base64 are errors, because decoding would
    silently drop them.
    """
    if is_base64 is not None and not isinstance(is_base64, bool):
        raise failure(f"the base64 flag is {excerpt(is_base64)}, which is not a JSON boolean")
    if body is None:
        return b""
    if is_base64 and isinstance(body, (str, bytearray, memoryview)):
        import pybase64  # only binary bodies need it

        try:
            return pybase64.b64decode(body, validate=True)
        except ValueError as error:
            raise failure(f"the body is not base64: {error}") from error
    if isinstance(body, bytearray):
        return body
    if not isinstance(body, str):
        raise failure(f"the body is of type {type(body).__name__}, not a string")
    try:
        return body.encode()
    except UnicodeEncodeError as error:
        raise failure("the body contains a lone surrogate, which has no UTF-8 form") from error


def event_body(headers: Headers, body: bytes | bytearray) -> tuple[str, bool]:
    """Return the text that a front door writes into an event for a request body, and whether the text is base64.

    Only ``text/*`` and the types in ``_FRONT_DOOR_TEXT`` stay plain text; forms do not. A body that is not UTF-8, or
    that has a Content-Encoding, becomes base64.
    """
    if not body:
        return "", False
    if not is_content_encoded(headers):
        media_type = media_type_of(headers)
        if media_type.startswith("text/") or media_type in _FRONT_DOOR_TEXT:
            text = _utf8(body)
            if text is not None:
                return text, False
    import pybase64  # only binary bodies need it

    return pybase64.b64encode(body).decode("ascii"), True
