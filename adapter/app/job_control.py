"""Job control: suspends the app and the adapter on Ctrl-Z, and gives the adapter's terminal to the app.

Only one process group at a time, the foreground job, can read the terminal or change its settings. The app has its own
process group, which starts as a background job. If the app reads the terminal or changes the terminal's settings, the
kernel suspends the app (SIGTTIN, SIGTTOU). The adapter then makes the app the foreground job until the app ends or is
suspended again. The adapter cannot do this if it is a background job itself, or if its stdin is not a terminal.
"""

from __future__ import annotations

import os
import signal
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.app.process import AppProcess

_STDIN = 0
# How long a continued app may take to stop again, in seconds.
_STOPS_AGAIN = 0.1
# Signals with which the kernel stops a background process that uses the terminal.
_NEEDS_TERMINAL = (signal.SIGTTIN, signal.SIGTTOU)


class JobControl:
    """Gives the terminal on stdin to the app, and takes it back. ``warn`` logs a line.

    While the app has the terminal, the signals of Ctrl-C, Ctrl-\\ and Ctrl-Z reach the app, not the adapter.
    """

    def __init__(self, warn: Callable[[str], None]) -> None:
        self.is_lent = False
        self._warn = warn

    def lend(self, process: AppProcess) -> bool:
        """Make the app the foreground job. Return False if that fails, for example in a background job."""
        if not give_terminal(process.pid):
            return False
        self.is_lent = True
        return True

    def take_back(self, process: AppProcess) -> None:
        """If the app has the terminal, make this process's group the foreground job again."""
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
        """Act on the signal ``number``, which has suspended the app."""
        if number not in _NEEDS_TERMINAL:
            # If the app does not have the terminal, another process sent the signal, and has to continue the app.
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
                f"the app is suspended ({name}), since it uses a terminal that the adapter cannot pass on; start the "
                "adapter with this terminal as stdin, or start the app with </dev/null"
            )

    def follow_stops(self, process: AppProcess) -> None:
        """Act on the signal that has suspended the app, and on signals that suspend the app again at once.

        Call this after SIGCHLD. If a shell continues this job in the background, the kernel suspends the app again as
        soon as the app reads the terminal. The second SIGCHLD may arrive just before a system call begins, and then
        does not interrupt the call. So this method waits a moment for the second SIGCHLD.
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
        until = 0.0
        try:
            while True:
                stopped = stopped_by(process.pid)
                if stopped is not None:
                    self.handle_stop(process, stopped)
                    until = monotonic() + _STOPS_AGAIN
                    continue
                left = until - monotonic()
                if left <= 0 or not hasattr(signal, "sigtimedwait"):
                    return
                signal.sigtimedwait({signal.SIGCHLD}, left)
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCHLD})

    def suspend(self, process: AppProcess | None) -> None:
        """Suspend the app and this process until a shell continues this job.

        If this process cannot be suspended (it is PID 1, or no shell could continue it), the app continues at once.
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

    def stop_with(self, group: int) -> None:
        """Suspend this process until a shell continues this job. Then continue the process group ``group``.

        ``adapter dev`` calls this when Ctrl-Z has suspended an app that has the terminal. ``group`` is the group of the
        app's runtime, which has suspended itself.
        """
        foreground = _foreground_group()
        if foreground is None:
            self._warn(f"the process group {group} is suspended; to continue it, run: kill -CONT -{group}")
            return
        # In the background, the terminal is the shell's.
        if foreground == group:
            # SIGTTOU is ignored (``hold_signals``), so that a background process may do this.
            os.tcsetpgrp(_STDIN, os.getpgrp())
        _stop_self(signal.SIGTSTP, with_group=True)
        give_terminal(group)
        os.killpg(group, signal.SIGCONT)


def stopped_by(child: int) -> int | None:
    """Return the signal that has suspended the process ``child`` since the last call, or None if no signal has.

    Return None after SIGSTOP as well, since the sender of SIGSTOP also continues the process. Do not reap the child.
    On macOS before Python 3.13, always return None.
    """
    if not hasattr(os, "waitid"):
        return None
    try:
        found = os.waitid(os.P_PID, child, os.WSTOPPED | os.WNOHANG)
    except ChildProcessError:
        # It has been reaped.
        return None
    return None if found is None or found.si_status == signal.SIGSTOP else found.si_status


def give_terminal(group: int) -> bool:
    """Make ``group`` the foreground job. Return False if that fails, or if this process is not in the foreground."""
    foreground = _foreground_group()
    if foreground is None or foreground not in (os.getpgrp(), group):
        return False
    try:
        os.tcsetpgrp(_STDIN, group)
    except OSError:
        # The group has ended, or the terminal is closed.
        return False
    return True


def _stop_self(number: int, process: AppProcess | None = None, *, with_group: bool = False) -> bool:
    """Suspend the app (``process``), then this process, with the signal ``number``. Return True after SIGCONT.

    If ``with_group`` is True, suspend the whole group of this process. Return False if the signal has not suspended
    this process. The kernel discards such a signal if no process in the session could continue this group (setpgid(2),
    "orphaned").

    The handler of SIGCONT is not called, since the caller continues the app. If the handler continued the app as
    well, the second SIGCONT could undo the next Ctrl-Z.
    """
    handler = signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})
    try:
        if process is not None:
            process.signal(number)
        # The shell that saw the app stop may already have continued this process.
        if signal.SIGCONT not in signal.sigpending():
            os.kill(0 if with_group else os.getpid(), number)
        is_continued = signal.SIGCONT in signal.sigpending()
        # Not sigwait: it would block for ever if another thread took the signal. macOS has no sigtimedwait.
        if is_continued and hasattr(signal, "sigtimedwait"):
            signal.sigtimedwait({signal.SIGCONT}, 0)
        return is_continued
    finally:
        signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGCONT})


def _foreground_group() -> int | None:
    """Return the foreground process group of the terminal on stdin; None if stdin is not the controlling terminal."""
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
