"""Listening, counting connections, and closing in an orderly way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from adapter.net.address import BACKLOG
from adapter.net.server.connection import HttpConnection
from adapter.net.server.request_head import RefusedHead

if TYPE_CHECKING:
    from socket import socket

    from adapter.net.server.connection import Serve

# How many are accepted before any of them is looked at: so many may be there beyond the limit for a moment.
ACCEPTED_AT_ONCE = 16
# How many that were turned away may linger; the next one is closed on at once.
MAX_TURNED_AWAY = 16


class Limits:
    """What a client may ask of a server before it has earned anything. Times are in seconds.

    ``head_bytes``: Lambda quotas, "request line + headers: 1 MB in all"; a proxy should not be narrower than what it
    stands in for. ``linger_timeout``: how long a client may go on sending a body that nobody wants after its response;
    closing at once would reset the connection, and a reset destroys a response that is on its way. ``flush_timeout``:
    how long a client may take over the end of what was sent to it, at most WRITE_HIGH_WATER. ``client_timeout``: how
    long it may neither send nor take anything while it is waited for. ``connections``: how many there may be at once.
    """

    def __init__(
        self,
        *,
        head_bytes: int = 1024 * 1024,
        head_timeout: float = 30.0,
        keep_alive_timeout: float = 75.0,
        linger_timeout: float = 5.0,
        flush_timeout: float = 30.0,
        client_timeout: float | None = None,
        connections: int | None = None,
    ) -> None:
        self.head_bytes: Final = head_bytes
        self.head_timeout: Final = head_timeout
        self.keep_alive_timeout: Final = keep_alive_timeout
        self.linger_timeout: Final = linger_timeout
        self.flush_timeout: Final = flush_timeout
        self.client_timeout: Final = client_timeout
        self.connections: Final = connections


class HttpServer:
    """Serves every request with ``serve``; the connections' tasks live in ``group``.

    ``cancels`` tells whether a client that goes away cancels what is done for it. An exception of ``serve`` is a fault:
    it ends the connection and goes to the loop's exception handler.
    """

    def __init__(
        self, serve: Serve, group: asyncio.TaskGroup, *, limits: Limits | None = None, cancels: bool = True
    ) -> None:
        self.cancels: Final = cancels
        self.closing = False
        self._serve = serve
        self._group = group
        self._limits = limits or Limits()
        self._connections: set[HttpConnection] = set()
        # In the order in which they began: the first one has waited for longest.
        self._waiting: dict[HttpConnection, None] = {}
        self._turned_away: dict[HttpConnection, None] = {}
        self._server: asyncio.Server | None = None
        self._emptied: asyncio.Future[None] | None = None

    async def start(self, listener: socket) -> None:
        """Accept connections from ``listener``, which becomes the server's own."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: HttpConnection(self, self._limits), sock=listener, backlog=ACCEPTED_AT_ONCE
        )
        # asyncio takes one number for both: how many it accepts in one go, and how many wait in the kernel.
        listener.listen(BACKLOG)

    def close(self) -> None:
        """Accept no more connections, end those that are between two requests, and let the others finish theirs."""
        self.closing = True
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.stop_waiting()

    async def drained(self) -> None:
        """Wait until no connection is left."""
        while self._connections:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied

    def abort(self) -> None:
        """End every connection at once."""
        for connection in list(self._connections):
            connection.abort()

    def connected(self, connection: HttpConnection) -> asyncio.Task[None] | None:
        """For a connection: it is there. Gives the task that serves it."""
        if self.closing or not self._has_room():
            self._reject(connection)
            return None
        self._connections.add(connection)
        self.waits(connection)
        return self._group.create_task(self._run(connection))

    def waits(self, connection: HttpConnection) -> None:
        """For a connection: it has no request that is served."""
        if connection in self._connections:
            self._waiting[connection] = None

    def serves(self, connection: HttpConnection) -> None:
        """For a connection: it has one."""
        self._waiting.pop(connection, None)

    def _has_room(self) -> bool:
        """Whether one more may come. Where the limit is reached, the one that has waited for longest has to go."""
        if self._limits.connections is None or len(self._connections) < self._limits.connections:
            return True
        longest = next(iter(self._waiting), None)
        if longest is None:
            return False
        self.disconnected(longest)
        longest.abort()
        return True

    def _reject(self, connection: HttpConnection) -> None:
        connection.reject(RefusedHead(503, "too many connections"), [("retry-after", "1")])
        self._turned_away[connection] = None
        if len(self._turned_away) > MAX_TURNED_AWAY:
            first = next(iter(self._turned_away))
            self.disconnected(first)
            first.abort()

    async def _run(self, connection: HttpConnection) -> None:
        """Serve a connection to its end. A fault costs this one connection, not the group and all the others."""
        try:
            await connection.run(self._serve)
        except Exception as error:
            connection.loop.call_exception_handler(
                {"message": "a fault while a connection was served", "exception": error, "protocol": connection}
            )

    def disconnected(self, connection: HttpConnection) -> None:
        """For a connection: it is gone."""
        self._connections.discard(connection)
        self._waiting.pop(connection, None)
        self._turned_away.pop(connection, None)
        if not self._connections and self._emptied is not None and not self._emptied.done():
            self._emptied.set_result(None)
