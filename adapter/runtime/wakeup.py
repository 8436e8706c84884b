"""Wakes up a blocked runtime when a signal arrives or the app ends.

A signal does not end a blocking read, since Python retries the read. So the main thread uses poll() to wait for both
its socket and a pipe. The interpreter writes a byte into this pipe for every signal, including SIGCHLD.
"""

from __future__ import annotations

import posix  # instead of `os`; app/process.py explains why
from select import POLLIN, poll

from adapter.app.process import ENDING, HANDLED

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal
    from collections.abc import Callable
    from types import FrameType
else:
    # The built-in module beneath `signal`, which makes enums of its numbers.
    import _signal as signal


def run_signal_handlers() -> None:
    """Run the handlers of signals that have arrived.

    This function is empty and is not compiled. The interpreter runs the handlers whenever it enters a function that is
    not compiled. So compiled code must call this function before it waits in a system call. Otherwise a signal that
    arrived before the system call would not end the wait.
    """


class Signals:
    """Handles signals. Create it once, in the main thread. ``received`` is the first signal in ENDING, or None.

    ``forward`` is called at once with every signal in HANDLED, even during an invocation. If this process is still
    running ``grace`` seconds after the first signal in ENDING, ``forward`` is called with SIGKILL. When the app ends,
    SIGCHLD makes ``fileno()`` readable. ``on_child`` is called when the app has ended, or was suspended or continued.
    """

    def __init__(
        self, forward: Callable[[int], None], *, grace: float, on_child: Callable[[], None] = lambda: None
    ) -> None:
        self._forward = forward
        self._grace = grace
        self.received: int | None = None
        self._read_end, self._write_end = posix.pipe()
        self._poller = poll()
        self._poller.register(self._read_end, POLLIN)
        for descriptor in (self._read_end, self._write_end):
            posix.set_blocking(descriptor, False)
        signal.set_wakeup_fd(self._write_end, warn_on_full_buffer=False)
        for number in HANDLED:
            signal.signal(number, lambda number, frame: forward(number))
        for ending in ENDING:
            signal.signal(ending, self._note_ending)
        signal.signal(signal.SIGALRM, self._note_alarm)
        # Without a handler, the interpreter does not write a byte when a child ends.
        signal.signal(signal.SIGCHLD, lambda number, frame: on_child())

    def fileno(self) -> int:
        """Return a descriptor for poll() that becomes readable when a signal arrives or ``wake`` is called."""
        return self._read_end

    def clear(self) -> None:
        """Empty the pipe, so that ``fileno()`` is not readable until the next signal or ``wake``."""
        # This runs for every invocation. Reading an empty pipe would raise an exception, which is slow.
        while self._poller.poll(0):
            posix.read(self._read_end, 1024)

    def wait(self, seconds: float | None) -> None:
        """Wait until a signal arrives or ``wake`` is called, but at most ``seconds``. None means no limit.

        ``seconds`` is rounded down to whole milliseconds.
        """
        # poll() would round up. That would delay every start of an app by half a millisecond.
        self._poller.poll(None if seconds is None else int(seconds * 1000))
        self.clear()

    def wake(self) -> None:
        """Make ``fileno()`` readable, as a signal does."""
        try:
            posix.write(self._write_end, b"\0")
        except BlockingIOError:
            # A full pipe is readable as well.
            return

    def cancel_alarm(self) -> None:
        """Cancel the alarm at the end of ``grace``. Otherwise SIGALRM could kill this process during its exit."""
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _note_alarm(self, number: int, frame: FrameType | None) -> None:
        self._forward(number if self.received is None else signal.SIGKILL)

    def _note_ending(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = number
            signal.setitimer(signal.ITIMER_REAL, self._grace)
        self._forward(number)
