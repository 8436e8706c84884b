"""Waiting for something to become true, where one event loop owns all state."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Condition:
    """Wakes those who wait for a condition. Whoever changes what a condition depends on calls ``notify``.

    A condition is checked again only after a notice, so this needs no lock and no polling; and it is checked where the
    change happens, so that nobody wakes for nothing. ``on_change`` is called after every change, before anybody wakes.
    """

    def __init__(self) -> None:
        self.on_change: Callable[[], None] | None = None
        self._waiting: dict[asyncio.Future[None], Callable[[], bool]] = {}

    def notify(self) -> None:
        """Something changed."""
        if self.on_change is not None:
            self.on_change()
        for waiter, condition in self._waiting.items():
            if not waiter.done() and condition():
                waiter.set_result(None)

    async def wait_for(self, condition: Callable[[], bool]) -> None:
        """Return as soon as ``condition`` holds, at once if it does already."""
        while not condition():
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting[waiter] = condition
            try:
                await waiter
            finally:
                del self._waiting[waiter]
