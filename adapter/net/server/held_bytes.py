"""A memory budget that all clients share for incomplete heads and trailers, and for pipelined requests."""

from __future__ import annotations

from typing import Final, Protocol

# The bytes that a connection may hold without counting towards the budget. Nearly all heads are smaller.
FREE_BYTES: Final = 16 * 1024
# The budget of all connections of this process together, in bytes.
HELD_LIMIT: Final = 64 * 1024 * 1024


class Holder(Protocol):
    """A connection that holds the bytes of unfinished requests."""

    def release_held(self) -> None:
        """Refuse the unfinished request, and free its memory."""


class HeldBytes:
    """Counts the bytes that connections hold, except the first ``FREE_BYTES`` of each connection.

    While the count exceeds ``limit``, ``release_held`` is called for the connection that has exceeded ``FREE_BYTES``
    for the longest time.
    """

    def __init__(self, limit: int = HELD_LIMIT) -> None:
        self._limit: Final = limit
        self._total = 0
        # The counted bytes of each connection, in the order in which the connections exceeded ``FREE_BYTES``.
        self._shares: dict[Holder, int] = {}

    def update(self, holder: Holder, held: int) -> None:
        """Record that ``holder`` now holds ``held`` bytes. Call ``release_held`` while the count exceeds the limit."""
        share = max(0, held - FREE_BYTES)
        self._total += share - self._shares.get(holder, 0)
        if share:
            self._shares[holder] = share
        else:
            self._shares.pop(holder, None)
        while self._total > self._limit:
            oldest = next(iter(self._shares))
            self._total -= self._shares.pop(oldest)
            oldest.release_held()


#: All servers of this process share its memory, so they share one budget.
PROCESS_HELD_BYTES = HeldBytes()
