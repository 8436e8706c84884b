"""Decides how many bytes a connection receives at once. Connections with input that is costly to parse take turns."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

from adapter.net.server.server_limits import RECEIVE_BODY, RECEIVE_BUSY, RECEIVE_HEAD


class Receiver(Protocol):
    """A connection that waits for its turn to receive."""

    def end_postponement(self) -> None:
        """Start receiving again. Called when it is this connection's turn."""


class ReceiveTurns:
    """The receive buffer that all connections share, and the queue of connections that wait for their turn to receive.

    One buffer is enough, because each connection copies the received bytes before another connection receives.
    """

    def __init__(self) -> None:
        # Connections whose input is costly to parse. In each iteration of the event loop, one of them receives.
        self.postponed: deque[Receiver] = deque()
        self._buffer: Final = memoryview(bytearray(RECEIVE_BODY))

    def get_buffer(self, *, is_body: bool, is_costly: bool) -> memoryview:
        """Return a buffer for the next bytes of a client. Its size limits how many bytes are received at once.

        ``is_body`` is True if these bytes continue a body. ``is_costly`` is True if the client's last bytes were costly
        to parse.
        """
        if is_body and not is_costly:
            return self._buffer
        # While costly bodies wait for their turn, a new request may be the beginning of another costly body.
        return self._buffer[: RECEIVE_BUSY if self.postponed and not is_costly else RECEIVE_HEAD]

    def get_received(self, nbytes: int) -> bytes:
        """Return a copy of the first ``nbytes`` bytes in the buffer."""
        return bytes(self._buffer[:nbytes])

    def postpone(self, connection: Receiver) -> None:
        """Add ``connection`` to the queue. Call its ``end_postponement`` when its turn comes."""
        if not self.postponed:
            asyncio.get_running_loop().call_soon(self._end_postponement)
        self.postponed.append(connection)

    def _end_postponement(self) -> None:
        self.postponed.popleft().end_postponement()
        if self.postponed:
            asyncio.get_running_loop().call_soon(self._end_postponement)
