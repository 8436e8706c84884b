"""The app as the upstream of concurrent requests: a pool of connections that stream responses.

An idle connection is reused only for a short time after its last request, since the app may close it at any moment. If
the app closes a reused connection before the first byte of a response, ``was_lost_unanswered`` is True, and the request
may be sent once more. While too much of a response waits for the client, the app's socket is not read.
"""

from __future__ import annotations

import asyncio
import os
import select
import socket
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Final

from adapter.errors import AppTimeout, AppUnreachable, InvalidAppResponse, TruncatedResponse
from adapter.net.http1 import ResponseReader, lossless_text
from adapter.net.transports import connect, end_sending, reset_on_close, resolve_number, unsent

if TYPE_CHECKING:
    from adapter.config.load import Config
    from adapter.net.address import Address, AppAddress
    from adapter.payload.messages import ResponseHead

# The number of bytes of a response that may wait for the client before reading from the app pauses, and the number of
# bytes that are received at once. If a cap delays the response, ``limit_read_ahead`` reduces both numbers, but not
# below READ_LOW_WATER.
READ_HIGH_WATER: Final = 256 * 1024
READ_LOW_WATER: Final = 16 * 1024
# The number of pieces that may wait. This limit is needed since a piece of a single byte takes 200 bytes of memory.
MAX_WAITING_PIECES: Final = 1024
# If more pieces than this arrive at once, they are joined into one.
MAX_PIECES: Final = 8
# The number of bytes of a request that may wait for the app before ``write`` waits.
WRITE_HIGH_WATER: Final = 256 * 1024
# The number of bytes of a response that are read at once to find out whether it is complete.
READ_AHEAD_LIMIT: Final = 1024 * 1024
# The time limit of connecting, in seconds. The app is on this machine.
CONNECT_TIMEOUT = 5.0
# All connections receive into this buffer. One is enough, because each copies the received bytes at once.
_RECEIVED: Final = memoryview(bytearray(READ_HIGH_WATER))


