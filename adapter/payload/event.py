"""All payload formats, and an event's JSON: the format it has, its values, and a check that no key is repeated.

Events do not name their format. Each codec recognizes its own events by their outline, no event has the outline of two
formats, and an event without any known outline is passed through.

orjson is fast and silently accepts a repeated key. But front doors write JSON as orjson would, so an event that orjson
writes exactly as it arrived has no repeated key. For other events the pairs in the text and in the values are counted,
and only if the text is too unusual to count does a slower parser check it.

A large event is nearly all body. If the body is base64, JSON parsing adds nothing: the event is parsed without it, and
its text stays in the buffer where it was received.
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

# In bytes. For larger events, writing only the JSON around the body was measured to cost less than writing all of it.
_LARGE_EVENT = 64 * 1024
_BODY_KEY = b'"body":'
_BODY_OPENING = _BODY_KEY + b'"'
# Colons that may follow a key although the byte before them is not a quote.
_UNUSUAL_COLONS = (b" :", b"\t:", b"\n:", b"\r:")
# Takes the place of a body that is not parsed.
_MARK = b"(left out)"


def detect(event: Any) -> Codec:
    """Return the format of ``event``, which is any decoded JSON."""
    for codec in HTTP_FORMATS:
        if codec.matches(event):
            return codec
    return PASS_THROUGH


def read_event(raw: bytes | bytearray) -> tuple[Codec, Any]:
    """Return the format and the values of the event in ``raw``. ``body`` may be a memoryview of base64 in ``raw``.

    Raises InvalidEvent if ``raw`` is not JSON, or if it is an HTTP event with a repeated key.
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
    """Return the event with a view of its body in ``raw``, or None if the body is not base64 or anything is unusual.

    The first quote after the opening one ends the body, since there is no backslash between the two. The text that was
    left out is the event's ``body`` if the only mark is there.
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
    """Return the values of the event. Raises InvalidEvent if it is not JSON.

    JSON that only a lenient parser accepts may be passed through, but is not an HTTP event.
    """
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        event = _parse_leniently(raw, error)
        if detect(event) is PASS_THROUGH:
            return event
        raise InvalidEvent(f"the event is not JSON: {error}") from error


def _check_keys(raw: bytes | bytearray, event: Any, *, large: bool) -> None:
    """Raise InvalidEvent if an object has a repeated key: a check before us may have seen the other value."""
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
    """Return the number of key-value pairs in the JSON text, or more; -1 if white space may precede a colon.

    A quote and a colon follow every key, and may also occur within a string.
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
    """Return whether the JSON text differs from what orjson writes for ``event`` only within the body.

    Returns False also if the body contains a quote. A quote at the place where the body should end does end it: if it
    were escaped, text inside and outside of strings would change places there, and the last string would not end.
    """
    before, key, after = orjson.dumps(event | {"body": ""}).partition(_BODY_KEY + b'""')
    opening, closing = before + _BODY_OPENING, b'"' + after
    if not (key and raw.startswith(opening) and raw.endswith(closing)):
        return False
    return raw.find(b'"', len(opening)) == len(raw) - len(closing)


def _reject_repeated_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise InvalidEvent(f"the event has the key {excerpt(repeated)} twice in one object")
    return unique


def _parse_leniently(raw: bytes | bytearray, error: orjson.JSONDecodeError) -> Any:
    """Return the event as the standard library reads it, which accepts NaN, numbers of any size and lone surrogates.

    Only its outline is used. ``parse_int`` avoids the library's limit on the digits of an integer. Raises InvalidEvent,
    with the message of ``error``, if it is not JSON either way.
    """
    import json  # imported here, since only JSON that orjson rejects needs it

    try:
        return json.loads(raw.decode(), parse_int=float)
    except (ValueError, RecursionError):
        raise InvalidEvent(f"the event is not JSON: {error}") from error
