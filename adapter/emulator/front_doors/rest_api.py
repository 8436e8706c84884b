"""The front door of an API Gateway REST API, and the matching of a request's path with a resource of the API."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import orjson

from adapter.aws.limits import KIB, MIB, Bandwidth
from adapter.emulator.front_doors.door_rules import GATEWAY_BODY_LIMIT, GATEWAY_HEAD_LIMIT, JSON, DoorRules, Reason
from adapter.payload.event import FORMATS

if TYPE_CHECKING:
    from adapter.payload.headers import Headers

# "The first 10 MB uncapped, then 2 MB/s" (API Gateway, response payload streaming).
REST_BANDWIDTH = Bandwidth(burst=10 * MIB, rate=2 * MIB)
# API Gateway's table of header restrictions lists more headers [unsure: which apply to proxy responses].
_REMAPPED = frozenset({"authorization", "date", "server", "user-agent", "www-authenticate"})
_PARAMETER = re.compile(r"\{(\w+)(\+?)\}")


def error_body(_status: int, message: str) -> tuple[Headers, bytes]:
    return [JSON], b'{"message": ' + orjson.dumps(message) + b"}"


def add_resource(event: dict[str, Any], resource: str) -> bool:
    """Write ``resource`` and its path parameters into ``event`` and return True.

    Returns False, and changes nothing, if the event's path does not match the resource.

    ``{name}`` matches one segment of the path; ``{name+}`` at the end matches one or more. ``/{proxy+}`` also matches
    the path ``/``, because a template that declares this resource always declares the resource ``/`` as well. The
    values of the parameters are encoded like the path. Slashes at the end of the path are ignored [seen].
    """
    path = event["path"].rstrip("/") or "/"
    if path == "/" and resource == "/{proxy+}":
        resource = "/"
    matched = _pattern(resource).fullmatch(path)
    if matched is None:
        return False
    event["resource"] = event["requestContext"]["resourcePath"] = resource
    event["pathParameters"] = matched.groupdict() or None
    return True


def _pattern(resource: str) -> re.Pattern[str]:
    parts = []
    position = 0
    for parameter in _PARAMETER.finditer(resource):
        parts.append(re.escape(resource[position : parameter.start()]))
        parts.append(f"(?P<{parameter[1]}>{'.+' if parameter[2] else '[^/]+'})")
        position = parameter.end()
    return re.compile("".join(parts) + re.escape(resource[position:]))


REST_API = DoorRules(
    name="rest-api",
    title="a REST API",
    codec=FORMATS["rest-api"],
    streams=True,
    head_limit=GATEWAY_HEAD_LIMIT,
    body_limit=GATEWAY_BODY_LIMIT,
    response_timeout=29.0,
    add_resource=add_resource,
    bandwidth=REST_BANDWIDTH,
    needs_prelude=True,
    prelude_limit=16 * KIB,
    default_type="application/json",
    extends_forwarded_for=True,
    request_id_headers=("x-amzn-RequestId", "x-amz-apigw-id"),
    remapped=_REMAPPED,
    stream_remapped=_REMAPPED,
    error_body=error_body,
    # "If the Lambda API rejects the invocation request, API Gateway returns 500; if the function returns an error, or a
    # response in the wrong format, 502" (Lambda, "Handling errors with API Gateway"). 431 is [unsure].
    errors={
        Reason.NO_RESOURCE: (403, "Missing Authentication Token"),
        Reason.BODY_TOO_LARGE: (413, f"HTTP content length exceeded {GATEWAY_BODY_LIMIT} bytes."),
        Reason.EVENT_TOO_LARGE: (500, "Internal server error"),
        Reason.FUNCTION: (502, "Internal server error"),
        Reason.TIMED_OUT: (504, "Endpoint request timed out"),
        Reason.THROTTLED: (500, "Internal server error"),
    },
)