class Upstream:
    """The app at ``address``, and the pool of idle connections to it."""

    def __init__(self, config: Config, address: AppAddress) -> None:
        self.address = address
        self._idle_timeout = config.app_idle_timeout
        # The idle connections in the order of their last use, the oldest first.
        self._idle: deque[UpstreamConnection] = deque()
        self._sweep: asyncio.TimerHandle | None = None

    async def acquire(self, *, reuse: bool = True) -> UpstreamConnection:
        """Return a connection for one exchange. After the exchange, pass it to ``release``. Raises AppUnreachable.

        If ``reuse`` is False, the connection is always a new one.
        """
        while self._idle:
            connection = self._idle.pop()
            if reuse and connection.is_usable(monotonic() - self._idle_timeout):
                connection.is_reused = True
                return connection
            # Close it before opening another one: some servers accept only one connection at a time.
            connection.close()
            if not reuse:
                break
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT):
                return await self.address.connect_async(_connect)
        except (OSError, TimeoutError) as error:
            problem = f"the app at {self.address} cannot be reached: {error}"
            raise AppUnreachable(problem, connect_error=error) from error

    def release(self, connection: UpstreamConnection) -> None:
        """Keep ``connection`` for another exchange if it can be reused, else close it."""
        if self._idle_timeout > 0 and connection.end_exchange():
            self._idle.append(connection)
            if self._sweep is None:
                self._sweep = asyncio.get_running_loop().call_later(self._idle_timeout, self._close_stale)
        else:
            connection.close()

    def _close_stale(self) -> None:
        """Close connections that have been idle for too long. Most connections are not needed after a busy period."""
        while self._idle and not self._idle[0].is_usable(monotonic() - self._idle_timeout):
            self._idle.popleft().close()
        loop = asyncio.get_running_loop()
        self._sweep = loop.call_later(self._idle_timeout, self._close_stale) if self._idle else None

    def close(self) -> None:
        """Close the idle connections."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in self._idle:
            connection.close()
        self._idle.clear()


async def _connect(address: Address) -> UpstreamConnection:
    loop = asyncio.get_running_loop()
    if address.path is not None:
        _, made = await loop.create_unix_connection(UpstreamConnection, address.path)
    else:
        host, port = address.host, address.port
        resolved = resolve_number(host, port) or await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        _, made = await loop.create_connection(UpstreamConnection, sock=await connect(resolved))
    return made


class UpstreamConnection(asyncio.BufferedProtocol):
    """One connection to the app. An exchange calls ``begin``, ``write``, ``end_request``, ``next_head``, ``read``."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._reader: ResponseReader | None = None
        self._pieces: list[memoryview] = []
        self._waiting_bytes = 0
        self._read_size = READ_HIGH_WATER
        self._is_paused = False
        # True if the next ``read`` may receive without waiting for the event loop.
        self._may_receive_now = False
        self._failure: Exception | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        # When the last request began. The app may have finished it long before its response was read.
        self._began_at = 0.0
        self._is_sent = True
        self._is_idle = True
        self._is_finishing = False
        self._has_ended_sending = False
        # For ``is_usable``; None until the connection is used again.
        self._poll: select.poll | None = None
        self.is_reused = False

    # --- asyncio -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)

    def get_buffer(self, sizehint: int) -> memoryview:
        return _RECEIVED if self._read_size == READ_HIGH_WATER else _RECEIVED[: self._read_size]

    def buffer_updated(self, nbytes: int) -> None:
        self._feed(bytes(_RECEIVED[:nbytes]))

    def _feed(self, data: bytes) -> None:
        if self._reader is None or self._failure is not None:
            # No request is open, so the data is not a response.
            self.close()
            return
        try:
            pieces = self._reader.feed(memoryview(data))
        except InvalidAppResponse as error:
            self._fail(error)
            return
        if len(pieces) > MAX_PIECES:
            # One write for each of many small chunks would delay all other requests.
            pieces = [memoryview(b"".join(pieces))]
        for piece in pieces:
            self._pieces.append(piece)
            self._waiting_bytes += len(piece)
        is_full = self._waiting_bytes > READ_HIGH_WATER or len(self._pieces) > MAX_WAITING_PIECES
        if self._read_size < READ_HIGH_WATER:
            is_full = is_full or self._waiting_bytes >= self._read_size
        if is_full and self._transport is not None and not self._is_paused:
            self._is_paused = True
            self._transport.pause_reading()
        self._wake(self._arrived)

    def eof_received(self) -> bool:
        self._end_of_stream(None)
        # A half-closed tunnel can still be written to.
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
        if self._has_ended_sending:
            self.write_eof()

    # --- one exchange --------------------------------------------------------------------------------------------

    def begin(self, method: str, request_head: bytes) -> None:
        """Send a request head. ``write`` sends the body; ``end_request`` marks the request as complete."""
        self._read_size = READ_HIGH_WATER
        self._may_receive_now = False
        self._reader = ResponseReader(method, lossless_text, knows_lines=True)
        self._is_sent = False
        self._is_idle = False
        self._began_at = monotonic()
        if self._transport is None:
            self._fail(AppUnreachable("the app closed the connection before the request was sent"))
        else:
            self._transport.write(request_head)

    async def write(self, data: bytes) -> bool:
        """Send ``data``, and wait while too much data is unsent. Return False if the connection is closed."""
        if self._transport is None or self._transport.is_closing():
            return False
        self._transport.write(data)
        if self._writable is not None:
            await asyncio.shield(self._writable)
        return self._transport is not None

    def end_request(self) -> None:
        """Mark the request as completely sent."""
        self._is_sent = True

    async def next_head(self, within: float | None = None, since: float = 0.0) -> ResponseHead:
        """Return the next response head, interim or final.

        Raises AppTimeout if no head arrives in the ``within`` seconds after ``since``, a time of the monotonic clock.
        Raises AppUnreachable if the connection ends before a head arrives, and InvalidAppResponse if the head is
        malformed.
        """
        reader = self._current
        while not reader.interim and reader.head is None:
            await self._wait_for_data(since, within, "begin to answer")
        if reader.interim:
            return reader.interim.pop(0)
        assert reader.head is not None
        return reader.head

    async def read(self, within: float | None = None) -> list[memoryview]:
        """Wait for the next pieces of the body, and return them. Return an empty list at the end of the body.

        Raises AppTimeout if nothing arrives for ``within`` seconds, TruncatedResponse if the connection ends before the
        body does, and InvalidAppResponse if the body is malformed.
        """
        began = 0.0 if within is None else monotonic()
        while not self._pieces:
            if self._current.complete:
                return []
            if not (self._is_paused and self._receive_now()):
                await self._wait_for_data(began, within, "continue its response")
        return self.read_available()

    def limit_read_ahead(self, room: int, *, was_held: bool) -> None:
        """Let at most ``room`` bytes of the response wait for the client.

        A ``room`` below READ_LOW_WATER or above READ_HIGH_WATER is replaced by that bound. If the limit is below
        READ_HIGH_WATER, only ``read`` reads from the socket, since the event loop would read ahead. ``was_held`` is
        True if the caller has waited since it last called this method, so that other tasks have already run. In this
        case the next ``read`` may receive data at once. If ``was_held`` is False, other tasks run first.
        """
        self._read_size = min(max(room, READ_LOW_WATER), READ_HIGH_WATER)
        self._may_receive_now = was_held

    def read_available(self) -> list[memoryview]:
        """Return the pieces of the body that have arrived, perhaps none.

        If there is no read-ahead limit, let the event loop resume reading.
        """
        pieces = self._pieces
        if pieces:
            self._pieces = []
            self._waiting_bytes = 0
        if self._read_size == READ_HIGH_WATER:
            self._resume_reading()
        return pieces

    def _receive_now(self) -> bool:
        """Read directly from the socket, while the event loop is not reading from it. Return True if data arrived.

        If no data can be read now, let the event loop resume reading, and return False.
        """
        if self._may_receive_now and self._failure is None and self._transport is not None:
            self._may_receive_now = False
            try:
                data = os.read(self._transport.get_extra_info("socket").fileno(), self._read_size)
            except OSError:
                data = b""
            if data:
                self._feed(data)
                return True
        # The end of the stream and errors are left to the event loop.
        self._resume_reading()
        return False

    def _resume_reading(self) -> None:
        if self._is_paused and self._transport is not None:
            self._is_paused = False
            self._transport.resume_reading()

    def is_response_complete(self) -> bool:
        """Read up to READ_AHEAD_LIMIT bytes from the socket. Return whether the response is complete after that."""
        reader = self._reader
        if reader is None:
            return False
        room = READ_AHEAD_LIMIT
        while room and not reader.complete and self._failure is None and self._transport is not None:
            try:
                data = os.read(self._transport.get_extra_info("socket").fileno(), min(room, READ_HIGH_WATER))
            except OSError:
                # Nothing more has arrived. The event loop notices any other error.
                break
            if not data:
                self._end_of_stream(None)
                break
            room -= len(data)
            self._feed(data)
        return reader.complete

    @property
    def is_complete(self) -> bool:
        """Whether the response is complete, and all of its body has been read."""
        return self._current.complete and not self._pieces

    @property
    def was_lost_unanswered(self) -> bool:
        """Whether this reused connection was closed before any byte of a response arrived."""
        return self.is_reused and isinstance(self._failure, AppUnreachable) and not self._current.has_begun

    @property
    def trailers(self) -> list[tuple[str, str]]:
        """The trailers of the response, once it is complete."""
        return self._current.trailers

    def write_eof(self) -> None:
        """End the sending direction of the connection."""
        self._has_ended_sending = True
        if self._transport is not None:
            end_sending(self._transport)

    def end_exchange(self) -> bool:
        """End the exchange. Return whether the connection can be reused."""
        reader, self._reader = self._reader, None
        # The loop must notice if the app closes the idle connection.
        self._resume_reading()
        finished = reader is not None and reader.complete and reader.reusable and not self._pieces
        self._is_idle = finished and self._is_sent and self._transport is not None
        return self._is_idle

    def is_usable(self, since: float) -> bool:
        """Return whether the connection is open, has no unread data, and began its last request after ``since``."""
        if self._transport is None or self._transport.is_closing() or self._began_at <= since:
            return False
        # The loop may not have seen the app's FIN yet. No response is due, so received data also makes it unusable.
        if self._poll is None:
            self._poll = select.poll()
            self._poll.register(self._transport.get_extra_info("socket"), select.POLLIN)
        return not self._poll.poll(0)

    def finish(self, timeout: float) -> None:
        """Close the connection after all written data is sent. Abort it if that takes over ``timeout`` seconds."""
        if self._transport is not None:
            self._is_finishing = True
            self._transport.close()
            self._loop.call_later(timeout, self._transport.abort)

    def close(self) -> None:
        """Close the connection at once, even during an exchange. After a call of ``finish``, this has no effect."""
        if self._transport is None or self._is_finishing:
            return
        # An idle connection has no unsent data.
        if not self._is_idle and unsent(self._transport):
            # A FIN would queue behind data that a stuck app does not read; a reset overtakes the data.
            reset_on_close(self._transport)
        self._transport.abort()

    @property
    def _current(self) -> ResponseReader:
        assert self._reader is not None, "begin() comes first"
        return self._reader

    async def _wait_for_data(self, since: float, within: float | None, awaited: str) -> None:
        """Wait until data arrives. Raises AppTimeout if none has arrived ``within`` seconds after ``since``.

        If the connection has already failed, raise the error of that failure at once. ``awaited`` is the part of
        AppTimeout's message that follows "the app did not".
        """
        if self._failure is not None:
            raise self._failure
        self._arrived = self._loop.create_future()
        if within is None:
            await self._arrived
            return
        try:
            async with asyncio.timeout_at(since + within):
                await self._arrived
        except TimeoutError:
            raise AppTimeout(f"the app did not {awaited} within {within:g} s") from None

    def _end_of_stream(self, exc: Exception | None) -> None:
        if self._reader is None or self._failure is not None:
            return
        if exc is not None and not self._reader.complete:
            # The end of the connection completes a body without a length, but a reset never does.
            self._fail_truncated(str(exc))
            return
        try:
            self._reader.feed_eof()
        except TruncatedResponse as error:
            self._fail_truncated(str(error))
        else:
            self._wake(self._arrived)

    def _fail_truncated(self, detail: str) -> None:
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
