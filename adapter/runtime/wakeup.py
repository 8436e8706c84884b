"""How signals and the end of the app interrupt a blocked runtime.

Python retries a blocking read after a signal. So the main thread waits with poll, for its socket and for a pipe into
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


def run_signal_handlers() -> None:
    """Run the handlers of signals that have arrived. The interpreter does so whenever it enters a function like this.

    Compiled code does not, so it calls this function before it waits in a system call, which is interrupted only by
    signals that arrive while it waits.
    """


class Signals:
    """Handles signals; it is created once, in the main thread. ``received`` is the first ending signal, or None.

    ``forward`` is called at once with every ending signal, also during an invocation. If this process still runs
    ``grace`` seconds after the first one, ``forward`` is called with SIGKILL: the end of the app unblocks everything.
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
            signal.signal(number, self._note_ending)
        signal.signal(signal.SIGALRM, lambda number, frame: forward(signal.SIGKILL))
        # Without a handler, the interpreter does not write a byte when a child ends.
        signal.signal(signal.SIGCHLD, lambda number, frame: None)

    def fileno(self) -> int:
        """Return the descriptor that becomes readable when something has happened, for poll()."""
        return self._read_end

    def clear(self) -> None:
        """Forget everything that has happened so far."""
        # This runs for every invocation, so it must not raise an exception inside when nothing has happened.
        while self._poller.poll(0):
            os.read(self._read_end, 1024)

    def wait(self, seconds: float | None) -> None:
        """Wait until something happens, or for ``seconds``, rounded down to whole milliseconds."""
        # poll() would round up, which would lose half a millisecond with every start of an app.
        self._poller.poll(None if seconds is None else int(seconds * 1000))
        self.clear()

    def wake(self) -> None:
        """Make ``fileno`` readable, as a signal does."""
        try:
            os.write(self._write_end, b"\0")
        except BlockingIOError:
            # A full pipe is readable as well.
            return

    def _note_ending(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = number
            signal.setitimer(signal.ITIMER_REAL, self._grace)
        self._forward(number)
