"""A connection that switched protocols (WebSocket, or any other): bytes both ways until one side ends."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapter.payload.headers import forwardable

if TYPE_CHECKING:
    from adapter.http_server import Exchange, Tunnel
    from adapter.payload.messages import ResponseHead
    from adapter.proxy.upstream import UpstreamConnection


async def exchange_bytes(exchange: Exchange, head: ResponseHead, connection: UpstreamConnection) -> None:
    """Pass the app's 101 on, then bytes in both directions. Neither side is throttled: this is not a response."""
    upgrade = [(name, value) for name, value in head.headers if name.lower() == "upgrade"]
    tunnel = exchange.switch_protocols([*forwardable(head.headers), ("connection", "upgrade"), *upgrade])
    async with asyncio.TaskGroup() as group:
        upstream = group.create_task(_to_app(tunnel, connection))
        await _to_client(connection, tunnel)
        upstream.cancel()
    tunnel.write_eof()


async def _to_client(connection: UpstreamConnection, tunnel: Tunnel) -> None:
    while pieces := await connection.read():
        await tunnel.write(b"".join(pieces))


async def _to_app(tunnel: Tunnel, connection: UpstreamConnection) -> None:
    while data := await tunnel.read():
        if not await connection.write(data):
            return
    connection.write_eof()
