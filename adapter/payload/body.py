"""Bodies in JSON: text as a JSON string where that loses nothing, base64 otherwise.

JSON strings hold Unicode, bodies hold bytes, and a front door writes a text body out as UTF-8. So bytes that are valid
UTF-8 come back exactly, whatever charset they were meant in, and anything else must travel as base64. Types that are
known to be binary do so without a look at their bytes; for all others, text types included, UTF-8 validity decides.
"""

from __future__ import annotations

from binascii import Error as Base64Error

import orjson
import pybase64

from adapter.payload.headers import first, glimpse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from re import Pattern
    from typing import Any, Final

    from adapter.errors import AdapterError
    from adapter.payload.headers import Headers

_BINARY_KINDS = frozenset({"audio", "font", "image", "model", "video"})
_BINARY_TYPES = frozenset(
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
#: Text within binary kinds: ``image/svg+xml``, ``model/gltf+json``.
_TEXT_SUFFIXES = ("+json", "+xml")

#: What a front door itself hands over as text; it base64-encodes every other type, and all content-encoded bodies.
#: The list is the one that AWS documents for ALB; function URLs agree on forms and JSON, the rest of them is [unsure].
_FRONT_DOOR_TEXT = frozenset({"application/json", "application/javascript", "application/xml"})


class BodyRules:
    """The user's say in what is binary and what is text.

    Both are media-type patterns such as ``application/pdf``, ``image/*`` or ``*+json``; a match wins over everything
    else, binary over text. Text that is not UTF-8 still becomes base64.
    """

    __slots__ = ("_binary", "_text", "binary_types", "text_types")

    def __init__(self, *, binary_types: Iterable[str] = (), text_types: Iterable[str] = ()) -> None:
        self.binary_types: Final = tuple(binary_types)
        self.text_types: Final = tuple(text_types)
        self._binary: Final = _pattern(self.binary_types)
        self._text: Final = _pattern(self.text_types)

    def override(self, media_type: str) -> bool | None:
        """True for text, False for binary, None where the user says nothing. ``media_type`` is in lower case."""
        if self._binary is not None and self._binary.fullmatch(media_type):
            return False
        if self._text is not None and self._text.fullmatch(media_type):
            return True
        return None


def _pattern(types: tuple[str, ...]) -> Pattern[str] | None:
    if not types:
        return None
    import re  # few users set such types

    return re.compile("|".join([re.escape(each.lower()).replace(r"\*", ".*") for each in types]))


def media_type_of(headers: Headers) -> str:
    """The media type in lower case, without parameters; empty where there is none."""
    return first(headers, "content-type").partition(";")[0].strip().lower()


def is_content_encoded(headers: Headers) -> bool:
    """Whether a Content-Encoding other than ``identity`` was applied."""
    return any(
        coding.strip().lower() not in ("", "identity")
        for name, value in headers
        if name.lower() == "content-encoding"
        for coding in value.split(",")
    )


def may_be_text(headers: Headers, rules: BodyRules) -> bool:
    """What the headers and the user say, before the bytes are looked at."""
    media_type = media_type_of(headers)
    override = rules.override(media_type)
    if override is not None:
        return override
    return not (is_content_encoded(headers) or _is_binary_type(media_type))


def _is_binary_type(media_type: str) -> bool:
    if media_type.endswith(_TEXT_SUFFIXES):
        return False
    return (
        media_type.partition("/")[0] in _BINARY_KINDS
        or media_type in _BINARY_TYPES
        or media_type.endswith(_BINARY_SUFFIXES)
        or media_type.startswith(_BINARY_PREFIXES)
    )


def text_of(headers: Headers, body: bytes | bytearray, rules: BodyRules) -> str | None:
    """The body as text, which comes back byte for byte, or None where it must be base64."""
    return _utf8(body) if may_be_text(headers, rules) else None


def _utf8(body: bytes | bytearray) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def response_parts(
    response: dict[str, Any], headers: Headers, body: bytes | bytearray, rules: BodyRules
) -> list[bytes]:
    """``response`` with ``body`` and ``isBase64Encoded`` added, as JSON in parts.

    base64 needs no escaping, so that a binary body is a part of its own and never copied into a bigger string.
    """
    text = text_of(headers, body, rules)
    if text is not None:
        return [orjson.dumps({**response, "body": text, "isBase64Encoded": False})]
    opening = orjson.dumps({**response, "isBase64Encoded": True})
    return [opening[:-1] + b',"body":"', pybase64.b64encode(body), b'"}']


def decoded_body(body: Any, is_base64: Any, failure: type[AdapterError]) -> bytes:
    """The bytes of a ``body`` field; null is empty, and base64 may be a memoryview of its text.

    Raises ``failure`` when the body is not a string, or not canonical base64 (white space and trailing text are
    errors: whoever wrote them meant something else) where ``is_base64`` says so.
    """
    if is_base64 is not None and not isinstance(is_base64, bool):
        raise failure(f"the base64 flag is {glimpse(is_base64)}, not true or false")
    if body is None:
        return b""
    if isinstance(body, memoryview) or (is_base64 and isinstance(body, str)):
        try:
            return pybase64.b64decode(body, validate=True)
        except Base64Error as error:
            raise failure(f"the body is not base64: {error}") from error
    if not isinstance(body, str):
        raise failure(f"the body is of type {type(body).__name__}, not a string")
    try:
        return body.encode()
    except UnicodeEncodeError as error:
        raise failure("the body contains a lone surrogate, which has no UTF-8 form") from error


def event_body(headers: Headers, body: bytes | bytearray) -> tuple[str, bool]:
    """A request body as front doors write it into an event: the text and whether it is base64.

    Only the types of AWS's list are text, forms are not. Bytes of such a type that are not UTF-8 become base64 as well.
    """
    media_type = media_type_of(headers)
    text = None
    if not is_content_encoded(headers) and (media_type.startswith("text/") or media_type in _FRONT_DOOR_TEXT):
        text = _utf8(body)
    if text is not None or not body:
        return text or "", False
    return pybase64.b64encode(body).decode("ascii"), True
