"""Lets the tasks of an event loop wait until a condition becomes true."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Condition:
    """Wakes tasks whose condition has become true. After each change that can make a condition true, call ``notify``.

    ``notify`` checks the conditions, so only tasks that can continue wake up. Use a Condition in one event loop only.
    """

    def __init__(self) -> None:
        #: A future for each waiting task → the task's condition. Empty most of the time.
        self.waiters: dict[asyncio.Future[None], Callable[[], bool]] = {}

    def notify(self) -> None:
        """Wake every waiting task whose condition is true now."""
        for waiter, condition in self.waiters.items():
            if not waiter.done() and condition():
                waiter.set_result(None)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until ``condition()`` is true. Returns at once if it is already true."""
        while not condition():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.waiters[waiter] = condition
            try:
                await waiter
            finally:
                del self.waiters[waiter]
