"""One client's connection: bytes in, exchanges out, with the limits that keep a client from holding it for nothing."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
from collections import deque
from typing import TYPE_CHECKING

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from adapter.net.http1 import header_text
from adapter.net.server.client_watch import Deadline, DisconnectWatcher, StallDetector
from adapter.net.server.errors import BodyTruncatedError
from adapter.net.server.exchange import Exchange, encode_head
from adapter.net.server.request_head import RefusedHead, check_head

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter.net.server.exchange import Tunnel
    from adapter.net.server.server import HttpServer, Limits

    Serve = Callable[[Exchange], Awaitable[None]]

# How much of a body may wait for its reader before the socket is left unread, in bytes.
BODY_HIGH_WATER = 256 * 1024
# How much of a response may wait for the client before its writer waits, in bytes.
WRITE_HIGH_WATER = 64 * 1024
# How many pipelined requests may wait behind the one that is served.
MAX_PIPELINED = 8
# SO_LINGER: close with a reset.
_RESET = struct.pack("ii", 1, 0)


class HttpConnection(asyncio.Protocol):
    """One client's connection; the callbacks named ``on_…`` are httptools'."""

    def __init__(self, server: HttpServer, limits: Limits) -> None:
        self.loop = asyncio.get_running_loop()
        self.client = ""
        self.disconnected: asyncio.Future[None] = self.loop.create_future()
        self._server = server
        self._limits = limits
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._parser = HttpRequestParser(self)
        self._exchanges: deque[Exchange] = deque()
        self._arriving: Exchange | None = None
        self._tunnel: Tunnel | None = None
        # Bytes after a head that asks for an upgrade: HTTP or another protocol, as the answer will have it.
        self._undecided: bytes | None = None
        self._refusal: RefusedHead | None = None
        self._arrived: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._deadline = Deadline(self.loop, self._time_out)
        self._stall_detector = StallDetector(limits.client_timeout)
        self._disconnect_watcher: DisconnectWatcher | None = None
        self._reads = True
        # The head that has the parser read the body of a request which also offers an upgrade.
        self._body_head = b""
        self._is_repeated = False
        # Between the first byte of a head and its last.
        self._in_head = False
        # Bytes read since a head, a piece of a body or a message was complete: what the parser may be holding.
        self._unfinished = 0
        # What the fields of a head, or of a body's trailers, add up to.
        self._field_bytes = 0
        # The client sends no more.
        self._silent = False
        self._target = b""
        self._fields: list[tuple[str, str]] = []

    # --- asyncio -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        peer = transport.get_extra_info("peername")
        self.client = peer[0] if isinstance(peer, tuple) else ""
        if isinstance(peer, tuple):
            # asyncio does this only for sockets that name their protocol, which those of create_server() do not.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._deadline.limit(self._limits.head_timeout)
        self._task = self._server.connected(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._silent = True
        self._wake(self.disconnected)
        self._deadline.stop()
        self._stop_watch()
        self._break_off()
        self._wake(self._writable)
        self._wake(self._arrived)
        if self._tunnel is not None:
            self._tunnel.end()
        if self._exchanges and self._server.cancels:
            self._cancel()
        self._server.disconnected(self)

    def eof_received(self) -> bool:
        """The client sends no more; a response may still be on its way to it."""
        self._silent = True
        self._wake(self.disconnected)
        if self._tunnel is not None:
            self._tunnel.end()
            return True
        self._break_off()
        self._wake(self._arrived)
        if self._exchanges and self._server.cancels:
            self._cancel()
            return False
        return bool(self._exchanges)

    def pause_writing(self) -> None:
        self._writable = self.loop.create_future()

    def resume_writing(self) -> None:
        self._wake(self._writable)
        self._writable = None

    def data_received(self, data: bytes) -> None:
        self._stall_detector.received += len(data)
        if self._tunnel is not None:
            self._tunnel.feed(data)
        elif self._undecided is not None:
            self._undecided += data
            self.adjust_flow()
        elif self._refusal is None:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        self._unfinished += len(data)
        try:
            self._parser.feed_data(data)
            self._check_size(self._unfinished)
        except HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            if self._body_head:
                self._read_body(rest)
                return
            self._undecided = rest
        except HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, RefusedHead) else RefusedHead(400, str(error)))
        except HttpParserError as error:
            self._refuse(RefusedHead(400, f"not HTTP/1.1: {error}"))
        except RefusedHead as refusal:
            self._refuse(refusal)
        if self._in_head and not self._deadline.is_limited and self._refusal is None:
            self._deadline.limit(self._limits.head_timeout)
        self.adjust_flow()

    def _read_body(self, data: bytes) -> None:
        """Read the body of a request that also offers an upgrade, which is refused (RFC 9110, section 7.8, allows it).

        llhttp takes the body for the other protocol, so that one more parser is told of the body alone.
        """
        self._parser = HttpRequestParser(self)
        self._is_repeated = True
        self._parser.feed_data(self._body_head)
        self._is_repeated = False
        self._body_head = b""
        self._feed(data)

    def _check_size(self, size: int) -> None:
        """Heads and trailers are bounded alike, by what has been read of them and by what they are in the end."""
        if size > self._limits.head_bytes:
            raise RefusedHead(431, f"the request line and headers are over {self._limits.head_bytes} bytes")

    # --- httptools -----------------------------------------------------------------------------------------------

    def on_message_begin(self) -> None:
        if self._is_repeated:
            return
        self._in_head = True
        self._deadline.limit(None)
        self._target = b""
        self._fields = []
        self._field_bytes = 0

    def on_url(self, url: bytes) -> None:
        if self._is_repeated:
            return
        self._target += url
        self._field_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._is_repeated:
            return
        # Once the head is complete these are trailers.
        fields = self._fields if self._arriving is None else self._arriving.body.trailers
        fields.append((name.decode("latin-1"), header_text(value.rstrip(b" \t"))))
        self._field_bytes += len(name) + len(value)
        self._check_size(self._field_bytes)

    def on_headers_complete(self) -> None:
        if self._is_repeated:
            return
        version = self._parser.get_http_version()
        method = self._parser.get_method().decode("latin-1")
        exchange = Exchange(
            self,
            method=method,
            target=self._target.decode("latin-1"),
            version=version,
            headers=self._fields,
            # What follows CONNECT is meant for a tunnel, which there never is: it must not be read as a request.
            keep_alive=self._parser.should_keep_alive() and method != "CONNECT",
        )
        framing = check_head(exchange)
        if framing and self._parser.should_upgrade():
            self._body_head = f"POST / HTTP/1.1\r\n{framing}\r\n\r\n".encode()
        elif self._parser.should_upgrade() and version == "1.1":
            exchange.upgrade = ", ".join(value for name, value in self._fields if name.lower() == "upgrade").lower()
        self._in_head = False
        self._unfinished = self._field_bytes = 0
        self._arriving = exchange
        self._exchanges.append(exchange)
        self._deadline.limit(None)
        self._wake(self._arrived)

    def on_body(self, piece: bytes) -> None:
        assert self._arriving is not None
        self._unfinished = 0
        self._arriving.body.feed(piece)

    def on_message_complete(self) -> None:
        if self._body_head:
            return
        assert self._arriving is not None
        self._unfinished = 0
        self._arriving.body.end(truncated=False)
        self._arriving = None

    # --- for the exchange ----------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send to the client; without effect when it is gone."""
        if self._transport is not None:
            self._stall_detector.written += len(data)
            self._transport.write(data)

    async def drain(self) -> None:
        """Wait while the client does not keep up.

        Raises ConnectionResetError when it is gone, ClientStalledError when it takes nothing any more.
        """
        if self._writable is not None:
            await self._stall_detector.wait(self._writable, self._taken)
        if self._transport is None:
            raise ConnectionResetError("the client is gone")

    async def wait_until_sent(self, waiter: asyncio.Future[None]) -> None:
        """Wait for ``waiter``, which the client's next bytes end. Raises ClientStalledError when none come."""
        await self._stall_detector.wait(waiter, lambda: self._stall_detector.received + self._taken())

    def _taken(self) -> int:
        return self._stall_detector.taken(self._transport)

    def write_eof(self) -> None:
        """Send no more."""
        if self._transport is not None and self._transport.can_write_eof():
            self._transport.write_eof()

    @property
    def closing(self) -> bool:
        """Whether this is the connection's last exchange because the server is closing."""
        return self._server.closing

    def cut(self, *, reset: bool = False) -> None:
        """Close without ending what was begun; what has been written still goes out, to a client that takes it.

        ``reset`` has the client see an error where it would take the end of the connection for the end of the body.
        """
        if self._transport is None:
            return
        if reset:
            self._transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._transport.close()
        self._deadline.limit(self._limits.flush_timeout)

    def reject(self, refusal: RefusedHead, headers: list[tuple[str, str]]) -> None:
        """Answer without looking at any request."""
        self._refusal = refusal
        self._answer_refusal(refusal, headers)
        self.write_eof()
        self._deadline.limit(self._limits.linger_timeout)

    def abort(self) -> None:
        """Close at once."""
        if self._transport is not None:
            self._transport.abort()

    def hand_over(self, tunnel: Tunnel) -> None:
        """From now on the bytes are not HTTP."""
        self._tunnel = tunnel
        undecided, self._undecided = self._undecided, None
        if undecided:
            tunnel.feed(undecided)

    def pause_reading(self) -> None:
        """Leave the socket unread; that the client goes away is noticed all the same, where it cancels anything."""
        if self._transport is None:
            return
        self._reads = False
        self._transport.pause_reading()
        if self._server.cancels and self._tunnel is None and self._disconnect_watcher is None:
            self._disconnect_watcher = DisconnectWatcher(self._transport, self.abort)

    def resume_reading(self) -> None:
        """Read again."""
        self._reads = True
        self._stop_watch()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _stop_watch(self) -> None:
        if self._disconnect_watcher is not None:
            self._disconnect_watcher.stop()
            self._disconnect_watcher = None

    def adjust_flow(self) -> None:
        """Read from the socket as long as what has been read is being consumed."""
        waiting = self._arriving.body.waiting if self._arriving is not None else 0
        # Reading goes on as long as it may: it is how a client that goes away is noticed.
        waiting += len(self._undecided or b"")
        if waiting > BODY_HIGH_WATER or len(self._exchanges) > MAX_PIPELINED:
            self.pause_reading()
        elif not self._reads:
            self.resume_reading()

    # --- the task ------------------------------------------------------------------------------------------------

    async def run(self, serve: Serve) -> None:
        """Serve the requests of this connection, one after the other, until it ends."""
        try:
            while await self._next_exchange():
                exchange = self._exchanges[0]
                await serve(exchange)
                if not exchange.ended:
                    exchange.cut()
                if not exchange.keep_alive or self._server.closing:
                    break
                self._undo_upgrade()
                self._exchanges.popleft()
                self.adjust_flow()
                if not (self._exchanges or self._in_head or self._refusal):
                    self._deadline.limit(self._limits.keep_alive_timeout)
            if self._refusal is not None and not self._exchanges:
                self._answer_refusal(self._refusal)
            await self._linger()
        finally:
            self.cut()

    async def _next_exchange(self) -> bool:
        """Wait for a request; False when there will be none."""
        while not self._exchanges:
            if self._refusal is not None or self._transport is None or self._server.closing:
                return False
            self._server.waits(self)
            self._arrived = self.loop.create_future()
            await self._arrived
        self._server.serves(self)
        return True

    def stop_waiting(self) -> None:
        """The server is closing: end the connection if it is between two requests."""
        self._wake(self._arrived)

    async def _linger(self) -> None:
        """Let a client that is still sending finish, or give up: closing on it would reset what it was sent."""
        if self._transport is None or self._transport.is_closing():
            return
        if self._arriving is None and self._refusal is None:
            return
        self.write_eof()
        self._server.waits(self)
        with contextlib.suppress(TimeoutError, BodyTruncatedError):
            async with asyncio.timeout(self._limits.linger_timeout):
                if self._arriving is not None:
                    await self._arriving.body.drop()
                while self._refusal is not None and not self._silent:
                    self._arrived = self.loop.create_future()
                    await self._arrived

    def _undo_upgrade(self) -> None:
        """The upgrade was not granted: what came after the head is HTTP."""
        undecided, self._undecided = self._undecided, None
        if undecided:
            self._feed(undecided)

    def _answer_refusal(self, refusal: RefusedHead, headers: list[tuple[str, str]] | None = None) -> None:
        body = f"{refusal}\n".encode()
        lines = [("content-type", "text/plain"), ("content-length", str(len(body))), ("connection", "close")]
        self.write(encode_head(refusal.status, [*(headers or ()), *lines]) + body)

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _refuse(self, refusal: RefusedHead) -> None:
        self._refusal = refusal
        self._deadline.limit(None)
        self._break_off()
        self._wake(self._arrived)

    def _break_off(self) -> None:
        if self._arriving is not None:
            self._arriving.keep_alive = False
            self._arriving.body.end(truncated=True)
            self._arriving = None

    def _time_out(self) -> None:
        if self._transport is not None and self._transport.is_closing():
            # The client does not take what is left for it.
            self.abort()
        elif self._in_head and self._refusal is None:
            self._refuse(RefusedHead(408, "the request head did not arrive in time"))
        else:
            self.cut()

    @staticmethod
    def _wake(waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
