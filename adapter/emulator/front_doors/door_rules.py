"""The rules of every front door: event format, limits, timeouts, errors, response headers, the resource of a REST API.

The engine (front_door, request_event) is the same for all front doors. A value without a source beside it is in AWS's
documentation of that service; [seen] was observed by others and published, [unsure] is not confirmed. What has no value
here is as in ``DoorRules``: Lambda's own limits, the common errors.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import TYPE_CHECKING, Any

import orjson

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT, KIB, MIB, REQUEST_LIMIT, Bandwidth
from adapter.payload.event import FORMATS
from adapter.payload.function_response import MAX_PRELUDE_BYTES
from adapter.payload.request_target import percent_decode
from adapter.payload.status_line import status_line

if TYPE_CHECKING:
    from adapter.payload.formats.codec import Codec
    from adapter.payload.headers import Headers
    from adapter.payload.messages import Request

# API Gateway's quota for the request line and the headers together, in bytes.
_GATEWAY_HEAD_LIMIT = 10 * KIB
# API Gateway's own limit for a request body, in bytes; Lambda's is lower.
_GATEWAY_BODY_LIMIT = 10 * MIB
# "The first 10 MB uncapped, then 2 MB/s" (API Gateway, response payload streaming).
REST_BANDWIDTH = Bandwidth(burst=10 * MIB, rate=2 * MIB)

_JSON = ("content-type", "application/json")
_PARAMETER = re.compile(r"\{(\w+)(\+?)\}")


class Reason(Enum):
    """Why a front door answers by itself."""

    BAD_REQUEST = "the front door does not accept the request"
    NO_RESOURCE = "the front door has no resource for this path"
    HEAD_TOO_LARGE = "the request line and the headers exceed the front door's limit"
    BODY_TOO_LARGE = "the body exceeds the front door's limit"
    EVENT_TOO_LARGE = "the event exceeds Lambda's limit"
    FUNCTION = "the function failed, or its response is not valid"
    TIMED_OUT = "the function took longer than the front door waits"
    THROTTLED = "Lambda refused the invocation"


# The errors of most front doors.
_COMMON_ERRORS: dict[Reason, tuple[int, str]] = {
    Reason.BAD_REQUEST: (400, "Bad Request"),
    Reason.HEAD_TOO_LARGE: (431, "Request Header Fields Too Large"),
    Reason.BODY_TOO_LARGE: (413, "Request Entity Too Large"),
    Reason.EVENT_TOO_LARGE: (413, "Request Entity Too Large"),
    Reason.FUNCTION: (502, "Bad Gateway"),
    Reason.TIMED_OUT: (504, "Gateway Timeout"),
    Reason.THROTTLED: (503, "Service Unavailable"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class DoorRules:
    """The rules of one front door. Sizes are in bytes, times in seconds; None is no limit.

    ``title`` names the front door in messages.
    ``head_limit`` counts the request line and all headers, ``line_limit`` each of these lines.
    ``body_limit`` counts a request's body as the client sent it; Lambda's own 6 MB count the body in the event.
    ``response_limit`` counts the function's whole payload; ``response_timeout`` bounds a response that is not streamed.
    ``prelude_limit`` is the number of bytes in which a streamed response's head must end. ``needs_prelude`` is True if
    a response without a prelude cannot be streamed.
    ``add_resource`` completes an event for the resource that the front door serves, as ``rest_api.add_resource`` does;
    None if the front door has no resources and stages.
    ``default_type`` is the content type of a response that has none.
    ``request_id_headers`` are the response headers that carry the request id.
    ``remapped`` response headers are sent under another name.
    ``errors`` are the statuses and messages that differ from the common ones; ``error_body`` makes the headers and the
    body of an error from them.
    """

    name: str
    title: str
    codec: Codec
    errors: dict[Reason, tuple[int, str]]
    error_body: Callable[[int, str], tuple[Headers, bytes]]
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
    add_resource: Callable[[dict[str, Any], Request, str], bool] | None = None
    default_type: str = ""
    request_id_headers: tuple[str, ...] = ()
    remapped: frozenset[str] = frozenset()

    def error_response(self, reason: Reason) -> tuple[int, Headers, bytes]:
        """Return status, headers and body of the answer for ``reason``."""
        status, message = {**_COMMON_ERRORS, **self.errors}[reason]
        return status, *self.error_body(status, message)


def _url_error(status: int, message: str) -> tuple[Headers, bytes]:
    """Return plain text for errors of the function [seen], and JSON for errors of the request [unsure]."""
    return [_JSON], message.encode() if status == 502 else orjson.dumps({"Message": message})


def _http_api_error(_status: int, message: str) -> tuple[Headers, bytes]:
    return [_JSON], orjson.dumps({"message": message})


def _rest_api_error(_status: int, message: str) -> tuple[Headers, bytes]:
    return [_JSON], b'{"message": ' + orjson.dumps(message) + b"}"


def _alb_error(status: int, _message: str) -> tuple[Headers, bytes]:
    """Return a load balancer's HTML page [seen]."""
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


def _lattice_error(_status: int, message: str) -> tuple[Headers, bytes]:
    return [("content-type", "text/plain")], message.encode()


