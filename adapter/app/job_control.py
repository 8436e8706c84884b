"""Job control: Ctrl-Z, and the terminal of the adapter, which only one process group can read and set at a time.

The app has a process group of its own, which is a background job for the terminal: the kernel stops an app that reads
the terminal (SIGTTIN) or sets it (SIGTTOU). The adapter then lends it the terminal, and takes it back when the app ends
or is stopped. It lends only what it has: not if it is a background job itself, or if its stdin is not a terminal.
"""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.app.process import AppProcess

_STDIN = 0
# Signals that stop a process which needs the terminal.
_NEEDS_TERMINAL = (signal.SIGTTIN, signal.SIGTTOU)


class JobControl:
    """Lends the terminal on stdin to the app. ``warn`` logs a line.

    While it is lent, the keys that send signals (Ctrl-C, Ctrl-\\, Ctrl-Z) send them to the app and not to the adapter.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.is_lent = False
        self._warn = warn

    def lend(self, process: AppProcess) -> bool:
        """Make the app the foreground job. Return False if this process is not in the foreground itself."""
        if not give_terminal(process.pid):
            return False
        self.is_lent = True
        return True

    def take_back(self, process: AppProcess) -> None:
        """Make this process's group the foreground job again, if the terminal is lent."""
        if not self.is_lent:
            return
        self.is_lent = False
        foreground = _foreground_group()
        # Another group is in the foreground if a shell has continued this process in the background meanwhile.
        if foreground is not None and (foreground == process.pid or not _exists(foreground)):
            try:
                # SIGTTOU is ignored (``hold_signals``), so that a background process may do this.
                os.tcsetpgrp(_STDIN, os.getpgrp())
            except OSError:
                return

    def handle_stop(self, process: AppProcess, number: int) -> None:
        """Act on the signal ``number``, which has stopped the app."""
        if number not in _NEEDS_TERMINAL:
            # Without the terminal, the signal came from a process, which also continues the app.
            if self.is_lent:
                self.suspend(process)
        elif self.lend(process):
            process.signal(signal.SIGCONT)
        elif _foreground_group() is not None and _stop_self(number):
            # A shell has continued this job, in the foreground or in the background.
            self.lend(process)
            process.signal(signal.SIGCONT)
        else:
            name = signal.Signals(number).name
            self._warn(
                f"the app is stopped ({name}), since it uses a terminal that it cannot have; start adapter run with "
                "this terminal as stdin, or start the app with </dev/null"
            )

    def suspend(self, process: AppProcess | None) -> None:
        """Stop the app and this process until a shell continues this job.

        If the system does not stop this process (PID 1, or no shell that could continue it), the app continues at once.
        """
        was_lent = self.is_lent
        if process is not None:
            self.take_back(process)
        # Ctrl-Z has reached only the app, but it is meant for the whole job, for example a pipeline.
        _stop_self(signal.SIGTSTP, process, with_group=was_lent)
        if process is not None:
            if was_lent:
                self.lend(process)
            process.signal(signal.SIGCONT)


def give_terminal(group: int) -> bool:
    """Make ``group`` the foreground job. Return False if this process is not in the foreground, so that it cannot."""
    foreground = _foreground_group()
    if foreground is None or foreground not in (os.getpgrp(), group):
        return False
    try:
        os.tcsetpgrp(_STDIN, group)
    except OSError:
        # The group has ended, or the terminal has.
        return False
    return True


def _stop_self(number: int, process: AppProcess | None = None, *, with_group: bool = False) -> bool:
    """Let the signal ``number`` stop the app, then this process or its whole group. Return after SIGCONT.

    Return False if the signal has not stopped this process.

    The kernel discards the signal if no process in the session could continue this group (setpgid(2), "orphaned").
    """
    handler = signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})
    try:
        if process is not None:
            process.signal(number)
        # The shell that saw the app stop may already have continued this process.
        if signal.SIGCONT not in signal.sigpending():
            os.kill(0 if with_group else os.getpid(), number)
        return signal.SIGCONT in signal.sigpending()
    finally:
        signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCONT})


def _foreground_group() -> int | None:
    """Return the process group in the foreground of the terminal on stdin; None if stdin is not our terminal."""
    try:
        return os.tcgetpgrp(_STDIN)
    except OSError:
        return None


def _exists(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
