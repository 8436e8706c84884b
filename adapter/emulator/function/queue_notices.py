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
    """Shows lines about queued invocations.

    ``announced`` contains the queued invocations that have been passed to ``announce``: those that were shown, and
    those that were only counted because the maximum number of lines had been shown.
    """

    def __init__(self, settings: FunctionSettings, notice: Notice) -> None:
        self.announced: set[LocalInvocation] = set()
        self._settings = settings
        self._notice = notice
        # The number of invocations announced in the current period.
        self._waiting = 0
        self._reason_is_given = False

    def announce(self, invocation: LocalInvocation, ahead: int) -> None:
        """Show a line about ``invocation``, which is waiting in the queue.

        If the maximum number of lines per period has been shown, show nothing and only count the invocation.
        ``ahead`` is the number of other invocations that are running or that were queued earlier.
        """
        self.announced.add(invocation)
        if not self._waiting:
            asyncio.get_running_loop().call_later(_PERIOD, self._end_period)
        self._waiting += 1
        if self._waiting <= _LINES:
            self._notice(self._text(invocation, ahead))

    def _end_period(self) -> None:
        left_out, self._waiting = self._waiting - _LINES, 0
        if left_out > 0:
            self._notice(f"{left_out} more invocations had to wait in the queue")

    def _text(self, invocation: LocalInvocation, ahead: int) -> str:
        most = self._settings.environments
        where = "the only environment" if most == 1 else f"one of {most} environments"
        text = f"{invocation.label} waits for {where}; invocations ahead: {ahead}"
        if self._settings.only_one_because and not self._reason_is_given:
            self._reason_is_given = True
            text += f" (more environments are not possible: {self._settings.only_one_because})"
        return text
