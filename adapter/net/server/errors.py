"""Exceptions that a client can cause while its request is served."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adapter.net.server.request_parser import Refusal


class BodyTruncatedError(Exception):
    """The client disconnected or broke the protocol before the request body was complete.

    ``refusal`` is the response to send if the client broke the protocol, else None.
    """

    def __init__(self, refusal: Refusal | None = None) -> None:
        super().__init__("the request body is not complete" if refusal is None else str(refusal))
        self.refusal = refusal


class ClientStalledError(ConnectionError):
    """The client is still connected, but it made no progress within the client timeout (``client_timeout``)."""
