"""A server in the test's own event loop, whose ``serve`` is the test's script."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from adapter.net.address import listen
from adapter.net.server import Exchange, HttpServer, Limits, RequestBody
from adapter.net.server.held_bytes import PROCESS_HELD_BYTES, HeldBytes

Serve = Callable[[Exchange], Awaitable[None]]
# How long anything may take, in seconds.
PATIENCE = 10.0


class Serving:
    """A running server and the port it listens on."""

    def __init__(self, server: HttpServer, port: int) -> None:
        self.server = server
        self.port = port


@asynccontextmanager
async def serving(
    serve: Serve,
    *,
    limits: Limits | None = None,
    cancels: bool = True,
    held_bytes: HeldBytes = PROCESS_HELD_BYTES,
) -> AsyncIterator[Serving]:
    """Serve with ``serve`` on a loopback port; everything has ended afterwards."""
    listener = listen("127.0.0.1", 0)
    async with asyncio.TaskGroup() as group:
        server = HttpServer(serve, group, limits=limits, cancels=cancels, held_bytes=held_bytes)
        await server.start(listener)
        try:
            yield Serving(server, listener.getsockname()[1])
        finally:
            server.close()
            server.abort()


class Recorder:
    """A ``serve`` that answers ``ok`` and keeps the requests."""

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []
        self.bodies: list[bytes] = []

    async def __call__(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        exchange.send_continue()
        self.bodies.append(await read_all(exchange.body))
        exchange.respond(200, [("x-method", exchange.method)], b"ok")


async def read_all(body: RequestBody) -> bytes:
    """Return the whole of ``body``. Raises BodyTruncatedError if its end is missing."""
    data = b""
    while piece := await body.read():
        data += piece
    return data


async def happened(event: asyncio.Event) -> None:
    """Wait for ``event``, for ``PATIENCE`` seconds at most."""
    async with asyncio.timeout(PATIENCE):
        await event.wait()
