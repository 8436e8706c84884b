"""A connection that switched protocols (WebSocket, or any other): bytes both ways until both sides have ended.

Each side may end on its own, as TCP allows. A side that goes on alone must keep on sending, since its peer may be gone
without a word: nothing would ever end the connection.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapter.errors import TruncatedResponse
from adapter.payload.headers import forwardable

if TYPE_CHECKING:
    from adapter.net.server import Exchange, Tunnel
    from adapter.payload.messages import ResponseHead
    from adapter.proxy.upstream import UpstreamConnection

# How long the side that goes on alone may send nothing, in seconds.
HALF_CLOSED_TIMEOUT = 60.0


async def exchange_bytes(exchange: Exchange, head: ResponseHead, connection: UpstreamConnection) -> None:
    """Pass the app's 101 on, then bytes in both directions. Neither side is throttled: this is not a response."""
    upgrade = [(name, value) for name, value in head.headers if name.lower() == "upgrade"]
    tunnel = exchange.switch_protocols([*forwardable(head.headers), ("connection", "upgrade"), *upgrade])
    try:
        async with asyncio.timeout(None) as patience, asyncio.TaskGroup() as group:
            halves = _Halves(tunnel, connection, patience)
            group.create_task(halves.to_app())
            group.create_task(halves.to_client())
        connection.finish(HALF_CLOSED_TIMEOUT)
    except* (TruncatedResponse, ConnectionError, TimeoutError):
        # One side broke off or fell silent. The other learns it by the end of its own connection.
        exchange.cut()


class _Halves:
    """The two directions. ``patience`` is the time limit on what is left once one of them has ended."""

    def __init__(self, tunnel: Tunnel, connection: UpstreamConnection, patience: asyncio.Timeout) -> None:
        self._tunnel = tunnel
        self._connection = connection
        self._patience = patience
        self._one_ended = False

    async def to_app(self) -> None:
        while data := await self._tunnel.read():
            if not await self._connection.write(data):
                break
            self._go_on()
        self._connection.write_eof()
        self._end_one()

    async def to_client(self) -> None:
        while pieces := await self._connection.read():
            await self._tunnel.write(b"".join(pieces))
            self._go_on()
        self._tunnel.write_eof()
        self._end_one()

    def _end_one(self) -> None:
        self._one_ended = True
        self._go_on()

    def _go_on(self) -> None:
        if self._one_ended:
            self._patience.reschedule(asyncio.get_running_loop().time() + HALF_CLOSED_TIMEOUT)
