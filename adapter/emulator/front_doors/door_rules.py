"""What every front door has: its rules, and the errors that most of them share.

Each front door has a file of its own; ``registry.py`` lists them by name. The engine (front_door, request_event) is
shared by all. A value without a source beside it is in AWS's documentation of that service; [seen] was observed by
others and published, [unsure] is not confirmed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT, KIB, MIB, REQUEST_LIMIT, Bandwidth
from adapter.payload.function_response import MAX_PRELUDE_BYTES

if TYPE_CHECKING:
    from adapter.payload.formats.codec import Codec
    from adapter.payload.headers import Headers
    from adapter.payload.messages import Request

# API Gateway's quota for the request line and the headers together, in bytes.
GATEWAY_HEAD_LIMIT = 10 * KIB
# API Gateway's own limit for a request body, in bytes; Lambda's is lower.
GATEWAY_BODY_LIMIT = 10 * MIB
JSON = ("content-type", "application/json")


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
