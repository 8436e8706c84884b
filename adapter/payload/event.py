"""The table of all payload formats, and the parser for events, which detects the format and rejects repeated keys.

Events do not name their format. Each codec recognizes its own events by their keys. No event matches two formats, and
an event that matches none is passed through.

orjson is fast, but silently accepts a repeated key. Front doors write JSON as orjson does. So if orjson writes an event
exactly as the event arrived, the event has no repeated key. For any other event, the number of key-value pairs in its
text is compared with the number of pairs in the parsed event. If the numbers differ, or if the pairs in the text cannot
be counted, a slower parser checks the keys.

Most of a large event is its body. So the rest of the event is parsed without the body, and the body is decoded
separately (``json_text.py``). If the body is base64, its text stays in the receive buffer.
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
    from typing import Any, Final

    from adapter.payload.formats.codec import Codec

HTTP_FORMATS: tuple[Codec, ...] = (
    HttpApi(),
    RestApi(),
    AlbSingleValue(),
    AlbMultiValue(),
    LatticeV1(),
    LatticeV2(),
)
PASS_THROUGH: Final = PassThrough(HTTP_FORMATS)

#: Every format by its name.
FORMATS: dict[str, Codec] = {codec.name: codec for codec in (*HTTP_FORMATS, PASS_THROUGH)}

# The size in bytes above which an event is large. Measured: for a large event, reading the body alone is faster.
_LARGE_EVENT: Final = 16 * 1024
_BODY_KEY: Final = b'"body"'
_WHITE_SPACE: Final = b" \t\n\r"
# The maximum number of places that are tried as the start of the body. Usually the first one is right.
_MOST_PLACES: Final = 4
# If a text contains one of these, white space can stand between the quote that ends a key and its colon.
_UNUSUAL_COLONS = (b" :", b"\t:", b"\n:", b"\r:")
# The number that replaces a body while the rest of an event is parsed. JSON has only one spelling of an integer.
_MARK: Final = 8203371904126580
_MARK_TEXT: Final = str(_MARK).encode()


def detect(event: Any) -> Codec:
    """Return the codec for the format of ``event``, which may be any decoded JSON."""
    for codec in HTTP_FORMATS:
        if codec.matches(event):
            return codec
    return PASS_THROUGH


def read_event(raw: bytes | bytearray) -> tuple[Codec, Any]:
    """Parse the event in ``raw``. Return the codec for its format, and the parsed event.

    The ``body`` of a large event can be a bytearray (text in UTF-8) or a memoryview (the base64 in ``raw``). Raises
    InvalidEvent if ``raw`` is not JSON, or if it is an HTTP event that has a repeated key or is nested too deep.
    """
    if len(raw) > _LARGE_EVENT and (read := _read_around_body(raw)) is not None:
        return read
    event = _parse(raw)
    codec = detect(event)
    if codec is not PASS_THROUGH:
        _check_keys(raw, event)
    return codec, event


def _read_around_body(raw: bytes | bytearray) -> tuple[Codec, Any] | None:
    """Parse an HTTP event without its body, and decode the body alone. Return None if that is not possible.

    This is possible only if the body is more than half of the event. Raises InvalidEvent if the event has a
    repeated key or is nested too deep.
    """
    start = 0
    for _ in range(_MOST_PLACES):
        start = _next_body(raw, start)
        if start < 0:
            return None
        end = raw.find(b'"', start)
        text: bytearray | None = None
        if raw.find(b"\\", start, end) >= 0:
            from adapter.payload.json_text import decode_text  # only large texts need it

            decoded = decode_text(raw, start)
            if decoded is None:
                return None
            text, end = decoded
        if end - start > len(raw) // 2:
            return _read_without(raw, start, end, text)
    return None


def _next_body(raw: bytes | bytearray, position: int) -> int:
    """Find the next key ``body`` whose value is a string. Return the place after the value's opening quote, or -1.

    The search begins at ``position``. The result is a guess: the key may belong to a nested object, or be a part of a
    string.
    """
    while (position := raw.find(_BODY_KEY, position)) >= 0:
        position = _skip_white_space(raw, position + len(_BODY_KEY))
        if raw[position : position + 1] == b":":
            position = _skip_white_space(raw, position + 1)
            if raw[position : position + 1] == b'"':
                return position + 1
    return -1


def _skip_white_space(raw: bytes | bytearray, position: int) -> int:
    size = len(raw)
    while position < size and raw[position] in _WHITE_SPACE:
        position += 1
    return position


def _read_without(raw: bytes | bytearray, start: int, end: int, text: bytearray | None) -> tuple[Codec, Any] | None:
    """Parse the event without its body, and add the body. Return None if ``raw[start:end]`` is not the body.

    ``text`` is the decoded body, or None if the body has no escapes. A number replaces the body and its quotes before
    the event is parsed. If the number occurs only once in the text, and ``body`` of the parsed event is this number,
    then ``raw[start:end]`` is the body.
    """
    outline = b"".join((raw[: start - 1], _MARK_TEXT, raw[end + 1 :]))
    if outline.count(_MARK_TEXT) > 1:
        return None
    try:
        event = orjson.loads(outline)
    except orjson.JSONDecodeError:
        return None
    codec = detect(event)
    if codec is PASS_THROUGH or not isinstance(body := event.get("body"), int) or body != _MARK:
        return None
    _check_keys(outline, event)
    if text is None and event.get(codec.base64_key) is True:
        # The decoder of base64 checks every byte itself.
        event["body"] = memoryview(raw)[start:end]
        return codec, event
    if text is None:
        from adapter.payload.json_text import decode_text  # only large texts need it

        decoded = decode_text(raw, start)
        if decoded is None:
            return None
        text = decoded[0]
    event["body"] = text
    return codec, event


def _parse(raw: bytes | bytearray) -> Any:
    """Return the parsed event. Raises InvalidEvent if it is not JSON.

    If the event is not an HTTP request, it may also be JSON that only a lenient parser accepts.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        event = _parse_leniently(raw, error)
        if detect(event) is PASS_THROUGH:
            return event
        raise InvalidEvent(f"the event is not JSON: {error}") from error


def _check_keys(raw: bytes | bytearray, event: Any) -> None:
    """Raise InvalidEvent if an object in the event has a repeated key, or if the event is nested too deep.

    If a key is repeated, a security check in front of the adapter may use one of the values, and the app another.
    """
    try:
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


def _reject_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        names = sorted(name for name, _ in pairs)
        repeated = [name for index, name in enumerate(names) if index and names[index - 1] == name]
        raise InvalidEvent(f"the event has the key {excerpt(repeated[0])} twice in one object")
    return unique


def _parse_leniently(raw: bytes | bytearray, error: orjson.JSONDecodeError) -> Any:
    """Parse the event with the standard library, which accepts NaN, numbers of any size and lone surrogates.

    The result is used only to detect the format. Integers are parsed as floats, since the library limits their digits.
    Raises InvalidEvent with the message of ``error`` if the standard library also rejects the event.
    """
    import json  # imported here, since only JSON that orjson rejects needs it

    try:
        return json.loads(raw.decode(), parse_int=float)
    except (ValueError, RecursionError):
        raise InvalidEvent(f"the event is not JSON: {error}") from error
