"""The interface of a payload format, for both directions, and the code that several formats share.

The runtime uses ``matches``, ``decode_request`` and ``encode_response``; the emulator uses ``encode_event`` and
``decode_response``. A codec has no state, so one instance of each serves the whole process (``payload/event.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from adapter.payload.body import response_parts
from adapter.payload.function_response import body_of, head_of, parse_object
from adapter.payload.headers import single_values
from adapter.payload.status_line import status_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adapter.payload.body import BodyRules
    from adapter.payload.messages import Arrival, Request, ResponseHead

#: The protocol in every ``requestContext``, even if the client uses another protocol.
PROTOCOL = "HTTP/1.1"


class Codec(ABC):
    """A payload format: the shape of one kind of event, and of the response that the front door expects for it."""

    #: The name in logs, options and tests: ``http-api``, ``rest-api``, ``alb`` …
    name: str
    #: Whether a streamed response starts with a metadata prelude. It does in all formats but pass-through.
    has_prelude: bool = True
    #: The key of the flag in an event that is true if the body is base64.
    base64_key: str = "isBase64Encoded"

    #: Whether a response can have only one Set-Cookie header.
    sends_one_cookie: bool = False

    @abstractmethod
    def matches(self, event: Any) -> bool:
        """Return whether ``event`` (any decoded JSON) has this format. Exactly one codec matches each event."""

    @abstractmethod
    def decode_request(self, event: Any) -> Request:
        """Return the HTTP request that ``event`` describes, with all headers of the client.

        ``event`` must match this format. Raises InvalidEvent if a field is malformed.
        """

    @abstractmethod
    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        """Return the payload for the front door as parts, which together are the complete response.

        A binary body is a separate part, which is never copied into a larger string: base64 needs no escaping.
        """

    @abstractmethod
    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        """Return the event that the front door builds from ``request``. Raises RefusedRequest if it would refuse it."""

    @abstractmethod
    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        """Return the HTTP response that the front door sends for a function's payload.

        Raises InvalidFunctionResponse if AWS would answer 502.
        """


class SingleValueResponseCodec(Codec):
    """A format whose responses have a status description and one value for each header.

    Repeated headers are joined with a comma. Of several cookies, only the last is sent, unless the rules want all of
    them: then their names differ in case. Load balancers send such cookies [seen: Mangum]; VPC Lattice [unsure].
    """

    sends_one_cookie = True

    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        response = {
            "statusCode": head.status,
            "statusDescription": status_line(head.status),
            "headers": single_values(head.headers, all_cookies=rules.all_cookies),
        }
        return response_parts(response, head.headers, body, rules)

    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        response = parse_object(payload)
        return head_of(response, response.get("headers"), None), body_of(response)
