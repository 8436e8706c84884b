"""One client's connection. Its callbacks turn bytes into requests, and its task serves the requests in order.

``connection_state`` contains the table of states, their rules and their time limits. ``HttpConnection._advance``
changes the state of a connection and does what the new state requires.
"""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING, Protocol

from adapter.net.server import connection_state as states
from adapter.net.server.client_watch import wait_for_progress
from adapter.net.server.connection_state import TRANSITIONS, IllegalTransition
from adapter.net.server.deadline import Deadline
from adapter.net.server.exchange import Exchange, RequestBody, encode_refusal
from adapter.net.server.held_bytes import FREE_BYTES, HeldBytes
from adapter.net.server.request_parser import EndOfMessage, Refusal, RequestHead, RequestParser
from adapter.net.server.server_limits import (
    BODY_HIGH_WATER,
    MAX_PIPELINED,
    RECEIVE_HEAD,
    WRITE_HIGH_WATER,
    Limits,
)
from adapter.net.transports import end_sending, reset_on_close, undelivered

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter.net.server.client_watch import DisconnectWatcher
    from adapter.net.server.connection_state import ConnectionEvent, ConnectionState
    from adapter.net.server.receive_turns import ReceiveTurns
    from adapter.net.server.request_parser import Received

    Serve = Callable[[Exchange], Awaitable[None]]


class ConnectionOwner(Protocol):
    """The part of the server that a connection uses.

    If ``cancels`` is True, requests are cancelled when their client disconnects. ``decode`` decodes header values.
    If ``is_winding_down`` is True, each response is the final one of its connection.
    ``waiting`` contains the connections on which no request is being served, the longest-waiting one first.
    ``timeouts`` contains the time limit of each state in seconds. States without an entry have no time limit.
    """

    cancels: bool
    decode: Callable[[bytes], str]
    disconnect_watcher: DisconnectWatcher
    held_bytes: HeldBytes
    is_winding_down: bool
    limits: Limits
    receive_turns: ReceiveTurns
    serve: Serve
    timeouts: dict[ConnectionState, float]
    waiting: dict[HttpConnection, None]

    def accept(self, connection: HttpConnection) -> None:
        """Start the task that serves the requests of a new connection, or refuse the connection."""

    def forget(self, connection: HttpConnection) -> None:
        """Remove a connection that has ended."""


