"""The front door of an API Gateway HTTP API."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from adapter.emulator.front_doors.door_rules import GATEWAY_BODY_LIMIT, GATEWAY_HEAD_LIMIT, JSON, DoorRules, Reason
from adapter.payload.event import FORMATS

if TYPE_CHECKING:
    from adapter.payload.headers import Headers


def error_body(_status: int, message: str) -> tuple[Headers, bytes]:
    return [JSON], orjson.dumps({"message": message})


HTTP_API = DoorRules(
    name="http-api",
    title="an HTTP API",
    codec=FORMATS["http-api"],
    head_limit=GATEWAY_HEAD_LIMIT,
    body_limit=GATEWAY_BODY_LIMIT,
    response_timeout=30.0,
    default_type="application/json",
    request_id_headers=("apigw-requestid",),
    error_body=error_body,
    # Both statuses and the text "Internal Server Error" are [seen]; all other errors are [unsure].
    errors={Reason.FUNCTION: (500, "Internal Server Error"), Reason.TIMED_OUT: (503, "Service Unavailable")},
)
