"""A deadline that every request moves, and that is almost never reached."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Deadline:
    """Calls ``on_timeout`` once when the deadline is reached.

    ``when`` is the deadline on the clock of the event loop, in seconds. To remove the deadline, set ``when`` to None.

    Every request sets deadlines, and almost none is ever reached. So setting a later deadline does not restart the
    timer. When the timer fires, it checks whether the deadline has been moved.
    """

    __slots__ = ("_loop", "_on_timeout", "_timer", "when")

    def __init__(self, loop: asyncio.AbstractEventLoop, on_timeout: Callable[[], None]) -> None:
        self._loop = loop
        self._on_timeout = on_timeout
        self.when: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    def set(self, seconds: float) -> None:
        """Set the deadline to ``seconds`` from now."""
        self.when = self._loop.time() + seconds
        if self._timer is not None and self._timer.when() > self.when:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self.when, self._check)

    def stop(self) -> None:
        """Remove the deadline and cancel the timer."""
        self.when = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _check(self) -> None:
        self._timer = None
        if self.when is None:
            return
        if self.when <= self._loop.time():
            self.when = None
            self._on_timeout()
        else:
            self._timer = self._loop.call_at(self.when, self._check)
