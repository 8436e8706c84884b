"""Waiting until something becomes true, in one event loop that owns all state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Condition:
    """Wakes the tasks that wait for a condition. Code that changes what a condition depends on calls ``notify``.

    Conditions are checked by ``notify``, and only there. This needs no lock and no polling, and only tasks that can go
    on wake up.
    """

    def __init__(self) -> None:
        #: The tasks that wait, with their conditions; empty most of the time.
        self.waiters: dict[asyncio.Future[None], Callable[[], bool]] = {}

    def notify(self) -> None:
        """Wake every task whose condition holds now."""
        for waiter, condition in self.waiters.items():
            if not waiter.done() and condition():
                waiter.set_result(None)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return as soon as ``condition`` holds, at once if it does already."""
        while not condition():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiters[waiter] = condition
            try:
                await waiter
            finally:
                del self.waiters[waiter]
