"""Reading a whole request body into memory, up to a limit."""

from __future__ import annotations

from typing import Protocol


class Body(Protocol):
    """A body that arrives in pieces."""

    async def read(self) -> bytes:
        """Return the next piece, or ``b""`` at the end. Raises BodyTruncatedError if the body is incomplete."""


class Upload(Protocol):
    """A request with a body, for example an ``Exchange`` of ``net.server``."""

    @property
    def body(self) -> Body:
        """The body, still unread."""

    def send_continue(self) -> None:
        """Send ``100 Continue`` if the client waits for it."""


async def read_body(exchange: Upload, limit: int) -> bytes | None:
    """Read the whole body and return it, or None if it exceeds ``limit`` bytes.

    Sends ``100 Continue`` first if the client waits for it. Raises BodyTruncatedError if the body is incomplete.
    """
    exchange.send_continue()
    body = bytearray()
    while piece := await exchange.body.read():
        body += piece
        if len(body) > limit:
            return None
    return bytes(body)
