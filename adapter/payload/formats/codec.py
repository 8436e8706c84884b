"""What every payload format can do, in both directions.

The runtime uses ``matches``, ``decode_request`` and ``encode_response``; the emulator uses ``encode_event`` and
``decode_response``. A codec keeps no state, so one instance of each serves the whole process (``formats.py``).
"""

from __future__ import annotations

from abc import ABC, abstractmethod

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adapter.payload.body import BodyRules
    from adapter.payload.messages import Arrival, Request, ResponseHead


class Codec(ABC):
    """A payload format: the shape of one kind of event and of the response that its front door expects."""

    #: The name in logs, options and tests: ``http-api``, ``rest-api``, ``alb`` …
    name: str
    #: Whether a streamed response starts with a metadata prelude. Only pass-through has none.
    has_prelude: bool = True
    #: The key of an event that says whether its body is base64.
    base64_key: str = "isBase64Encoded"

    @abstractmethod
    def matches(self, event: Any) -> bool:
        """Whether ``event``, any decoded JSON, has this format. For every event exactly one codec says yes."""

    @abstractmethod
    def decode_request(self, event: Any) -> Request:
        """The HTTP request that ``event`` describes, its headers as they came.

        Raises InvalidEvent when the event matches by its outline but cannot be a request.
        """

    @abstractmethod
    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        """A complete response as the front door expects it: JSON in parts, to be written one after the other.

        Parts, since a binary body needs no escaping and must not be copied into one big string.
        """

    @abstractmethod
    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        """The event that the front door builds from ``request``."""

    @abstractmethod
    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        """The HTTP response that the front door makes of a function's payload.

        Raises InvalidFunctionResponse where AWS answers 502.
        """
