"""Lines for the user about invocations that wait in the queue, with a limit on the lines per second."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.function_settings import FunctionSettings
    from adapter.emulator.notice import Notice

# The maximum number of lines per period, and the period in seconds.
_LINES = 10
_PERIOD = 1.0


class QueueNotices:
    """Announces queued invocations. ``announced`` also contains those without a line of their own, beyond the limit."""

    def __init__(self, settings: FunctionSettings, notice: Notice) -> None:
        self.announced: set[LocalInvocation] = set()
        self._settings = settings
        self._notice = notice
        self._period_began = 0.0
        self._lines = 0
        self._left_out = 0
        self._reason_is_given = False

    def announce(self, invocation: LocalInvocation, ahead: int) -> None:
        """Announce that ``invocation`` waits behind ``ahead`` others; beyond the limit, only count it."""
        self.announced.add(invocation)
        now = asyncio.get_running_loop().time()
        if now - self._period_began >= _PERIOD:
            if self._left_out:
                self._notice(f"{self._left_out} more invocations had to wait")
            self._period_began, self._lines, self._left_out = now, 0, 0
        if self._lines < _LINES:
            self._lines += 1
            self._notice(self._text(invocation, ahead))
        else:
            self._left_out += 1

    def _text(self, invocation: LocalInvocation, ahead: int) -> str:
        most = self._settings.environments
        where = "the one environment" if most == 1 else f"one of {most} environments"
        text = f"{invocation.label} waits for {where}, {ahead} ahead"
        if self._settings.only_one_because and not self._reason_is_given:
            self._reason_is_given = True
            text += f" (there cannot be more: {self._settings.only_one_because})"
        return text