class HttpConnection(asyncio.BufferedProtocol):
    """One client's connection. It implements ``exchange.ClientConnection``, the interface that exchanges use."""

    def __init__(self, server: ConnectionOwner) -> None:
        self.client = ""
        self.is_reading = True
        self.task: asyncio.Task[None] | None = None
        self._server = server
        self._limits = limits = server.limits
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport | None = None
        self._state = states.IDLE
        self._deadline = Deadline(self._loop, self._time_out)
        self._parser = RequestParser(limits.head_bytes, server.decode)
        # The requests that are not answered yet, MAX_PIPELINED + 1 at most. The first one is being served.
        self._exchanges: list[Exchange] = []
        # The body of the latest request until that body is complete, or the bytes that arrive through the tunnel.
        self._arriving: RequestBody | None = None
        self._refusal: Refusal | None = None
        # The return value of ``DisconnectWatcher.watch``, or -1 while the watcher does not check this connection.
        self._watch = -1
        self._is_charged = False
        self._is_postponed = False
        # True while ``serve`` is not called yet for the current request. Perhaps ``serve`` can answer it immediately.
        self._is_between_requests = False
        self._bytes_received = 0
        self._bytes_written = 0
        self._has_ended_sending = False
        # ``_arrived`` is done once data has arrived, ``_writable`` once the client accepts more data, and
        # ``disconnected`` once the client has closed its sending side.
        self._arrived: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self.disconnected: asyncio.Future[None] = self._loop.create_future()

    # --- asyncio -------------------------------------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        peer = transport.get_extra_info("peername")
        if isinstance(peer, tuple):
            self.client = peer[0]
            # asyncio sets this option only if a socket has a protocol number; sockets of create_server() have none.
            transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._deadline.set(self._limits.head_timeout)
        self._server.accept(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        turns = self._server.receive_turns
        if self._parser.is_costly:
            return turns.costly_part
        return turns.head_part if self._arriving is None and self._state is not states.DRAINING else turns.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.data_received(bytes(self._server.receive_turns.buffer[:nbytes]))
        if self._parser.is_costly and self.is_reading and self._transport is not None:
            # All other connections may receive before this one continues.
            self._is_postponed = True
            self._pause_reading()
            self._server.receive_turns.postpone(self)

    def data_received(self, data: bytes) -> None:
        self._bytes_received += len(data)
        if self._state is states.TUNNEL:
            assert self._arriving is not None
            self._arriving.feed(data)
            self.stop_waiting()
            self.adjust_flow()
        elif self._state is states.DRAINING:
            # An item that is not a piece of the body ends the body: its regular end, or a refusal.
            if not all(isinstance(item, bytes) for item in self._parser.feed(data, 0)):
                self._advance(states.BODY_COMPLETE)
        elif self._state not in states.DISCARDING:
            self._take(self._parser.feed(data, MAX_PIPELINED + 1 - len(self._exchanges)))

    def eof_received(self) -> bool:
        self._wake(self.disconnected)
        self._end_input()
        # Keep the connection open: a response may not have been sent yet.
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self._end_body(truncated=True)
        self._advance(states.LOST)
        self._deadline.stop()
        self._stop_watcher()
        self._parser.ignore()
        self._charge(0)
        for waiter in (self.disconnected, self._writable, self._arrived):
            self._wake(waiter)
        if self._exchanges and self._server.cancels:
            self._cancel()
        self._server.forget(self)

    def pause_writing(self) -> None:
        self._writable = self._loop.create_future()

    def resume_writing(self) -> None:
        self._wake(self._writable)
        self._writable = None
        if self._has_ended_sending:
            self.write_eof()

    # --- the state -----------------------------------------------------------------------------------------------

    def _advance(self, event: ConnectionEvent) -> None:
        """Enter the state that follows ``event``. Raises IllegalTransition if the state does not allow ``event``."""
        state = TRANSITIONS[self._state].get(event)
        if state is None:
            raise IllegalTransition(self._state, event)
        if state is self._state:
            return
        self._state = state
        seconds = self._server.timeouts.get(state)
        if seconds is None:
            self._deadline.when = None
        else:
            self._deadline.set(seconds)
        if state is states.DRAINING or state is states.LINGERING:
            self.write_eof()
        elif state is states.CLOSING and self._transport is not None:
            self._transport.close()

    def _time_out(self) -> None:
        if self._state is states.HEAD:
            self.refuse(Refusal(408, "the request head did not arrive in time"))
        elif self._state is states.CLOSING:
            # The client has not received all written data within ``flush_timeout``.
            self.abort()
        else:
            self.cut()

    # --- what the client sends -----------------------------------------------------------------------------------

    def _take(self, received: list[Received]) -> None:
        """Handle the items that the parser returned."""
        for item in received:
            if isinstance(item, bytes):
                assert self._arriving is not None
                self._arriving.feed(item)
            elif isinstance(item, RequestHead):
                self._advance(states.HEAD_COMPLETE)
                exchange = Exchange(self, item)
                if self._server.is_winding_down:
                    exchange.keep_alive = False
                self._arriving = exchange.body
                self._exchanges.append(exchange)
            elif isinstance(item, EndOfMessage):
                assert self._arriving is not None
                self._advance(states.BODY_COMPLETE)
                self._arriving.trailers = item.trailers
                self._end_body(truncated=False)
            else:
                self.refuse(item)
        if self._parser.in_head:
            if self._state is not states.HEAD:
                self._advance(states.HEAD_BEGUN)
        elif self._parser.is_paused and self._state is not states.UPGRADE_OFFERED:
            self._advance(states.OFFER)
        self._charge(self._parser.held_bytes)
        self.stop_waiting()
        self.adjust_flow()

    def _charge(self, held: int) -> None:
        """Count ``held``, the number of bytes that the parser holds, towards the budget that all connections share."""
        if self._is_charged or held > FREE_BYTES:
            self._is_charged = held > FREE_BYTES
            self._server.held_bytes.update(self, held)

    def release_held(self) -> None:
        """Free the memory of the unfinished request: refuse the request, or close the connection if that is impossible.

        Called by ``HeldBytes``.
        """
        self._is_charged = False
        if states.REFUSE in TRANSITIONS[self._state]:
            self.refuse(Refusal(431, "the server has no memory left for request heads that arrive slowly"))
        else:
            self.cut()

    def refuse(self, refusal: Refusal) -> None:
        """Stop parsing requests. Send ``refusal`` after the responses to the requests that have already arrived."""
        self._refusal = refusal
        if self._arriving is not None:
            self._arriving.refusal = refusal
        self._parser.ignore()
        self._charge(0)
        self._end_body(truncated=True)
        self._advance(states.REFUSE)
        if not self._exchanges:
            self._all_answered()
        self.stop_waiting()

    def _end_body(self, *, truncated: bool) -> None:
        body, self._arriving = self._arriving, None
        if body is not None:
            body.ended, body.truncated = True, truncated

    def _end_input(self) -> None:
        """Handle the end of the client's input.

        If the connection is a tunnel, or if the current request is worth finishing, continue to serve. Otherwise,
        cancel the requests and close the connection.
        """
        self._end_body(truncated=True)
        self.stop_waiting()
        if self._exchanges and (self._state is states.TUNNEL or self._is_worth_serving()):
            self._advance(states.EOF)
        else:
            self._abandon()

    def _is_worth_serving(self) -> bool:
        """Return whether to finish the current request after its client has disconnected or closed its sending side."""
        exchange = self._exchanges[0]
        if not self._server.cancels or exchange.ended or self._is_between_requests:
            return True
        return exchange.is_response_at_hand is not None and exchange.is_response_at_hand()

    def _abandon(self) -> None:
        if self._exchanges:
            self._cancel()
        self.cut()

    # --- for the exchanges ---------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        # After an error, asyncio logs a warning for each further write until it calls ``connection_lost``.
        if self._transport is not None and not self._transport.is_closing():
            self._bytes_written += len(data)
            self._transport.write(data)

    async def drain(self) -> None:
        if self._writable is not None:
            if self._limits.client_timeout is None:
                # Several writers may wait for this future. The cancellation of one of them must not cancel it.
                await asyncio.shield(self._writable)
            else:
                await wait_for_progress(self._writable, self._bytes_delivered, self._limits.client_timeout)
        if self._transport is None:
            raise ConnectionResetError("the client has disconnected")

    def write_eof(self) -> None:
        self._has_ended_sending = True
        if self._transport is not None:
            end_sending(self._transport)

    def cut(self, *, reset: bool = False) -> None:
        """Close the connection without completing the response. Written data is still sent, within ``flush_timeout``.

        If ``reset`` is True, end the connection with a reset. Use this if the client would mistake a regular end of the
        connection for the end of the body.
        """
        if self._transport is not None:
            if reset:
                reset_on_close(self._transport)
            self._advance(states.CLOSE)

    def wait_for_bytes(self) -> Awaitable[None]:
        self._arrived = waiter = self._loop.create_future()
        # A tunnel may be silent for an unlimited time.
        if self._limits.client_timeout is None or self._state is states.TUNNEL:
            return waiter
        return wait_for_progress(
            waiter, lambda: self._bytes_received + self._bytes_delivered(), self._limits.client_timeout
        )

    def stop_waiting(self) -> None:
        if self._arrived is not None:
            self._wake(self._arrived)
            self._arrived = None

    def switch_protocols(self) -> RequestBody:
        self._advance(states.SWITCH)
        self._arriving = received = RequestBody(self)
        if kept := self._parser.take_kept():
            received.feed(kept)
        if self.disconnected.done():
            self._end_body(truncated=True)
        return received

    def adjust_flow(self) -> None:
        # Pause reading only if needed, because the event loop notices a disconnect only while it reads.
        unread = 0 if self._arriving is None else self._arriving.unread_bytes
        most_kept = RECEIVE_HEAD if self._parser.is_paused else 0
        is_full = unread > BODY_HIGH_WATER or len(self._parser.kept) > most_kept
        if is_full or self._is_postponed or len(self._exchanges) > MAX_PIPELINED:
            self._pause_reading()
        elif not self.is_reading:
            self._resume_reading()

    def end_postponement(self) -> None:
        """Start receiving again if no other reason requires a pause. Called by ``ReceiveTurns``."""
        self._is_postponed = False
        self.adjust_flow()

    def _pause_reading(self) -> None:
        if self._transport is None:
            return
        self.is_reading = False
        self._transport.pause_reading()
        if self._server.cancels and self._state is not states.TUNNEL and self._watch < 0:
            self._watch = self._server.disconnect_watcher.watch(self, self._transport)

    def end_unread_input(self) -> None:
        """Cancel the requests and close the connection, if there is no current request that is worth finishing.

        Called by ``DisconnectWatcher`` if the client has closed its sending side while the socket is not being read.
        """
        if not self._exchanges or not self._is_worth_serving():
            self._abandon()

    def _resume_reading(self) -> None:
        self.is_reading = True
        self._stop_watcher()
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def _stop_watcher(self) -> None:
        if self._watch >= 0:
            self._server.disconnect_watcher.stop(self._watch)
            self._watch = -1

    def _bytes_delivered(self) -> int:
        return self._bytes_written - (0 if self._transport is None else undelivered(self._transport))

    # --- for the server ------------------------------------------------------------------------------------------

    def wind_down(self) -> None:
        """Close the connection after the current response.

        If the head of this response has already promised to keep the connection open, the connection is closed after
        the next response.
        """
        for exchange in self._exchanges:
            if not exchange.begun:
                exchange.keep_alive = False

    def close_when_answered(self) -> None:
        """Close the connection now if it is idle, else after the current response.

        A new client may still send its first request, within ``late_request_timeout``, since clients do not expect
        that the server closes an accepted connection before the first request.
        """
        for exchange in self._exchanges:
            exchange.keep_alive = False
        if self._state is states.IDLE and self._bytes_received:
            self.cut()
        elif self._state is states.IDLE or (self._state is states.HEAD and not self._exchanges):
            self._deadline.set(self._limits.late_request_timeout)

    def abort(self) -> None:
        """Close the connection immediately. Discard written data that is not sent yet."""
        if self._transport is not None:
            self._advance(states.CLOSE)
            self._transport.abort()

    # --- the task ------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Serve the requests of this connection, one after the other, until the connection ends.

        If ``serve`` raises an exception, close only this connection, and pass the exception to the loop's exception
        handler.
        """
        try:
            while (exchange := await self._next_exchange()) is not None:
                await self._server.serve(exchange)
                if not exchange.ended:
                    exchange.cut()
                self._end_exchange(exchange)
        except Exception as error:
            self.cut()
            self._loop.call_exception_handler(
                {"message": "internal error while a connection was served", "exception": error, "protocol": self}
            )
        finally:
            if self._state is states.DRAINING or self._state is states.LINGERING:
                # Like an idle connection, a draining or lingering one may be closed to make room for a new client.
                self._server.waiting[self] = None
            else:
                self.cut()

    async def _next_exchange(self) -> Exchange | None:
        """Wait for the next request and return it, or return None if no more requests can arrive."""
        if self._exchanges:
            # A client may have sent hundreds of requests that are answered without waiting. Let other connections run.
            self._is_between_requests = True
            await asyncio.sleep(0)
            self._is_between_requests = False
        while not self._exchanges:
            if self._state is not states.IDLE and self._state is not states.HEAD:
                return None
            self._server.waiting[self] = None
            self._arrived = self._loop.create_future()
            await self._arrived
        self._server.waiting.pop(self, None)
        return self._exchanges[0]

    def _end_exchange(self, exchange: Exchange) -> None:
        if exchange.keep_alive:
            self._exchanges.pop(0)
            if not self._exchanges:
                self._all_answered()
            if self._parser.kept and (self._state is states.IDLE or self._state is states.DONE):
                self._take(self._parser.feed(b"", MAX_PIPELINED + 1 - len(self._exchanges)))
        else:
            self._exchanges.clear()
            self._advance(states.LAST_ANSWERED)
            if self._arriving is not None:
                self._arriving.discard()
            if self.disconnected.done():
                self._end_input()
        if not self.is_reading:
            self.adjust_flow()

    def _all_answered(self) -> None:
        before = self._state
        if before is states.REFUSED:
            assert self._refusal is not None
            self.write(encode_refusal(self._refusal))
        self._advance(states.ALL_ANSWERED)
        if before is states.UPGRADE_OFFERED:
            # The upgrade is declined, so the bytes kept by the parser are HTTP.
            self._take(self._parser.resume(MAX_PIPELINED + 1 - len(self._exchanges)))
        if self.disconnected.done():
            self._end_input()

    def _cancel(self) -> None:
        if self.task is not None:
            self.task.cancel()

    @staticmethod
    def _wake(waiter: asyncio.Future[None] | None) -> None:
        if waiter is not None and not waiter.done():
            waiter.set_result(None)
