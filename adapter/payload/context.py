"""The headers that tell the app about its invocation, with the names that AWS Lambda Web Adapter gave them.

Their values are JSON in ASCII, since a header has no charset and servers differ in what they make of other bytes.
"""

from __future__ import annotations

import orjson

from adapter.errors import InvalidEvent
from adapter.payload.headers import with_twins

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adapter.payload.headers import Headers
    from adapter.payload.messages import Invocation

REQUEST_CONTEXT = "x-amzn-request-context"
LAMBDA_CONTEXT = "x-amzn-lambda-context"
TENANT_ID = "x-amz-tenant-id"
TRACE_ID = "x-amzn-trace-id"
#: Every spelling of the header that a trace id of Lambda's own replaces.
TRACE_ID_TWINS = with_twins([TRACE_ID])


def context_headers(request_context: Any, invocation: Invocation, env_config: dict[str, str | int]) -> Headers:
    """The headers that the adapter adds. ``request_context`` is the event's; None (pass-through) adds none for it.

    It is written from parsed JSON, in which an integer beyond 64 bits is already a float.
    ``env_config`` is about the function, the same for each invocation: function_name, memory (MiB), version, log_group
    and log_stream. Raises InvalidEvent when the client context or the Cognito identity is not JSON.
    """
    headers = [(LAMBDA_CONTEXT, ascii_json(_lambda_context(invocation, env_config)))]
    if request_context is not None:
        headers.append((REQUEST_CONTEXT, ascii_json(request_context)))
    if invocation.tenant_id:
        headers.append((TENANT_ID, invocation.tenant_id))
    if invocation.trace_id:
        headers.append((TRACE_ID, invocation.trace_id))
    return headers


def authorized(headers: Headers, source: str) -> Headers:
    """``headers`` with the value of ``source`` (lower case) as Authorization; unchanged where there is none.

    The source header goes, and so does an Authorization of the client's. Of several values the first one counts.
    """
    values = [value for name, value in headers if name.lower() == source]
    if not values:
        return headers
    others = [header for header in headers if header[0].lower() not in (source, "authorization")]
    return [*others, ("authorization", values[0])]


def ascii_json(value: Any) -> str:
    """``value`` as JSON without a byte that a header may not carry.

    Raises InvalidEvent for what orjson reads but does not write: nesting deeper than 254 levels.
    """
    try:
        text = orjson.dumps(value).decode()
    except orjson.JSONEncodeError as error:
        raise InvalidEvent(f"the event's request context cannot be a header: {error}") from error
    # orjson escapes every control character but DEL.
    if text.isascii() and "\x7f" not in text:
        return text
    return "".join([each if each.isascii() and each != "\x7f" else _escaped(each) for each in text])


def _escaped(character: str) -> str:
    """A character in JSON as its one or two UTF-16 units."""
    units = character.encode("utf-16-be").hex()
    return "".join([f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4)])


def _lambda_context(invocation: Invocation, env_config: dict[str, str | int]) -> dict[str, Any]:
    """The fields and names of the Rust runtime's Context, which is what AWS Lambda Web Adapter sends."""
    return {
        "request_id": invocation.request_id,
        "deadline": invocation.deadline_ms,
        "invoked_function_arn": invocation.invoked_function_arn,
        "xray_trace_id": invocation.trace_id or None,
        "client_context": _decoded("client context", invocation.client_context),
        "identity": _decoded("Cognito identity", invocation.cognito_identity),
        "env_config": env_config,
    }


def _decoded(what: str, text: str) -> Any:
    if not text:
        return None
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise InvalidEvent(f"the invocation's {what} is not JSON: {error}") from error
