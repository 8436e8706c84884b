"""The HTTP server. It accepts connections, limits their number, and closes them in an orderly way."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING

from adapter.net.address import BACKLOG
from adapter.net.http1 import header_text
from adapter.net.server.client_watch import DisconnectWatcher
from adapter.net.server.connection import HttpConnection
from adapter.net.server.connection_state import HEAD, state_timeouts
from adapter.net.server.held_bytes import PROCESS_HELD_BYTES, HeldBytes
from adapter.net.server.receive_turns import ReceiveTurns
from adapter.net.server.request_parser import Refusal
from adapter.net.server.server_limits import Limits

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from adapter.net.server.connection import Serve

# The number of connections that asyncio accepts in one go, before any of them is counted. For a moment, the number of
# connections may exceed its limit by this number.
ACCEPTED_AT_ONCE = 16
# The maximum number of rejected connections that stay open for a while, so that their clients receive the response. If
# there is one more, the oldest of them is closed immediately.
MAX_REJECTED = 16
# The number of turns of the event loop from asyncio's accept() to ``connection_made``. The first one makes the
# transport.
_TURNS_OF_ACCEPT = 2


class HttpServer:
    """Serves every request with ``serve``. The tasks of the connections run in ``group``.

    ``held_bytes`` is the memory budget for unfinished requests. If ``cancels`` is True, a request is cancelled when its
    client disconnects. ``decode`` decodes header values. If ``serve`` raises an exception, the connection is closed and
    the exception is passed to the loop's exception handler.
    """

    def __init__(
        self,
        serve: Serve,
        group: asyncio.TaskGroup,
        *,
        limits: Limits | None = None,
        cancels: bool = True,
        decode: Callable[[bytes], str] = header_text,
        held_bytes: HeldBytes = PROCESS_HELD_BYTES,
    ) -> None:
        self.serve = serve
        self.cancels = cancels
        self.decode = decode
        self.limits = limits or Limits()
        self.held_bytes = held_bytes
        self.is_winding_down = False
        self.timeouts = state_timeouts(self.limits)
        self.receive_turns = ReceiveTurns()
        self.disconnect_watcher = DisconnectWatcher()
        # The connections on which no request is being served. The first one has waited longest.
        self.waiting: dict[HttpConnection, None] = {}
        self._group = group
        self._is_closing = False
        self._connections: set[HttpConnection] = set()
        # Includes tasks of clients that have disconnected.
        self._tasks: set[asyncio.Task[None]] = set()
        self._rejected: dict[HttpConnection, None] = {}
        self._listener: socket | None = None
        self._server: asyncio.Server | None = None
        self._drained = asyncio.Event()

    async def start(self, listener: socket) -> None:
        """Start accepting connections on ``listener``. ``close`` also closes ``listener``."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: HttpConnection(self), sock=listener, backlog=ACCEPTED_AT_ONCE)
        # asyncio uses ``backlog`` as the number of connections that it accepts in one go, and also as the length of the
        # kernel's queue. The queue must be longer than that.
        listener.listen(BACKLOG)
        self._listener = listener

    def wind_down(self) -> None:
        """Make each response the final one of its connection, but still accept connections.

        So clients have no idle connections when the server stops. A request that is sent on an idle connection at that
        moment could be lost.
        """
        self.is_winding_down = True
        for connection in self._connections:
            connection.wind_down()

    async def close_gently(self) -> None:
        """Do the same as ``close``, but also serve the connections that the system has already accepted."""
        loop = asyncio.get_running_loop()
        accepted: list[socket] = []
        if self._listener is not None and not self._is_closing:
            # When a server is closed, asyncio drops the connections that are still being accepted.
            loop.remove_reader(self._listener)
            for _ in range(_TURNS_OF_ACCEPT):
                await asyncio.sleep(0)
            with suppress(OSError):
                while True:
                    accepted.append(self._listener.accept()[0])
        self.close()
        for each in accepted:
            await loop.connect_accepted_socket(lambda: HttpConnection(self), each)

    def close(self) -> None:
        """Stop accepting connections. Close idle connections now, and all others after their current response."""
        self._is_closing = True
        self.is_winding_down = True
        self.timeouts[HEAD] = self.limits.late_request_timeout
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.close_when_answered()

    async def wait_until_drained(self) -> None:
        """Wait until all connections have ended."""
        while self._connections:
            self._drained.clear()
            await self._drained.wait()

    def abort(self, *, cancel: bool = False) -> None:
        """Close all connections immediately. If ``cancel`` is True, also cancel all requests that are being served."""
        for connection in list(self._connections):
            connection.abort()
        if cancel:
            for task in self._tasks:
                task.cancel()

    def accept(self, connection: HttpConnection) -> None:
        """Start the task of a new connection, or refuse the connection if the server is full."""
        if not self._has_room():
            self._reject(connection)
            return
        self._connections.add(connection)
        self.waiting[connection] = None
        connection.task = task = self._group.create_task(connection.run())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if self._is_closing:
            connection.close_when_answered()

    def forget(self, connection: HttpConnection) -> None:
        """Remove a connection that has ended. Called by the connection."""
        self._connections.discard(connection)
        self.waiting.pop(connection, None)
        self._rejected.pop(connection, None)
        if not self._connections:
            self._drained.set()

    def _has_room(self) -> bool:
        """Return whether one more connection is allowed.

        If the maximum number of connections is open, close the one that has waited longest for a request.
        """
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
