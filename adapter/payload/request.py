"""From an invocation to the request that the app gets: everything between the Runtime API and the app's socket.

The order matters. What the client sent is read and stripped first; what the adapter says is added last, so that no
client can remove it or speak in its name.
"""

from __future__ import annotations

from adapter.aws.limits import PASS_THROUGH_PATH
from adapter.payload.context import TRACE_ID_TWINS, authorized, context_headers
from adapter.payload.event import read_event
from adapter.payload.formats.registry import PASS_THROUGH
from adapter.payload.headers import NOT_FOR_APP, forwardable
from adapter.payload.messages import Request
from adapter.payload.request_target import normal_base_path, request_target, split_target, strip_base_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from adapter.payload.formats.codec import Codec
    from adapter.payload.messages import Invocation

_NOT_FOR_APP_WHEN_TRACED = NOT_FOR_APP | TRACE_ID_TWINS


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
        pass_through_path: str = PASS_THROUGH_PATH,
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
    codec, event = read_event(invocation.event)
    if codec is PASS_THROUGH:
        request = PASS_THROUGH.request_of(invocation.event, rules.pass_through_path)
        request.headers.extend(context_headers(None, invocation, rules.env_config))
        return codec, request
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
