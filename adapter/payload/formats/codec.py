"""The interface of a payload format for decoding and encoding, and the code that several formats share.

The runtime uses ``matches``, ``decode_request`` and ``encode_response``; the emulator uses ``encode_event`` and
``decode_response``. A codec has no state, so the process needs only one instance of each (``payload/event.py``).
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

    #: The name of the format in logs, options and tests: ``http-api``, ``rest-api``, ``alb`` …
    name: str
    #: Whether a streamed response starts with a metadata prelude. This is True for all formats except pass-through.
    has_prelude: bool = True
    #: The key in an event whose value is true if the body of the event is base64 text.
    base64_key: str = "isBase64Encoded"

    #: Whether a response in this format can have only one Set-Cookie header.
    sends_one_cookie: bool = False

    @abstractmethod
    def matches(self, event: Any) -> bool:
        """Return whether ``event`` (any decoded JSON) has this format. Exactly one codec returns True for an event."""

    @abstractmethod
    def decode_request(self, event: Any) -> Request:
        """Return the HTTP request that ``event`` describes, with all headers of the client.

        ``event`` must match this format. Raises InvalidEvent if a field is malformed.
        """

    @abstractmethod
    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        """Return the payload for the front door as a list of parts. Joined, the parts are the payload.

        A base64 body is a separate part. So it is not copied into a larger string.
        """

    @abstractmethod
    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        """Return the event that the front door makes from ``request``.

        Raises RefusedRequest if the front door would refuse the request.
        """

    @abstractmethod
    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        """Return the HTTP response that the front door sends if ``payload`` is the function's response.

        Raises InvalidFunctionResponse if AWS would answer 502.
        """


class SingleValueResponseCodec(Codec):
    """A format whose responses have a status description and one value for each header.

    Repeated headers are joined with a comma. If ``rules.all_cookies`` is True, all cookies are sent, in headers whose
    names differ in case. Otherwise, only the last cookie is sent. Load balancers forward headers whose names differ in
    case [seen: Mangum]. It is not known whether VPC Lattice forwards them, too [unsure].
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
