"""The table of all payload formats, and the parser for events, which detects the format and rejects repeated keys.

Events do not name their format. Each codec recognizes its own events by their keys. No event matches two formats, and
an event that matches none is passed through.

orjson is fast, but silently accepts a repeated key. Front doors write JSON as orjson does. So if orjson writes an event
exactly as it arrived, the event has no repeated key. For any other event, the key-value pairs are counted, in the text
and in the parsed values. If the counts differ or the text is too unusual to count, a slower parser checks the keys.

Most of a large event is its body, and a base64 body need not be parsed as JSON. So only the rest of the event is
parsed, and the text of the body stays in the receive buffer.
"""

from __future__ import annotations

import orjson

from adapter.errors import InvalidEvent
from adapter.payload.formats.alb import AlbMultiValue, AlbSingleValue
from adapter.payload.formats.http_api import HttpApi
from adapter.payload.formats.lattice import LatticeV1, LatticeV2
from adapter.payload.formats.pass_through import PassThrough
from adapter.payload.formats.rest_api import RestApi
from adapter.payload.headers import excerpt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adapter.payload.formats.codec import Codec

HTTP_FORMATS: tuple[Codec, ...] = (
    HttpApi(),
    RestApi(),
    AlbSingleValue(),
    AlbMultiValue(),
    LatticeV1(),
    LatticeV2(),
)
PASS_THROUGH = PassThrough(HTTP_FORMATS)

#: Every format by its name.
FORMATS: dict[str, Codec] = {codec.name: codec for codec in (*HTTP_FORMATS, PASS_THROUGH)}

# The size in bytes above which an event is large. Measured: for a large event, checking only the JSON around the body
# is faster than checking all of it.
_LARGE_EVENT = 64 * 1024
_BODY_KEY = b'"body":'
_BODY_OPENING = _BODY_KEY + b'"'
# White space before a colon. In a text with one of these, a colon may not directly follow the quote that ends a key.
_UNUSUAL_COLONS = (b" :", b"\t:", b"\n:", b"\r:")
# The text that replaces a body that is not parsed.
_MARK = b"(left out)"


def detect(event: Any) -> Codec:
    """Return the codec for the format of ``event``, which may be any decoded JSON."""
    for codec in HTTP_FORMATS:
        if codec.matches(event):
            return codec
    return PASS_THROUGH


def read_event(raw: bytes | bytearray) -> tuple[Codec, Any]:
    """Parse the event in ``raw``. Return the codec for its format, and the parsed event.

    The event's ``body`` may be a memoryview of base64 in ``raw``. Raises InvalidEvent if ``raw`` is not JSON, or
    if it is an HTTP event that has a repeated key or is nested too deep.
    """
    large = len(raw) > _LARGE_EVENT
    if large and (read := _read_around_base64(raw)) is not None:
        return read
    event = _parse(raw)
    codec = detect(event)
    if codec is not PASS_THROUGH:
        _check_keys(raw, event, large=large)
    return codec, event


def _read_around_base64(raw: bytes | bytearray) -> tuple[Codec, Any] | None:
    """Parse the event without its body. Return None if the body is not base64 or if anything else is unusual.

    In the result, ``body`` is a view of ``raw``. The body ends at the next quote, since it contains no backslash. _MARK
    replaces the body while the rest is parsed. The replaced value could also be a ``body`` deeper in the event. So the
    result is None unless _MARK occurs once, as the event's own ``body``.
    """
    start = raw.find(_BODY_OPENING) + len(_BODY_OPENING)
    end = raw.find(b'"', start)
    if start < len(_BODY_OPENING) or raw.find(b"\\", start, end) >= 0:
        return None
    outline = b"".join((raw[:start], _MARK, raw[end:]))
    if outline.count(_MARK) > 1:
        return None
    try:
        event = orjson.loads(outline)
        if orjson.dumps(event) != outline:
            return None
    except (orjson.JSONDecodeError, orjson.JSONEncodeError):
        return None
    codec = detect(event)
    if codec is PASS_THROUGH or event.get("body") != _MARK.decode() or event.get(codec.base64_key) is not True:
        return None
    event["body"] = memoryview(raw)[start:end]
    return codec, event


def _parse(raw: bytes | bytearray) -> Any:
    """Return the parsed event. Raises InvalidEvent if it is not JSON.

    JSON that only a lenient parser accepts is an error in an HTTP event, but other events may contain it.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        event = _parse_leniently(raw, error)
        if detect(event) is PASS_THROUGH:
            return event
        raise InvalidEvent(f"the event is not JSON: {error}") from error


def _check_keys(raw: bytes | bytearray, event: Any, *, large: bool) -> None:
    """Raise InvalidEvent if an object in the event has a repeated key, or if the event is nested too deep.

    With a repeated key, a security check in front of the adapter may have used a different value than the app.
    """
    try:
        if large and _is_written_around_body(raw, event):
            return
        written = orjson.dumps(event)
    except orjson.JSONEncodeError as error:
        # orjson reads 1,024 levels but writes only 254.
        raise InvalidEvent(f"the event is nested too deep: {error}") from error
    if written != raw and _count_pairs_in_text(raw) != _count_pairs(event):
        import json  # imported here, since events from front doors do not need it

        json.loads(raw, parse_int=float, object_pairs_hook=_reject_repeated_keys)


def _count_pairs_in_text(raw: bytes | bytearray) -> int:
    """Return an upper bound of the number of key-value pairs in the text, or -1 if white space may precede a colon.

    A quote and a colon end every key. They may also occur within a string, so the count may be too high.
    """
    if any(raw.find(unusual) >= 0 for unusual in _UNUSUAL_COLONS):
        return -1
    return raw.count(b'":')


def _count_pairs(value: Any) -> int:
    """Return the number of key-value pairs in ``value``, at every depth."""
    if isinstance(value, dict):
        count = len(value)
        for each in value.values():
            count += _count_pairs(each)
        return count
    if isinstance(value, list):
        count = 0
        for each in value:
            count += _count_pairs(each)
        return count
    return 0


def _is_written_around_body(raw: bytes | bytearray, event: Any) -> bool:
    """Return whether ``raw`` equals what orjson writes for ``event``, except within the body.

    Also returns False if the body contains a quote. The quote after the body cannot be an escaped one: if it were, the
    rest of ``raw`` would not be valid JSON.
    """
    before, key, after = orjson.dumps(event | {"body": ""}).partition(_BODY_KEY + b'""')
    opening, closing = before + _BODY_OPENING, b'"' + after
    if not (key and raw.startswith(opening) and raw.endswith(closing)):
        return False
    return raw.find(b'"', len(opening)) == len(raw) - len(closing)


def _reject_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        names = sorted(name for name, _ in pairs)
        repeated = [name for index, name in enumerate(names) if index and names[index - 1] == name]
        raise InvalidEvent(f"the event has the key {excerpt(repeated[0])} twice in one object")
    return unique


def _parse_leniently(raw: bytes | bytearray, error: orjson.JSONDecodeError) -> Any:
    """Parse the event with the standard library, which accepts NaN, numbers of any size and lone surrogates.

    The result is used only to detect the format. ``parse_int`` avoids the library's limit on the digits of an integer.
    Raises InvalidEvent, with the message of ``error``, if the standard library rejects the event, too.
    """
    import json  # imported here, since only JSON that orjson rejects needs it

    try:
        return json.loads(raw.decode(), parse_int=float)
    except (ValueError, RecursionError):
        raise InvalidEvent(f"the event is not JSON: {error}") from error
