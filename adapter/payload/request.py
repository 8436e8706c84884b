"""From an invocation to the request that the app gets: everything between the Runtime API and the app's socket.

The order matters. What the client sent is read and stripped first; what the adapter says is added last, so that no
client can remove it or speak in its name.
"""

from __future__ import annotations

import json

import orjson

from adapter.errors import InvalidEvent
from adapter.payload.context import TRACE_ID_TWINS, authorized, context_headers
from adapter.payload.formats import PASS_THROUGH, detect
from adapter.payload.headers import NOT_FOR_APP, forwardable, glimpse
from adapter.payload.messages import Request
from adapter.payload.pass_through import DEFAULT_PATH
from adapter.payload.request_line import normal_base_path, request_target, split_target, strip_base_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from adapter.payload.codec import Codec
    from adapter.payload.messages import Invocation

_NOT_FOR_APP_WHEN_TRACED = NOT_FOR_APP | TRACE_ID_TWINS
# Above this size of an event, in bytes, writing all of it anew was measured to cost more than writing what is around
# its body.
_LARGE_EVENT = 64 * 1024
_BODY_KEY = b'"body":'


class RequestRules:
    """The user's say in the request that the app gets.

    ``base_path`` is removed from the front of paths, ``pass_through_path`` gets the events that are not HTTP,
    ``authorization_source`` names a header that becomes Authorization; empty is none. ``env_config`` is for
    `context_headers`.
    """

    __slots__ = ("authorization_source", "base_path", "env_config", "pass_through_path")

    def __init__(
        self,
        *,
        base_path: str = "",
        pass_through_path: str = DEFAULT_PATH,
        authorization_source: str = "",
        env_config: dict[str, str | int] | None = None,
    ) -> None:
        self.base_path: Final = normal_base_path(base_path)
        self.pass_through_path: Final = request_target(*split_target(pass_through_path))
        self.authorization_source: Final = authorization_source.lower()
        self.env_config: Final = env_config or {}


def app_request(invocation: Invocation, rules: RequestRules) -> tuple[Codec, Request]:
    """The request for the app, and the codec for its response.

    There may be no Host header in it: only the writer knows the app's address. Raises InvalidEvent.
    """
    event = _parsed(invocation.event)
    codec = detect(event)
    if codec is PASS_THROUGH:
        request = PASS_THROUGH.request_of(invocation.event, rules.pass_through_path)
        request.headers.extend(context_headers(None, invocation, rules.env_config))
        return codec, request
    _check_keys(invocation.event, event)
    decoded = codec.decode_request(event)
    headers = forwardable(decoded.headers, _NOT_FOR_APP_WHEN_TRACED if invocation.trace_id else NOT_FOR_APP)
    if rules.authorization_source:
        headers = authorized(headers, rules.authorization_source)
    headers += context_headers(event.get("requestContext"), invocation, rules.env_config)
    return codec, Request(
        method=decoded.method,
        target=strip_base_path(decoded.target, rules.base_path),
        headers=headers,
        body=decoded.body,
    )


def _parsed(raw: bytes) -> Any:
    """The event as JSON. What only a lenient parser reads is for pass-through alone."""
    try:
        return orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        event = _leniently_parsed(raw, error)
        if detect(event) is PASS_THROUGH:
            return event
        raise InvalidEvent(f"the event is not JSON: {error}") from error


def _check_keys(raw: bytes, event: Any) -> None:
    """Raises InvalidEvent where an object has a key twice: others may have judged the value that is not used here.

    orjson does not tell. But what a front door writes is what orjson would write, and it writes no key twice.
    """
    try:
        if len(raw) > _LARGE_EVENT and _is_written_around_body(raw, event):
            return
        written = orjson.dumps(event)
    except orjson.JSONEncodeError as error:
        # orjson reads 1,024 levels and writes 254.
        raise InvalidEvent(f"the event is nested too deep: {error}") from error
    if written != raw:
        json.loads(raw, parse_int=float, object_pairs_hook=_unique)


def _is_written_around_body(raw: bytes, event: Any) -> bool:
    """Whether ``raw``, which is JSON, is what orjson writes for ``event``, but for the text of one string, the body.

    False also for a body with a quote in it. A quote that is where the body should end does end it: were it escaped,
    strings and what is between them would change places from there on, and the last string would not end.
    """
    before, key, after = orjson.dumps(event | {"body": ""}).partition(_BODY_KEY + b'""')
    opening, closing = before + _BODY_KEY + b'"', b'"' + after
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


def _leniently_parsed(raw: bytes, error: orjson.JSONDecodeError) -> Any:
    """The event by the standard library, which takes NaN, numbers of any size and lone surrogates.

    It is read for its outline only. ``parse_int`` keeps the library's own limit on digits out of it.
    """
    try:
        return json.loads(raw.decode(), parse_int=float)
    except (ValueError, RecursionError):
        raise InvalidEvent(f"the event is not JSON: {error}") from error
