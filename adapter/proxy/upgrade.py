"""Relays connections that switched protocols (WebSocket, for example), until both directions have ended.

As TCP allows, one side may stop sending before the other does. If the other side then sends nothing for too long, the
connection is closed: that side may have disappeared without a FIN, and nothing else would ever end the connection.
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

# After one side has stopped sending, the time for which the other side may send nothing, in seconds.
HALF_CLOSED_TIMEOUT = 60.0


async def exchange_bytes(exchange: Exchange, head: ResponseHead, connection: UpstreamConnection) -> None:
    """Forward the app's 101 response, then copy bytes in both directions, without throttling."""
    upgrade = [(name, value) for name, value in head.headers if name.lower() == "upgrade"]
    tunnel = exchange.switch_protocols([*forwardable(head.headers), ("connection", "upgrade"), *upgrade], head.reason)
    try:
        async with asyncio.timeout(None) as timeout, asyncio.TaskGroup() as group:
            relay = _TunnelRelay(tunnel, connection, timeout)
            group.create_task(relay.copy_to_app())
            group.create_task(relay.copy_to_client())
        connection.finish(HALF_CLOSED_TIMEOUT)
    except* (TruncatedResponse, OSError):
        # One side broke off or sent nothing for too long, so close the connection of the other side as well.
        exchange.cut()


class _TunnelRelay:
    """Copies bytes in both directions.

    After one side has stopped sending, ``timeout`` limits the time for which the other side may send nothing.
    """

    def __init__(self, tunnel: Tunnel, connection: UpstreamConnection, timeout: asyncio.Timeout) -> None:
        self._tunnel = tunnel
        self._connection = connection
        self._timeout = timeout
        self._is_half_closed = False

    async def copy_to_app(self) -> None:
        while data := await self._tunnel.read():
            if not await self._connection.write(data):
                break
            self._extend_timeout()
        self._connection.write_eof()
        self._end_direction()

    async def copy_to_client(self) -> None:
        while pieces := await self._connection.read():
            await self._tunnel.write(b"".join(pieces))
            self._extend_timeout()
        self._tunnel.write_eof()
        self._end_direction()

    def _end_direction(self) -> None:
        self._is_half_closed = True
        self._extend_timeout()

    def _extend_timeout(self) -> None:
        # A deadline that has passed cannot be moved, even if its error has not been raised yet.
        if self._is_half_closed and not self._timeout.expired():
            self._timeout.reschedule(asyncio.get_running_loop().time() + HALF_CLOSED_TIMEOUT)
