"""Reading a whole request body within a limit, for the servers that need it whole."""

from __future__ import annotations

from typing import Protocol


class Body(Protocol):
    """A body that arrives in pieces."""

    async def read(self) -> bytes:
        """Return the next piece; empty at the end. Raises BodyTruncatedError if the client does not complete it."""


class Upload(Protocol):
    """A request with a body; ``net.server.Exchange`` is one."""

    @property
    def body(self) -> Body:
        """The body, which has not been read."""

    def send_continue(self) -> None:
        """Send ``100 Continue`` if the client waits for it."""


async def read_body(exchange: Upload, limit: int) -> bytes | None:
    """Return the body; None if it has more than ``limit`` bytes. Raises BodyTruncatedError."""
    exchange.send_continue()
    body = bytearray()
    while piece := await exchange.body.read():
        body += piece
        if len(body) > limit:
            return None
    return bytes(body)
