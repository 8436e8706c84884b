"""Decides how many bytes a connection receives at once. Connections take turns if their input is costly to parse."""

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

    One buffer is enough, because each connection copies the received bytes before another connection receives. A
    connection passes a part of the buffer to the event loop. The size of this part limits how many bytes the connection
    receives at once. The part is:

    - ``costly_part`` if the client's most recent bytes were costly to parse;
    - otherwise the whole ``buffer`` if the next bytes continue a body;
    - otherwise ``head_part``.
    """

    def __init__(self) -> None:
        # Connections whose input is costly to parse. In each iteration of the event loop, one of them receives.
        self.postponed: deque[Receiver] = deque()
        self.buffer: Final = memoryview(bytearray(RECEIVE_BODY))
        self.costly_part: Final = self.buffer[:RECEIVE_HEAD]
        self.head_part = self.costly_part

    def postpone(self, connection: Receiver) -> None:
        """Add ``connection`` to the queue. When its turn comes, its ``end_postponement`` is called."""
        if not self.postponed:
            # While costly bodies wait for their turn, a new request may be the beginning of another costly body.
            self.head_part = self.buffer[:RECEIVE_BUSY]
            asyncio.get_running_loop().call_soon(self._end_postponement)
        self.postponed.append(connection)

    def _end_postponement(self) -> None:
        self.postponed.popleft().end_postponement()
        if self.postponed:
            asyncio.get_running_loop().call_soon(self._end_postponement)
        else:
            self.head_part = self.costly_part
