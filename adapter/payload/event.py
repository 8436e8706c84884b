"""An event's JSON: which format it has, that no key comes twice, and its values.

orjson is fast and silent about a key that comes twice. But what a front door writes is what orjson would write, so that
an event which comes out as it went in has no such key. Of others the pairs are counted, in the text and in the values.
Only where the text is too unusual to count in a slower parser looks.

Of a large event nearly all is its body. Where that is base64, JSON has nothing to say about it: the event is read
without it, and its text stays where it was received.
"""

from __future__ import annotations

import orjson

from adapter.errors import InvalidEvent
from adapter.payload.formats.registry import PASS_THROUGH, detect
from adapter.payload.headers import glimpse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adapter.payload.formats.codec import Codec

# Above this size of an event, in bytes, writing all of it anew was measured to cost more than writing what is around
# its body.
_LARGE_EVENT = 64 * 1024
_BODY_KEY = b'"body":'
_BODY_OPENING = _BODY_KEY + b'"'
# Colons that may be behind a key although no quote is right before them.
_UNUSUAL_COLONS = (b" :", b"\t:", b"\n:", b"\r:")
# Stands for a body that was left out.
_MARK = b"(left out)"


def read_event(raw: bytes | bytearray) -> tuple[Codec, Any]:
    """The format of the event that ``raw`` holds, and its values. ``body`` may be a memoryview of base64 in ``raw``.

    Raises InvalidEvent for what is not JSON, and for a key that comes twice in an event of HTTP.
    """
    large = len(raw) > _LARGE_EVENT
    if large and (read := _read_around_base64(raw)) is not None:
        return read
    event = _parsed(raw)
    codec = detect(event)
    if codec is not PASS_THROUGH:
        _check_keys(raw, event, large=large)
    return codec, event


def _read_around_base64(raw: bytes | bytearray) -> tuple[Codec, Any] | None:
    """The event with a view of its body's text in ``raw``; None where the body is not base64 or anything is unusual.

    The first quote behind the body's opening one ends it, since there is no backslash before it. That the only mark is
    ``body`` of the whole event shows that it was this body which was left out.
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


def _parsed(raw: bytes | bytearray) -> Any:
    """The event as JSON. What only a lenient parser reads is for pass-through alone."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        event = _leniently_parsed(raw, error)
        if detect(event) is PASS_THROUGH:
            return event
        raise InvalidEvent(f"the event is not JSON: {error}") from error


def _check_keys(raw: bytes | bytearray, event: Any, *, large: bool) -> None:
    """Raises InvalidEvent where an object has a key twice: others may have judged the value that is not used here."""
    try:
        if large and _is_written_around_body(raw, event):
            return
        written = orjson.dumps(event)
    except orjson.JSONEncodeError as error:
        # orjson reads 1,024 levels and writes 254.
        raise InvalidEvent(f"the event is nested too deep: {error}") from error
    if written != raw and _pairs_written(raw) != _pairs(event):
        import json  # a front door's own event does not need it

        json.loads(raw, parse_int=float, object_pairs_hook=_unique)


def _pairs_written(raw: bytes | bytearray) -> int:
    """How many pairs of key and value ``raw``, which is JSON, has, or more; -1 where that cannot be told.

    Behind every key there is a quote and a colon. A text in which white space may be between the two is not counted in.
    """
    if any(raw.find(unusual) >= 0 for unusual in _UNUSUAL_COLONS):
        return -1
    return raw.count(b'":')


def _pairs(value: Any) -> int:
    """How many pairs of key and value there are in ``value`` and all that it holds."""
    if isinstance(value, dict):
        count = len(value)
        for each in value.values():
            count += _pairs(each)
        return count
    if isinstance(value, list):
        count = 0
        for each in value:
            count += _pairs(each)
        return count
    return 0


def _is_written_around_body(raw: bytes | bytearray, event: Any) -> bool:
    """Whether ``raw``, which is JSON, is what orjson writes for ``event``, but for the text of one string, the body.

    False also for a body with a quote in it. A quote that is where the body should end does end it: were it escaped,
    strings and what is between them would change places from there on, and the last string would not end.
    """
    before, key, after = orjson.dumps(event | {"body": ""}).partition(_BODY_KEY + b'""')
    opening, closing = before + _BODY_OPENING, b'"' + after
    if not (key and raw.startswith(opening) and raw.endswith(closing)):
        return False
    return raw.find(b'"', len(opening)) == len(raw) - len(closing)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) != len(pairs):
        names = [name for name, _ in pairs]
        repeated = next(name for name in names if names.count(name) > 1)
        raise InvalidEvent(f"the event has the key {glimpse(repeated)} twice in one object")
    return unique


def _leniently_parsed(raw: bytes | bytearray, error: orjson.JSONDecodeError) -> Any:
    """The event by the standard library, which takes NaN, numbers of any size and lone surrogates.

    It is read for its outline only. ``parse_int`` keeps the library's own limit on digits out of it.
    """
    import json  # only what orjson refuses needs it

    try:
        return json.loads(raw.decode(), parse_int=float)
    except (ValueError, RecursionError):
        raise InvalidEvent(f"the event is not JSON: {error}") from error
