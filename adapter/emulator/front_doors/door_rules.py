"""The rules of a front door, and the errors that most front doors share.

Each front door has a file with its rules; ``registry.py`` lists the front doors by name. All front doors share the
code of ``front_door.py`` and ``request_event.py``. A value without a mark comes from AWS's documentation of the
service. [seen] marks a value that others have observed and published. [unsure] marks a value that is not confirmed.
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

# API Gateway's quota for the request line and the headers together, in bytes.
GATEWAY_HEAD_LIMIT = 10 * KIB
# The request headers that most front doors set.
FORWARDED = frozenset({"x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id"})
# API Gateway's limit for a request body, in bytes. Lambda's own limit is lower.
GATEWAY_BODY_LIMIT = 10 * MIB
JSON = ("content-type", "application/json")


class Reason(Enum):
    """The reasons for which a front door itself sends an error response."""

    BAD_REQUEST = "the front door does not accept the request"
    NO_RESOURCE = "the front door has no resource for this path"
    HEAD_TOO_LARGE = "the request line and the headers exceed the front door's limit"
    BODY_TOO_LARGE = "the body exceeds the front door's limit"
    EVENT_TOO_LARGE = "the event exceeds Lambda's limit"
    FUNCTION = "the function failed, or its response is not valid"
    TIMED_OUT = "the function took longer than the front door waits"
    THROTTLED = "Lambda refused the invocation"


# Status and message for each reason, as most front doors send them.
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
    """The rules of one front door. Sizes are in bytes, times in seconds. A limit of None means unlimited.

    ``title`` names the front door in messages.
    ``head_limit`` applies to the request line and all headers together. ``line_limit`` applies to the request line and
    to each header separately.
    ``body_limit`` applies to the request body as the client sent it; Lambda's own 6 MB limit applies to the body in the
    event. ``response_limit`` applies to the function's whole payload.
    ``response_timeout`` is how long the front door waits for a complete response; streamed responses have no timeout.
    ``prelude_limit`` is the largest metadata prelude of a streamed response. ``needs_prelude`` is True if a stream
    without a prelude is an error.
    ``add_resource`` is a function that adds the front door's resource to an event, like ``rest_api.add_resource``. It
    is None if the front door has neither resources nor stages.
    ``default_type`` is the content type of responses for which the function sets none. ``stream_type`` is the
    content type of such responses if they are streamed; if it is empty, ``default_type`` applies.
    ``forwarded`` are the request headers, in lower case, that the front door sets. They replace the client's headers of
    the same names. If ``extends_forwarded_for`` is True, the client's address is appended to the X-Forwarded-For that
    the client has sent.
    ``request_id_headers`` are the response headers that contain the request id.
    ``remapped`` are the response headers, in lower case, that are sent as ``x-amzn-Remapped-NAME``.
    ``stream_remapped`` replaces ``remapped`` for streamed responses.
    ``undoes_encoding`` is True if the front door decodes streamed responses that have a Content-Encoding.
    ``errors`` are the statuses and messages that differ from those of most front doors. ``error_body`` returns the
    headers and the body of the error response for a status and a message.
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
    add_resource: Callable[[dict[str, Any], str], bool] | None = None
    default_type: str = ""
    forwarded: frozenset[str] = FORWARDED
    extends_forwarded_for: bool = False
    stream_type: str = ""
    request_id_headers: tuple[str, ...] = ()
    remapped: frozenset[str] = frozenset()
    stream_remapped: frozenset[str] = frozenset()
    undoes_encoding: bool = False

    def error_response(self, reason: Reason) -> tuple[int, Headers, bytes]:
        """Return the status, headers and body of the error response for ``reason``."""
        status, message = {**_COMMON_ERRORS, **self.errors}[reason]
        return status, *self.error_body(status, message)