def add_resource(event: dict[str, Any], request: Request, resource: str) -> bool:
    """Complete ``event`` as API Gateway does for ``resource``; return False if the resource does not cover the path.

    ``{name}`` stands for one segment, ``{name+}`` at the end for one or more. A greedy resource at the root also covers
    the root itself, because the templates that create one always add the root beside it.
    """
    path = request.target.partition("?")[0]
    if path == "/" and resource == "/{proxy+}":
        resource = "/"
    matched = _pattern(resource).fullmatch(path)
    if matched is None:
        return False
    event["resource"] = event["requestContext"]["resourcePath"] = resource
    event["pathParameters"] = {name: percent_decode(value) for name, value in matched.groupdict().items()} or None
    return True


def _pattern(resource: str) -> re.Pattern[str]:
    parts = []
    position = 0
    for parameter in _PARAMETER.finditer(resource):
        parts.append(re.escape(resource[position : parameter.start()]))
        parts.append(f"(?P<{parameter[1]}>{'.+' if parameter[2] else '[^/]+'})")
        position = parameter.end()
    return re.compile("".join(parts) + re.escape(resource[position:]))


_FUNCTION_URL = DoorRules(
    name="function-url",
    title="a function URL",
    codec=FORMATS["http-api"],
    streams=True,
    default_type="application/json",
    request_id_headers=("x-amzn-RequestId",),
    error_body=_url_error,
    # The statuses are Lambda's; the texts, and what a throttled URL answers, are not documented [unsure].
    errors={Reason.FUNCTION: (502, "Internal Server Error"), Reason.THROTTLED: (429, "Rate Exceeded.")},
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
    error_body=_http_api_error,
    # A function error is a 500 with this text, a timeout a 503 [seen]; the rest is [unsure].
    errors={Reason.FUNCTION: (500, "Internal Server Error"), Reason.TIMED_OUT: (503, "Service Unavailable")},
)
_REST_API = DoorRules(
    name="rest-api",
    title="a REST API",
    codec=FORMATS["rest-api"],
    streams=True,
    head_limit=_GATEWAY_HEAD_LIMIT,
    body_limit=_GATEWAY_BODY_LIMIT,
    response_timeout=29.0,
    add_resource=add_resource,
    bandwidth=REST_BANDWIDTH,
    needs_prelude=True,
    prelude_limit=16 * KIB,
    default_type="application/json",
    request_id_headers=("x-amzn-RequestId", "x-amz-apigw-id"),
    # API Gateway's table of header restrictions has more headers [unsure: which of them apply to proxy responses].
    remapped=frozenset({"authorization", "date", "server", "user-agent", "www-authenticate"}),
    error_body=_rest_api_error,
    # "If the Lambda API rejects the invocation request, API Gateway returns 500; if the function returns an error, or a
    # response in the wrong format, 502" (Lambda, "Handling errors with API Gateway"). 431 is [unsure].
    errors={
        Reason.NO_RESOURCE: (403, "Missing Authentication Token"),
        Reason.BODY_TOO_LARGE: (413, f"HTTP content length exceeded {_GATEWAY_BODY_LIMIT} bytes."),
        Reason.EVENT_TOO_LARGE: (500, "Internal server error"),
        Reason.FUNCTION: (502, "Internal server error"),
        Reason.TIMED_OUT: (504, "Endpoint request timed out"),
        Reason.THROTTLED: (500, "Internal server error"),
    },
)
_ALB = DoorRules(
    name="alb",
    title="a load balancer",
    codec=FORMATS["alb"],
    head_limit=64 * KIB,
    line_limit=16 * KIB,
    body_limit=MIB,
    response_limit=MIB,
    refuses_upgrades=True,
    error_body=_alb_error,
    # The answer to a throttled invocation is [unsure].
    errors={Reason.HEAD_TOO_LARGE: (400, "Bad Request"), Reason.THROTTLED: (502, "Bad Gateway")},
)
_ALB_MULTI_VALUE = replace(
    _ALB, name="alb-multi-value", title="a load balancer with multi-value headers", codec=FORMATS["alb-multi-value"]
)
_LATTICE = DoorRules(
    name="lattice",
    title="a VPC Lattice service",
    codec=FORMATS["lattice-v2"],
    response_limit=6 * MIB,
    error_body=_lattice_error,
    # The limits are documented; the statuses and texts of the errors are not [unsure].
    errors={Reason.BODY_TOO_LARGE: (413, "Payload Too Large"), Reason.EVENT_TOO_LARGE: (413, "Payload Too Large")},
)
_LATTICE_V1 = replace(
    _LATTICE, name="lattice-v1", title="a VPC Lattice service, event version 1", codec=FORMATS["lattice-v1"]
)

#: All rules by name, in the order in which help texts list them (``config.parsers.FRONT_DOORS``).
DOORS: dict[str, DoorRules] = {
    rules.name: rules for rules in (_FUNCTION_URL, _HTTP_API, _REST_API, _ALB, _ALB_MULTI_VALUE, _LATTICE, _LATTICE_V1)
}
