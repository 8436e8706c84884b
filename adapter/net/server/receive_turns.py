"""How many bytes a connection receives at once, and the turns of those whose input is costly to parse."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Final, Protocol

from adapter.net.server.server_limits import RECEIVE_BODY, RECEIVE_BUSY, RECEIVE_HEAD


class Receiver(Protocol):
    """A connection that waits for its turn to receive."""

    def end_postponement(self) -> None:
        """Receive again."""


class ReceiveTurns:
    """The buffer of all connections, and those that are ``postponed``.

    One buffer is enough: each connection copies what it has received before the next one receives.
    """

    def __init__(self) -> None:
        # Connections whose input is costly to parse. One of them receives in each turn of the loop.
        self.postponed: deque[Receiver] = deque()
        self._buffer: Final = memoryview(bytearray(RECEIVE_BODY))

    def get_buffer(self, *, is_body: bool, is_costly: bool) -> memoryview:
        """Return the buffer for what a client sends next: the rest of a body that is or is not costly, or requests."""
        if is_body and not is_costly:
            return self._buffer
        # While costly bodies wait for their turn, requests may be the beginning of another one.
        return self._buffer[: RECEIVE_BUSY if self.postponed and not is_costly else RECEIVE_HEAD]

    def get_received(self, nbytes: int) -> bytes:
        """Return a copy of the first ``nbytes`` in the buffer."""
        return bytes(self._buffer[:nbytes])

    def postpone(self, connection: Receiver) -> None:
        """Call ``end_postponement`` of ``connection`` after those that were postponed before."""
        if not self.postponed:
            asyncio.get_running_loop().call_soon(self._end_postponement)
        self.postponed.append(connection)

    def _end_postponement(self) -> None:
        self.postponed.popleft().end_postponement()
        if self.postponed:
            asyncio.get_running_loop().call_soon(self._end_postponement)
