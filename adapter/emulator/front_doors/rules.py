"""What distinguishes one front door from another, as a table: event format, limits, timeouts, errors, response headers.

The engine (front_door, request_event, door_response) is the same for all of them. A value without a source beside it is
in AWS's documentation of that service; [seen] was observed by others and told in public, [unsure] is not confirmed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

import orjson

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT, KIB, MIB, REQUEST_LIMIT, Bandwidth
from adapter.payload.event import FORMATS
from adapter.payload.function_response import MAX_PRELUDE_BYTES
from adapter.payload.status_line import status_line

if TYPE_CHECKING:
    from adapter.payload.formats.codec import Codec
    from adapter.payload.headers import Headers

# Where several front doors share one: API Gateway's quota for a request's line and header values.
_GATEWAY_HEAD_LIMIT = 10 * KIB
# API Gateway's own limit for a request body, above Lambda's.
_GATEWAY_BODY_LIMIT = 10 * MIB
# "The first 10 MB uncapped, then 2 MB/s" (API Gateway, response payload streaming).
REST_BANDWIDTH = Bandwidth(burst=10 * MIB, rate=2 * MIB)


class Reason(Enum):
    """Why a front door answers by itself. ``FUNCTION``: the function failed, or its response is none."""

    BAD_REQUEST = "the request is not one that it takes"
    NO_RESOURCE = "it serves no such resource"
    HEAD_TOO_LARGE = "request line and headers are over its limit"
    BODY_TOO_LARGE = "the body is over its own limit"
    EVENT_TOO_LARGE = "Lambda would refuse the event"
    FUNCTION = "the function failed"
    TIMED_OUT = "the function took longer than it waits"
    THROTTLED = "Lambda refused the invocation"


ErrorBody = Callable[[int, str], "tuple[Headers, bytes]"]


def _json_body(key: str, *, space: bool = False) -> ErrorBody:
    def write(_status: int, message: str) -> tuple[Headers, bytes]:
        quoted = orjson.dumps(message).decode()
        body = f'{{"{key}": {quoted}}}' if space else f'{{"{key}":{quoted}}}'
        return [("content-type", "application/json")], body.encode()

    return write


def _url_body(status: int, message: str) -> tuple[Headers, bytes]:
    """A function URL: errors of the function are bare text [seen], those of the request JSON [unsure]."""
    headers: Headers = [("content-type", "application/json")]
    return headers, message.encode() if status == 502 else orjson.dumps({"Message": message})


def _html_body(status: int, _message: str) -> tuple[Headers, bytes]:
    """A load balancer's page [seen]."""
    line = "413 Request Entity Too Large" if status == 413 else status_line(status)
    lines = (
        "<html>",
        f"<head><title>{line}</title></head>",
        "<body>",
        f"<center><h1>{line}</h1></center>",
        "</body>",
        "</html>",
        "",
    )
    return [("server", "awselb/2.0"), ("content-type", "text/html")], "\r\n".join(lines).encode()


def _text_body(_status: int, message: str) -> tuple[Headers, bytes]:
    return [("content-type", "text/plain")], message.encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRules:
    """One front door. Sizes are in bytes, times in seconds, None is no limit of its own.

    ``head_limit`` counts the request line and all headers, ``line_limit`` each of them, with its line's end.
    ``body_limit`` counts a request's body as the client sent it, Lambda's own 6 MB count the event's.
    ``response_limit`` counts the function's whole payload, ``response_timeout`` bounds a response that is not streamed.
    ``prelude_limit`` is how late a streamed response's head may end, ``needs_prelude`` says that there is no stream
    without one. ``has_resources``: it serves one resource, on a stage. ``default_type`` is the content type of a
    response that names none. ``marks`` are the headers with the request id. ``remapped`` response headers come out
    under another name.
    """

    name: str
    title: str
    codec: Codec
    streams: bool = False
    head_limit: int = MIB
    line_limit: int | None = None
    body_limit: int = REQUEST_LIMIT
    response_limit: int = BUFFERED_RESPONSE_LIMIT
    response_timeout: float | None = None
    bandwidth: Bandwidth | None = None
    needs_prelude: bool = False
    prelude_limit: int = MAX_PRELUDE_BYTES
    refuses_upgrades: bool = False
    has_resources: bool = False
    default_type: str = ""
    request_id_headers: tuple[str, ...] = ()
    remapped: frozenset[str] = frozenset()
    error_body: ErrorBody = _text_body
    errors: Mapping[Reason, tuple[int, str]] = field(default_factory=dict)

    def error(self, reason: Reason) -> tuple[int, Headers, bytes]:
        """Status, headers and body of the answer that the front door gives by itself."""
        status, message = self.errors[reason]
        return status, *self.error_body(status, message)


_FUNCTION_URL = DoorRules(
    name="function-url",
    title="a function URL",
    codec=FORMATS["http-api"],
    streams=True,
    default_type="application/json",
    request_id_headers=("x-amzn-RequestId",),
    error_body=_url_body,
    # The statuses are Lambda's; the words, and what a throttled URL says, are not documented [unsure].
    errors={
        Reason.BAD_REQUEST: (400, "Bad Request"),
        Reason.HEAD_TOO_LARGE: (431, "Request Header Fields Too Large"),
        Reason.BODY_TOO_LARGE: (413, "Request Entity Too Large"),
        Reason.EVENT_TOO_LARGE: (413, "Request Entity Too Large"),
        Reason.FUNCTION: (502, "Internal Server Error"),
        Reason.TIMED_OUT: (504, "Gateway Timeout"),
        Reason.THROTTLED: (429, "Rate Exceeded."),
    },
)

