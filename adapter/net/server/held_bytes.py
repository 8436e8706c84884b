"""The memory that unfinished requests of all clients share: incomplete heads and trailers, and pipelined requests."""

from __future__ import annotations

from typing import Final, Protocol

# Each connection may hold this much without a share of the budget, in bytes. Nearly all heads are smaller.
FREE_BYTES = 16 * 1024
# The budget of all connections of this process, for what each holds beyond that, in bytes.
HELD_LIMIT = 64 * 1024 * 1024


class Holder(Protocol):
    """A connection with unfinished input."""

    def release_held(self) -> None:
        """Refuse the unfinished request, and free its memory."""


class HeldBytes:
    """Counts the bytes that connections hold beyond ``FREE_BYTES``. Beyond ``limit`` the oldest of them is released."""

    def __init__(self, limit: int = HELD_LIMIT) -> None:
        self._limit: Final = limit
        self._total = 0
        # In the order in which the connections have begun to hold more than is free.
        self._shares: dict[Holder, int] = {}

    def update(self, holder: Holder, held: int) -> None:
        """Note that ``holder`` holds ``held`` bytes now."""
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


#: The memory is that of the process, so all its servers share one budget.
PROCESS_HELD_BYTES = HeldBytes()
