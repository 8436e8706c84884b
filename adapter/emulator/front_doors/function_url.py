"""The front door of a function URL."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from adapter.emulator.front_doors.door_rules import JSON, DoorRules, Reason
from adapter.payload.formats.http_api import FunctionUrl

if TYPE_CHECKING:
    from adapter.payload.headers import Headers


def error_body(status: int, message: str) -> tuple[Headers, bytes]:
    """Return the headers and the body of an error response.

    For function errors, the body is plain text: others have observed this on AWS and published it [seen]. For all other
    errors, the body is JSON: this is not confirmed [unsure].
    """
    return [JSON], message.encode() if status == 502 else orjson.dumps({"Message": message})


FUNCTION_URL = DoorRules(
    name="function-url",
    title="a function URL",
    codec=FunctionUrl(),
    streams=True,
    default_type="application/json",
    # The rules for the headers and the coding of a stream come from a field report [seen].
    stream_type="application/octet-stream",
    stream_remapped=frozenset({"content-length"}),
    undoes_encoding=True,
    request_id_headers=("x-amzn-RequestId",),
    error_body=error_body,
    # AWS documents the statuses, but neither the texts nor the answer to a throttled invocation [unsure].
    errors={Reason.FUNCTION: (502, "Internal Server Error"), Reason.THROTTLED: (429, "Rate Exceeded.")},
)