_HTTP_API = DoorRules(
    name="http-api",
    title="an HTTP API",
    codec=FORMATS["http-api"],
    head_limit=_GATEWAY_HEAD_LIMIT,
    body_limit=_GATEWAY_BODY_LIMIT,
    response_timeout=30.0,
    default_type="application/json",
    request_id_headers=("apigw-requestid",),
    error_body=_json_body("message"),
    # A function error is a 500 with this text, a timeout a 503 [seen]; the rest is [unsure].
    errors={
        Reason.BAD_REQUEST: (400, "Bad Request"),
        Reason.HEAD_TOO_LARGE: (431, "Request Header Fields Too Large"),
        Reason.BODY_TOO_LARGE: (413, "Request Entity Too Large"),
        Reason.EVENT_TOO_LARGE: (413, "Request Entity Too Large"),
        Reason.FUNCTION: (500, "Internal Server Error"),
        Reason.TIMED_OUT: (503, "Service Unavailable"),
        Reason.THROTTLED: (503, "Service Unavailable"),
    },
)

_REST_API = DoorRules(
    name="rest-api",
    title="a REST API",
    codec=FORMATS["rest-api"],
    streams=True,
    head_limit=_GATEWAY_HEAD_LIMIT,
    body_limit=_GATEWAY_BODY_LIMIT,
    response_timeout=29.0,
    has_resources=True,
    bandwidth=REST_BANDWIDTH,
    needs_prelude=True,
    prelude_limit=16 * KIB,
    default_type="application/json",
    request_id_headers=("x-amzn-RequestId", "x-amz-apigw-id"),
    # API Gateway's table of header restrictions has more of them [unsure: which apply to proxy responses].
    remapped=frozenset({"authorization", "date", "server", "user-agent", "www-authenticate"}),
    error_body=_json_body("message", space=True),
    # "If the Lambda API rejects the invocation request, API Gateway returns 500; if the function returns an error, or a
    # response in the wrong format, 502" (Lambda, "Handling errors with API Gateway"). 431 is [unsure].
    errors={
        Reason.BAD_REQUEST: (400, "Bad Request"),
        Reason.NO_RESOURCE: (403, "Missing Authentication Token"),
        Reason.HEAD_TOO_LARGE: (431, "Request Header Fields Too Large"),
        Reason.BODY_TOO_LARGE: (413, f"HTTP content length exceeded {_GATEWAY_BODY_LIMIT} bytes."),
        Reason.EVENT_TOO_LARGE: (500, "Internal server error"),
        Reason.FUNCTION: (502, "Internal server error"),
        Reason.TIMED_OUT: (504, "Endpoint request timed out"),
        Reason.THROTTLED: (500, "Internal server error"),
    },
)

_BALANCER_ERRORS = {
    Reason.BAD_REQUEST: (400, "Bad Request"),
    Reason.HEAD_TOO_LARGE: (400, "Bad Request"),
    Reason.BODY_TOO_LARGE: (413, "Request Entity Too Large"),
    Reason.EVENT_TOO_LARGE: (413, "Request Entity Too Large"),
    Reason.FUNCTION: (502, "Bad Gateway"),
    Reason.TIMED_OUT: (504, "Gateway Timeout"),
    # [unsure]
    Reason.THROTTLED: (502, "Bad Gateway"),
}


def _balancer(name: str, title: str) -> DoorRules:
    return DoorRules(
        name=name,
        title=title,
        codec=FORMATS[name],
        head_limit=64 * KIB,
        line_limit=16 * KIB,
        body_limit=MIB,
        response_limit=MIB,
        refuses_upgrades=True,
        error_body=_html_body,
        errors=_BALANCER_ERRORS,
    )


def _lattice(name: str, codec: str, title: str) -> DoorRules:
    # The limits are documented, statuses and words of the errors are not [unsure].
    return DoorRules(
        name=name,
        title=title,
        codec=FORMATS[codec],
        response_limit=6 * MIB,
        errors={
            Reason.BAD_REQUEST: (400, "Bad Request"),
            Reason.HEAD_TOO_LARGE: (431, "Request Header Fields Too Large"),
            Reason.BODY_TOO_LARGE: (413, "Payload Too Large"),
            Reason.EVENT_TOO_LARGE: (413, "Payload Too Large"),
            Reason.FUNCTION: (502, "Bad Gateway"),
            Reason.TIMED_OUT: (504, "Gateway Timeout"),
            Reason.THROTTLED: (503, "Service Unavailable"),
        },
    )


#: Every front door by its name.
DOORS: dict[str, DoorRules] = {
    rules.name: rules
    for rules in (
        _FUNCTION_URL,
        _HTTP_API,
        _REST_API,
        _balancer("alb", "a load balancer"),
        _balancer("alb-multi-value", "a load balancer with multi-value headers"),
        _lattice("lattice", "lattice-v2", "a VPC Lattice service"),
        _lattice("lattice-v1", "lattice-v1", "a VPC Lattice service, event version 1"),
    )
}
