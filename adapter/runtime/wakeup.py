"""What interrupts a blocked runtime: signals and the end of the app.

Python retries a blocking read after a signal, so the main thread waits with poll, on its socket and on a pipe into
which the interpreter writes a byte for every signal, SIGCHLD included.
"""

from __future__ import annotations

import os
from select import POLLIN, poll

from adapter.app.process import ENDING

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from types import FrameType
else:
    # The built-in module beneath `signal`, which makes enums of its numbers.
    import _signal as signal


def run_handlers() -> None:
    """Have the handlers run of signals that came before this call, which plain Python does on entering a function.

    Compiled code does not, and a system call that waits is interrupted only by signals that come while it waits.
    """


class Signals:
    """Installed once, in the main thread. ``received`` is the first ending signal, or None.

    ``forward`` is called with every ending signal, at once, also while an invocation is under way, and with SIGKILL
    when ``grace`` seconds after the first one the process is still there: whatever it is blocked in ends with the app.
    """

    def __init__(self, forward: Callable[[int], None], *, grace: float) -> None:
        self._forward = forward
        self._grace = grace
        self.received: int | None = None
        self._read_end, self._write_end = os.pipe()
        self._poller = poll()
        self._poller.register(self._read_end, POLLIN)
        for descriptor in (self._read_end, self._write_end):
            os.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in ENDING:
            signal.signal(number, self._end)
        signal.signal(signal.SIGALRM, lambda number, frame: forward(signal.SIGKILL))
        # A handler has to be there, or the interpreter is not told of children that end.
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def fileno(self) -> int:
        """Readable when something happened; for poll()."""
        return self._read_end

    def clear(self) -> None:
        """Take note of everything that has happened so far."""
        # For every invocation, so it must not cost an exception to learn that nothing has happened.
        while self._poller.poll(0):
            os.read(self._read_end, 1024)

    def wait(self, seconds: float | None) -> None:
        """Pause until something happens, at most for ``seconds``, rounded down to whole milliseconds."""
        # poll() itself would round up, and half a millisecond more would be lost with every start of an app.
        self._poller.poll(None if seconds is None else int(seconds * 1000))
        self.clear()

    def wake(self) -> None:
        """Have ``fileno`` become readable, as by a signal."""
        try:
            os.write(self._write_end, b"\0")
        except BlockingIOError:
            # A full pipe wakes it as well.
            return

    def _end(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = number
            signal.setitimer(signal.ITIMER_REAL, self._grace)
        self._forward(number)
