"""The conversion of an invocation into the request for the app.

The order matters. The client's headers are filtered first, and the adapter's headers are added last. So a client can
neither remove nor forge the adapter's headers.

The added headers describe the invocation and have the same names as in AWS Lambda Web Adapter. Their values are JSON in
ASCII: HTTP defines no charset for headers, and servers differ in how they decode other bytes.
"""

from __future__ import annotations

import orjson

from adapter.aws.limits import PASS_THROUGH_PATH
from adapter.errors import InvalidEvent
from adapter.payload.event import PASS_THROUGH, read_event
from adapter.payload.headers import (
    LAMBDA_CONTEXT,
    LAMBDA_EVENT,
    REQUEST_CONTEXT,
    TENANT_ID,
    app_filter,
    forwardable,
    with_authorization,
)
from adapter.payload.messages import Request
from adapter.payload.request_target import normalize_base_path, request_target, split_target, strip_base_path

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final

    from adapter.payload.formats.codec import Codec
    from adapter.payload.headers import HeaderFilter, Headers
    from adapter.payload.messages import Invocation

_TRACE_ID: Final = "x-amzn-trace-id"


class RequestRules:
    """The user's settings for the request that the app receives.

    - ``base_path`` is removed from the start of paths.
    - ``pass_through_path`` is the path for events that are not HTTP requests.
    - ``authorization_source`` is the name of a header that is sent to the app as Authorization.
    - ``strip_forwarded`` is True if headers about the origin of a request (X-Forwarded-For …) are removed.
    - ``env_config`` is the part of the Lambda context that describes the Lambda function: function_name, memory (MiB),
      version, log_group and log_stream.

    An empty ``base_path`` or ``authorization_source`` has no effect.
    """

    __slots__ = ("authorization_source", "base_path", "env_config", "pass_through_path", "traced", "untraced")

    def __init__(
        self,
        *,
        base_path: str = "",
        pass_through_path: str = PASS_THROUGH_PATH,
        authorization_source: str = "",
        strip_forwarded: bool = False,
        env_config: dict[str, str | int] | None = None,
    ) -> None:
        self.base_path: Final = normalize_base_path(base_path)
        self.pass_through_path: Final = request_target(*split_target(pass_through_path))
        self.authorization_source: Final = authorization_source.lower()
        self.env_config: Final = env_config or {}
        # The filters of headers. If Lambda sends a trace id, the client's own is removed.
        self.untraced: Final = self._filter(frozenset(), strip_forwarded)
        self.traced: Final = self._filter(frozenset({_TRACE_ID}), strip_forwarded)

    def _filter(self, dropped: frozenset[str], strip_forwarded: bool) -> HeaderFilter:
        return app_filter(
            origin=not strip_forwarded,
            identity=False,
            dropped=dropped,
            kept=self.authorization_source,
            failure=InvalidEvent,
        )


def app_request(invocation: Invocation, rules: RequestRules) -> tuple[Codec, Request]:
    """Return two values: the event's codec, which will also encode the app's response, and the request for the app.

    If the request has no Host header, `encode_request_head` adds one. Raises InvalidEvent if the event or
    other data of ``invocation`` is malformed.
    """
    codec, event = read_event(invocation.event)
    if codec is PASS_THROUGH:
        request = PASS_THROUGH.request_of(invocation.event, rules.pass_through_path)
        request.headers.append((LAMBDA_EVENT, codec.name))
        request.headers.extend(context_headers(None, invocation, rules.env_config))
        return codec, request
    decoded = codec.decode_request(event)
    headers = forwardable(decoded.headers, rules.traced if invocation.trace_id else rules.untraced)
    if rules.authorization_source:
        headers = with_authorization(headers, rules.authorization_source)
    headers += context_headers(event.get("requestContext"), invocation, rules.env_config)
    target = strip_base_path(decoded.target, rules.base_path) if rules.base_path else decoded.target
    return codec, Request(method=decoded.method, target=target, headers=headers, body=decoded.body)


def context_headers(request_context: Any, invocation: Invocation, env_config: dict[str, str | int]) -> Headers:
    """Return the headers that the adapter adds.

    ``request_context`` is the event's request context, parsed from JSON, with integers beyond 64 bits as floats. If
    ``request_context`` is None, the header for it is omitted. Raises InvalidEvent if the client context or the Cognito
    identity of ``invocation`` is not JSON, or if `ascii_json` cannot write one of the values.
    """
    headers = [(LAMBDA_CONTEXT, ascii_json(_lambda_context(invocation, env_config)))]
    if request_context is not None:
        headers.append((REQUEST_CONTEXT, ascii_json(request_context)))
    if invocation.tenant_id:
        headers.append((TENANT_ID, invocation.tenant_id))
    if invocation.trace_id:
        headers.append((_TRACE_ID, invocation.trace_id))
    return headers


def ascii_json(value: Any) -> str:
    """Return ``value`` as ASCII JSON that is legal as a header value.

    Raises InvalidEvent if ``value`` is nested more than 254 levels deep, which orjson can read but not write.
    """
    try:
        text = orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise InvalidEvent(f"the event's request context cannot be written as a header: {error}") from error
    # orjson escapes every control character but DEL.
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join([each if each.isascii() and each != "\x7f" else _escape(each) for each in text])


def _escape(character: str) -> str:
    """Return JSON escapes for ``character``: one escape for each of its UTF-16 units."""
    units = character.encode("utf-16-be").hex()
    return "".join([f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4)])


def _lambda_context(invocation: Invocation, env_config: dict[str, str | int]) -> dict[str, Any]:
    """Return the Lambda context with the same fields as in AWS Lambda Web Adapter (the Rust runtime's ``Context``)."""
    return {
        "request_id": invocation.request_id,
        "deadline": invocation.deadline_ms,
        "invoked_function_arn": invocation.invoked_function_arn,
        "xray_trace_id": invocation.trace_id or None,
        "client_context": _parse_json("client context", invocation.client_context),
        "identity": _parse_json("Cognito identity", invocation.cognito_identity),
        "tenant_id": invocation.tenant_id or None,
        "env_config": env_config,
    }


def _parse_json(what: str, text: str) -> Any:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidEvent(f"the invocation's {what} is not JSON: {error}") from error
