"""The front door of a function URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from adapter.emulator.front_doors.door_rules import JSON, DoorRules, Reason
from adapter.payload.event import FORMATS

if TYPE_CHECKING:
    from adapter.payload.headers import Headers


def error_body(status: int, message: str) -> tuple[Headers, bytes]:
    """Return plain text for errors of the function [seen], and JSON for errors of the request [unsure]."""
    return [JSON], message.encode() if status == 502 else orjson.dumps({"Message": message})


FUNCTION_URL = DoorRules(
    name="function-url",
    title="a function URL",
    codec=FORMATS["http-api"],
    streams=True,
    default_type="application/json",
    request_id_headers=("x-amzn-RequestId",),
    error_body=error_body,
    # The statuses are Lambda's; the texts, and what a throttled URL answers, are not documented [unsure].
    errors={Reason.FUNCTION: (502, "Internal Server Error"), Reason.THROTTLED: (429, "Rate Exceeded.")},
)
