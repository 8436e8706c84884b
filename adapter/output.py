"""Standard output and standard error: writing to them never fails, and never waits long for the reader.

A reader may pause (a pager, Ctrl-S), or be gone; the stream may be closed, or its disk full. What cannot be written is
dropped, and its lines are counted. Once the stream can be written to again, one line on stderr has their number.
"""

from __future__ import annotations

import os
from select import PIPE_BUF, POLLOUT, poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

# How long a line may wait until the reader accepts it, in seconds.
_WRITE_TIMEOUT = 0.1
_NEWLINE = 10


class Output:
    """The stream with the number ``descriptor`` and a ``name``. Losses are reported to ``log``, or here if it is None.

    ``loss_line`` makes the line about lost lines of the stream with a name and their number.
    """

    __slots__ = (
        "_descriptor",
        "_is_counted",
        "_is_cut",
        "_is_within_line",
        "_log",
        "_lost",
        "_name",
        "_poller",
        "loss_line",
    )

    def __init__(self, descriptor: int, name: str, log: Output | None = None) -> None:
        self._descriptor = _nonblocking(descriptor)
        self._name = name
        self._log = log
        self.loss_line: Callable[[str, int], bytes] = _loss_line
        self._lost = 0
        # Whether the last byte that was written is not the end of a line, and whether the rest of that line is lost.
        self._is_within_line = False
        self._is_cut = False
        # Whether the line that is being written has been counted as lost.
        self._is_counted = False
        self._poller = poll()
        self._poller.register(self._descriptor, POLLOUT)

    def is_free(self, seconds: float = 0.0) -> bool:
        """Wait up to ``seconds`` for the stream. Return whether it accepts PIPE_BUF bytes without blocking."""
        # The result is also True if the stream is closed: writing to it does not block.
        return bool(self._poller.poll(seconds * 1000))

    def write(self, data: bytes) -> None:
        """Write ``data``, one or more lines, or a part of a line. What cannot be written is lost."""
        if self._lost and self.is_free():
            self._report_loss()
        self._write(data)

    def _report_loss(self) -> None:
        log = self if self._log is None else self._log
        lost, self._lost = self._lost, 0
        if not (log.is_free() and log._write(log.loss_line(self._name, lost))):
            # The report is not one of the lost lines.
            self._lost = lost

    def _write(self, data: bytes) -> bool:
        """Write ``data``, in pieces that a pipe takes at once. Return False, and count its lines, if a part is lost."""
        added = b"\n" if self._is_cut else b""
        data = added + data
        position, size = 0, len(data)
        while position < size:
            # Only the first lost line waits. The next lines are lost at once, until the stream is read again.
            if not self.is_free(0.0 if self._lost else _WRITE_TIMEOUT):
                break
            try:
                position += os.write(self._descriptor, data[position : position + PIPE_BUF])
            except OSError:
                break
        if position:
            self._is_within_line = data[position - 1] != _NEWLINE
            self._is_cut = False
            self._is_counted = self._is_counted and b"\n" not in data[len(added) : position]
        if position < size:
            self._is_cut = self._is_within_line
            self._count(data[max(position, len(added)) :])
            return False
        return True

    def _count(self, lost: bytes) -> None:
        """Count the lines in ``lost``, each only once, even if an earlier part of it was lost as well."""
        is_open = lost[-1] != _NEWLINE
        self._lost += lost.count(b"\n") + is_open - self._is_counted
        self._is_counted = is_open


def _loss_line(name: str, lost: int) -> bytes:
    return f"adapter WARN lines lost because {name} could not be written: {lost}\n".encode()


def _nonblocking(descriptor: int) -> int:
    """Return a descriptor of the same terminal that never blocks. If it is not a terminal, return ``descriptor``.

    A terminal that is ready may still block, if it has no room for the whole piece. The shell uses the same open file,
    so that one must not change.
    """
    try:
        if os.isatty(descriptor):
            return os.open(os.ttyname(descriptor), os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError:
        # The terminal of another mount namespace, for example, has no usable name.
        return descriptor
    return descriptor


STDERR = Output(2, "stderr")
STDOUT = Output(1, "stdout", STDERR)
