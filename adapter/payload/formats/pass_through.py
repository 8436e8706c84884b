"""The format for all events that are not HTTP requests: SQS, SNS, S3, EventBridge, authorizers and others.

The adapter interprets neither the event nor the response. It sends each event to the app as the body of a POST request,
always to the same path. The body is the original bytes of the event, because a JSON parser would round integers beyond
64 bits. The body of the app's response is the function's response.
"""

from __future__ import annotations

import orjson

from adapter.aws.limits import PASS_THROUGH_PATH
from adapter.errors import InvalidEvent
from adapter.numbers import whole_number
from adapter.payload.formats.codec import Codec
from adapter.payload.messages import Request, ResponseHead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import Any

    from adapter.payload.body import BodyRules
    from adapter.payload.messages import Arrival

#: The header that reports to ``adapter dev`` how the app answered an event: status and path, for example 404 /events.
APP_STATUS = "Adapter-App-Status"
_JSON = [("content-type", "application/json")]


def read_app_status(value: str) -> tuple[int, str]:
    """Read the APP_STATUS header ``value``. Return its status and path, or (0, "") if ``value`` is malformed."""
    status, _, path = value.partition(" ")
    number = whole_number(status, 999)
    return (number, path) if number is not None else (0, "")


class PassThrough(Codec):
    """The format of all events that no codec in ``http_formats`` matches."""

    name = "pass-through"
    has_prelude = False

    def __init__(self, http_formats: Collection[Codec]) -> None:
        self._http_formats = http_formats

    def matches(self, event: Any) -> bool:
        return not any(codec.matches(event) for codec in self._http_formats)

    def request_of(self, raw: bytes | bytearray, path: str) -> Request:
        """Return a POST request to ``path`` with the body ``raw``, the original bytes of an event."""
        return Request(method="POST", target=path, headers=[*_JSON], body=raw)

    def decode_request(self, event: Any) -> Request:
        """Return a request whose body is ``event``, encoded again. Only `request_of` keeps the original bytes."""
        return self.request_of(orjson.dumps(event), PASS_THROUGH_PATH)

    def lost_event_text(self, status: int, path: str) -> str:
        """Return a warning if the app's ``status`` for an event at ``path`` is at least 300, else an empty string."""
        if status < 300:
            return ""
        return (
            f"the app answered {status} to POST {path}, which is for events that are not HTTP requests; Lambda still "
            "counts the event as handled. Set the app's path for such events with --pass-through-path "
            "(AWS_LWA_PASS_THROUGH_PATH), or make the invocation fail with "
            f"--error-statuses {status} (AWS_LWA_ERROR_STATUS_CODES)"
        )

    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        """Return the body unchanged. Status and headers are dropped, since the payload has no place for them."""
        return [bytes(body)]

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        """Return the request's body as the event. Raises InvalidEvent if the body is not a JSON object."""
        try:
            event = orjson.loads(request.body)
        except orjson.JSONDecodeError as error:
            raise InvalidEvent(f"the event is not JSON: {error}") from error
        if not isinstance(event, dict):
            raise InvalidEvent(f"the event is of type {type(event).__name__}, not a JSON object")
        return event

    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        return ResponseHead(status=200, headers=[*_JSON]), payload
