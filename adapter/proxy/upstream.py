"""The app as the upstream of many requests at once: connections that are used again, and responses as they arrive.

A connection is used again only for a moment after its last request, so that no request meets the app's close; none is
sent a second time. While nobody takes the pieces of a response, the app's socket is left unread.
"""

from __future__ import annotations

import asyncio
import select
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

from adapter.errors import AppUnreachable, InvalidAppResponse, TruncatedResponse
from adapter.net.address import Address
from adapter.net.http1 import ResponseReader
from adapter.net.transports import unsent

if TYPE_CHECKING:
    from adapter.config.load import Config
    from adapter.payload.messages import ResponseHead

# How much of a response may wait for its client before the app's socket is left unread, in bytes.
READ_HIGH_WATER = 256 * 1024
# How much of a request may wait for the app before its sender waits, in bytes.
WRITE_HIGH_WATER = 256 * 1024
# How long connecting may take, in seconds: the app is on this machine.
CONNECT_TIMEOUT = 5.0


class Upstream:
    """The app behind the Unix socket ``path``, or where that is None at ``port`` of ``config``'s host."""

    def __init__(self, config: Config, port: int, path: str | None) -> None:
        self.address = Address(host=config.app_host, port=port, path=path)
        self._idle_timeout = config.app_idle_timeout
        # The one used last is last.
        self._idle: deque[UpstreamConnection] = deque()
        self._sweep: asyncio.TimerHandle | None = None

    async def connection(self) -> UpstreamConnection:
        """A connection for one exchange; give it back with ``release``. Raises AppUnreachable."""
        loop = asyncio.get_running_loop()
        while self._idle:
            connection = self._idle.pop()
            if connection.is_usable(loop.time() - self._idle_timeout):
                return connection
            connection.close()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                if self.address.path is not None:
                    _, made = await loop.create_unix_connection(UpstreamConnection, self.address.path)
                else:
                    _, made = await loop.create_connection(UpstreamConnection, self.address.host, self.address.port)
        except (OSError, TimeoutError) as error:
            raise AppUnreachable(f"the app at {self.address} cannot be reached: {error}") from error
        return made

    def release(self, connection: UpstreamConnection) -> None:
        """Keep ``connection`` for another exchange if it can carry one, else close it."""
        if self._idle_timeout > 0 and connection.begin_idle():
            self._idle.append(connection)
            if self._sweep is None:
                self._sweep = asyncio.get_running_loop().call_later(self._idle_timeout, self._close_stale)
        else:
            connection.close()

    def _close_stale(self) -> None:
        """Close what was idle for too long: after a busy time most of it will not be asked for again."""
        loop = asyncio.get_running_loop()
        while self._idle and not self._idle[0].is_usable(loop.time() - self._idle_timeout):
            self._idle.popleft().close()
        self._sweep = loop.call_later(self._idle_timeout, self._close_stale) if self._idle else None

    def close(self) -> None:
        """Close the idle connections."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._idle:
            connection.close()
        self._idle.clear()


class UpstreamConnection(asyncio.Protocol):
    """One connection to the app, for one exchange after the other: ``begin``, ``write``, ``interim``, ``read``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader: ResponseReader | None = None
        self._pieces: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._paused = False
        self._failure: Exception | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._asked_at = 0.0
        self._sent_whole = True
        self._is_finishing = False

    # --- asyncio -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)

    def data_received(self, data: bytes) -> None:
        if self._reader is None or self._failure is not None:
            # Nobody asked for anything.
            self.close()
            return
        try:
            pieces = self._reader.feed(memoryview(data))
        except InvalidAppResponse as error:
            self._fail(error)
            return
        for piece in pieces:
            self._pieces.append(piece)
            self._waiting_bytes += len(piece)
        if self._waiting_bytes > READ_HIGH_WATER and self._transport is not None:
            self._paused = True
            self._transport.pause_reading()
        self._wake(self._arrived)

    def eof_received(self) -> bool:
        self._end_of_stream(None)
        # A half-closed tunnel may still be written to.
        return self._reader is not None and self._reader.head is not None and self._reader.head.status == 101

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end_of_stream(exc)
        self._wake(self._writable)

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        self._wake(self._writable)
        self._writable = None

    # --- one exchange --------------------------------------------------------------------------------------------

    def begin(self, method: str, request_head: bytes) -> None:
        """Send a request head. Its body follows by ``write``; ``end_request`` tells that it is complete."""
        self._reader = ResponseReader(method)
        self._sent_whole = False
        self._asked_at = self._loop.time()
        if self._transport is None:
            self._fail(AppUnreachable("the app closed the connection before it was asked anything"))
        else:
            self._transport.write(request_head)

    async def write(self, data: bytes) -> bool:
        """Send a part of the request, waiting while the app does not keep up; False when it takes no more."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.write(data)
        if self._writable is not None:
            await asyncio.shield(self._writable)
        return self._transport is not None

    def end_request(self) -> None:
        """The request was sent whole."""
        self._sent_whole = True

    async def interim(self) -> ResponseHead:
        """The next head, be it interim or final. Raises AppUnreachable and InvalidAppResponse."""
        reader = self._current
        while not reader.interim and reader.head is None:
            await self._more()
        if reader.interim:
            return reader.interim.pop(0)
        assert reader.head is not None
        return reader.head

    async def read(self) -> list[memoryview]:
        """The next pieces of the body, as they arrive; empty at its end.

        Raises TruncatedResponse and InvalidAppResponse.
        """
        while not self._pieces:
            if self._current.complete:
                return []
            await self._more()
        return self.take()

    def take(self) -> list[memoryview]:
        """The pieces of the body that are here already, perhaps none."""
        pieces = list(self._pieces)
        self._pieces.clear()
        self._waiting_bytes = 0
        if self._paused and self._transport is not None:
            self._paused = False
            self._transport.resume_reading()
        return pieces

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """The trailers of the response, once it is complete."""
        return self._current.trailers

    def write_eof(self) -> None:
        """Send no more."""
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    def begin_idle(self) -> bool:
        """End the exchange; whether the connection can carry another one."""
        reader, self._reader = self._reader, None
        finished = reader is not None and reader.complete and reader.reusable and not self._pieces
        return finished and self._sent_whole and self._transport is not None

    def is_usable(self, since: float) -> bool:
        """Whether the app has not closed it, and was asked over it at ``since`` or later.

        When it was done is not known: it may have been long before its response was read.
        """
        if self._transport is None or self._transport.is_closing() or self._asked_at <= since:
            return False
        # The loop may not have seen the app's FIN yet. Nobody asked for anything, so any byte is as bad.
        poll = select.poll()
        poll.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return not poll.poll(0)

    def finish(self, patience: float) -> None:
        """Close when the app has taken what was written, in ``patience`` seconds at the latest."""
        if self._transport is not None:
            self._is_finishing = True
            self._transport.close()
            self._loop.call_later(patience, self._transport.abort)

    def close(self) -> None:
        """Close at once; an exchange that is under way is cancelled by it."""
        if self._transport is None or self._is_finishing:
            return
        if unsent(self._transport):
            # The end would queue behind what an app that is stuck does not read; a reset overtakes it.
            linger = struct.pack("ii", 1, 0)
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._transport.abort()

    @property
    def _current(self) -> ResponseReader:
        assert self._reader is not None, "begin() comes first"
        return self._reader

    async def _more(self) -> None:
        """Wait until something has arrived. What arrived before a failure has been taken when this raises it."""
        if self._failure is not None:
            raise self._failure
        self._arrived = self._loop.create_future()
        await self._arrived

    def _end_of_stream(self, exc: Exception | None) -> None:
        if self._reader is None or self._failure is not None:
            return
        if exc is not None and not self._reader.complete:
            # A reset is no end, not even of a body that lasts until the end of the connection.
            self._break_off(str(exc))
            return
        try:
            self._reader.feed_eof()
        except TruncatedResponse as error:
            self._break_off(str(error))
        else:
            self._wake(self._arrived)

    def _break_off(self, detail: str) -> None:
        if self._current.head is None:
            self._fail(AppUnreachable(f"the app closed the connection before it answered ({detail})"))
        else:
            self._fail(TruncatedResponse(f"the app broke off its response: {detail}"))

    def _fail(self, error: Exception) -> None:
        self._failure = error
        self._wake(self._arrived)

    @staticmethod
    def _wake(waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
