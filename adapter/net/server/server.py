"""Listening, counting connections, and closing in an orderly way."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapter.net.address import BACKLOG
from adapter.net.server.connection import HttpConnection
from adapter.net.server.request_parser import Refusal
from adapter.net.server.server_limits import Limits

if TYPE_CHECKING:
    from socket import socket

    from adapter.net.server.connection import Serve

# How many are accepted before any of them is looked at: so many may exist beyond the limit for a moment.
ACCEPTED_AT_ONCE = 16
# How many rejected connections may linger; one more closes the oldest of them at once.
MAX_REJECTED = 16


class HttpServer:
    """Serves every request with ``serve``; the connections' tasks run in ``group``.

    ``cancels`` is whether a client that disconnects cancels what is done for it. An exception of ``serve`` is a fault:
    it ends the connection and goes to the loop's exception handler.
    """

    def __init__(
        self, serve: Serve, group: asyncio.TaskGroup, *, limits: Limits | None = None, cancels: bool = True
    ) -> None:
        self.serve = serve
        self.cancels = cancels
        self.limits = limits or Limits()
        # Connections without a request that is served: the first one has waited for longest.
        self.waiting: dict[HttpConnection, None] = {}
        self._group = group
        self._is_closing = False
        self._connections: set[HttpConnection] = set()
        # With those whose client has disconnected meanwhile.
        self._tasks: set[asyncio.Task[None]] = set()
        self._rejected: dict[HttpConnection, None] = {}
        self._server: asyncio.Server | None = None
        self._drained = asyncio.Event()

    async def start(self, listener: socket) -> None:
        """Accept connections from ``listener``, which the server closes."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: HttpConnection(self), sock=listener, backlog=ACCEPTED_AT_ONCE)
        # asyncio takes one number for both: how many it accepts in one go, and how many wait in the kernel.
        listener.listen(BACKLOG)

    def close(self) -> None:
        """Accept no more connections, end those that are between two requests, and let the others finish theirs."""
        self._is_closing = True
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.close_when_answered()

    async def wait_until_drained(self) -> None:
        """Wait until no connection is left."""
        while self._connections:
            self._drained.clear()
            await self._drained.wait()

    def abort(self, *, cancel: bool = False) -> None:
        """End every connection at once. With ``cancel``, cancel also what is served without regard to its client."""
        for connection in list(self._connections):
            connection.abort()
        if cancel:
            for task in self._tasks:
                task.cancel()

    def accept(self, connection: HttpConnection) -> None:
        """For a connection: start its task, or refuse it."""
        if self._is_closing or not self._has_room():
            self._reject(connection)
            return
        self._connections.add(connection)
        self.waiting[connection] = None
        connection.task = task = self._group.create_task(connection.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self, connection: HttpConnection) -> None:
        """For a connection: it is lost."""
        self._connections.discard(connection)
        self.waiting.pop(connection, None)
        self._rejected.pop(connection, None)
        if not self._connections:
            self._drained.set()

    def _has_room(self) -> bool:
        """Return whether one more connection may exist. At the limit the one that has waited for longest makes room."""
        if self.limits.connections is None or len(self._connections) < self.limits.connections:
            return True
        longest = next(iter(self.waiting), None)
        if longest is None:
            return False
        self._end(longest)
        return True

    def _reject(self, connection: HttpConnection) -> None:
        connection.refuse(Refusal(503, "too many connections"))
        self._rejected[connection] = None
        if len(self._rejected) > MAX_REJECTED:
            self._end(next(iter(self._rejected)))

    def _end(self, connection: HttpConnection) -> None:
        self.forget(connection)
        connection.abort()
