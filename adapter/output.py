"""Standard output and standard error: writing our lines never fails, and never waits long for the reader.

The reader may pause (a pager, Ctrl-S) or end. The stream may be closed, or the disk may be full. Data that cannot be
written is dropped, and its lines are counted. Once the stream accepts data again, one line on stderr reports the number
of lost lines.

Our lines and the app's output may share a file. A line of ours always begins on a new line: if the app's latest output
does not end with a newline, we add one. If the app's next output then begins with a newline, we drop that newline,
because we have already written it.
"""

from __future__ import annotations

import posix  # instead of `os`; app/process.py explains why
from _thread import allocate_lock
from select import PIPE_BUF, POLLOUT, poll

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

_STDERR: Final = 2
# The time that a line may wait until the reader accepts it, in seconds.
_WRITE_TIMEOUT: Final = 0.1
_NEWLINE: Final = 10
_TERMINAL_FLAGS: Final = posix.O_WRONLY | posix.O_NONBLOCK | posix.O_NOCTTY | posix.O_CLOEXEC

# Held while anything is written, since a thread of the runtime writes the app's output.
_lock = allocate_lock()
# The file of stderr (device, inode) if the app's last output in it does not end with a newline. Guarded by the lock.
_file_within_line: tuple[int, int] | None = None
# True if we have ended a line that the app had begun, and the app has written nothing since. Guarded by the lock.
_has_ended_line_for_app = False


class Output:
    """An output stream: its ``descriptor``, and its ``name`` for messages.

    Lost lines are reported on the stream ``log``, or on this stream if ``log`` is None. ``loss_line`` is a function: it
    takes the name of the stream and the number of lost lines, and returns the line that reports the loss.
    """

    __slots__ = (
        "_is_counted",
        "_is_cut",
        "_is_within_line",
        "_kept",
        "_log",
        "_lost",
        "_name",
        "_number",
        "_poller",
        "_unblocking",
        "loss_line",
    )

    def __init__(self, descriptor: int, name: str, log: Output | None = None) -> None:
        self._number = descriptor
        self._unblocking = _nonblocking(descriptor)
        self._name = name
        self._log = log
        self.loss_line: Callable[[str, int], bytes] = _loss_line
        self._lost = 0
        # True if the last written byte does not end a line.
        self._is_within_line = False
        # True if the rest of that line is lost.
        self._is_cut = False
        # Whether the line that is being written has been counted as lost.
        self._is_counted = False
        self._kept: list[bytes] = []
        self._poller = poll()
        self._poller.register(self._unblocking, POLLOUT)

    def is_free(self, seconds: float = 0.0) -> bool:
        """Wait up to ``seconds`` until the stream accepts PIPE_BUF bytes without blocking. Return whether it does."""
        # The result is also True if the stream is closed: writing to it does not block.
        return bool(self._poller.poll(seconds * 1000))

    def write(self, data: bytes) -> None:
        """Write ``data``: lines of ours, or a part of a line. Data that cannot be written is lost."""
        if self._kept:
            self.flush()
        self._write_locked(data, is_of_app=False)

    def write_later(self, line: bytes) -> bool:
        """Keep ``line`` (a line of ours) until ``flush`` is called or something else is written.

        Return True if ``line`` is the only line that is kept. The caller must then arrange that ``flush`` is called
        soon.
        """
        self._kept.append(line)
        return len(self._kept) == 1

    def flush(self) -> None:
        """Write all kept lines in as few calls as possible.

        Call this before ``is_free``, ``copy`` and ``copy_whole``.
        """
        kept, self._kept = self._kept, []
        batch = b""
        for line in kept:
            # A batch is shorter than PIPE_BUF, so that it is written in one call even with a newline before it.
            if batch and len(batch) + len(line) >= PIPE_BUF:
                self._write_locked(batch, is_of_app=False)
                batch = b""
            batch += line
        self._write_locked(batch, is_of_app=False)

    def copy(self, data: bytes) -> None:
        """Write ``data``, a piece of the app's output. Data that cannot be written is lost."""
        self._write_locked(data, is_of_app=True)

    def copy_whole(self, data: bytes) -> None:
        """Write ``data``, a piece of the app's output, and wait until it is written. On failure, ``data`` is lost."""
        with _lock:
            data = _without_written_newline(self._number, data)
            if not data:
                return
            _note_output(self._number, is_within_line=data[-1] != _NEWLINE)
            try:
                posix.write(self._number, data)
            except OSError:
                # This cannot be reported anywhere, and a request must not fail because of the app's output.
                return

    def _write_locked(self, data: bytes, *, is_of_app: bool) -> None:
        if not data:
            return
        # Only the first line that is lost waits. Later lines are dropped at once, until the stream accepts data again.
        if not _lock.acquire(timeout=0.0 if self._lost else _WRITE_TIMEOUT):
            self._count(data)
            return
        try:
            if self._lost and self.is_free():
                self._report_loss()
            if is_of_app:
                data = _without_written_newline(self._number, data)
                if data and self._write(data) and (self._is_within_line or _file_within_line is not None):
                    _note_output(self._number, is_within_line=self._is_within_line)
            else:
                self._write(_line_break(self._number) + data)
        finally:
            _lock.release()

    def _report_loss(self) -> None:
        log = self if self._log is None else self._log
        lost, self._lost = self._lost, 0
        if not (log.is_free() and log._write(log.loss_line(self._name, lost))):
            # A report that cannot be written is not counted as a lost line.
            self._lost = lost

    def _write(self, data: bytes) -> bool:
        """Write ``data`` in pieces of up to PIPE_BUF bytes. Return True if all of ``data`` was written.

        Otherwise count the lost lines and return False.
        """
        added = b"\n" if self._is_cut and not data.startswith(b"\n") else b""
        data = added + data
        position, size = 0, len(data)
        while position < size:
            if not self.is_free(0.0 if self._lost else _WRITE_TIMEOUT):
                break
            try:
                position += posix.write(self._unblocking, data[position : position + PIPE_BUF])
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
        """Count the lines in ``lost``. A line that is lost in several parts is counted only once."""
        is_open = lost[-1] != _NEWLINE
        self._lost += lost.count(b"\n") + is_open - self._is_counted
        self._is_counted = is_open


def _without_written_newline(descriptor: int, data: bytes) -> bytes:
    """Return ``data`` without its first newline if ``_line_break`` has already written that newline for the app."""
    global _has_ended_line_for_app
    if not _has_ended_line_for_app or not data or not _is_stderr(descriptor):
        return data
    _has_ended_line_for_app = False
    return data[1:] if data.startswith(b"\n") else data


def _note_output(descriptor: int, *, is_within_line: bool) -> None:
    """Record whether the app's latest output ends within a line. Ignore output to files other than stderr's."""
    global _file_within_line
    if _is_stderr(descriptor):
        _file_within_line = _file(_STDERR) if is_within_line else None


def _line_break(descriptor: int) -> bytes:
    """Return the newline to write before a line of ours, or b"" if the app's output already ends with one."""
    global _file_within_line, _has_ended_line_for_app
    # Stderr may be another file by now.
    if _file_within_line is None or _file_within_line != _file(descriptor):
        return b""
    _file_within_line = None
    _has_ended_line_for_app = True
    return b"\n"


def _is_stderr(descriptor: int) -> bool:
    return descriptor == _STDERR or _file(descriptor) == _file(_STDERR)


def _file(descriptor: int) -> tuple[int, int] | None:
    try:
        status = posix.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _loss_line(name: str, lost: int) -> bytes:
    return f"adapter WARN {name} could not be written to; lines lost: {lost}\n".encode()


def _nonblocking(descriptor: int) -> int:
    """If ``descriptor`` is a terminal, return a new descriptor that never blocks. Otherwise, return ``descriptor``.

    It is not enough to wait until a terminal is ready: a write blocks if the terminal has no room for the whole piece.
    ``descriptor`` itself must not be made non-blocking, because the shell shares the open file.
    """
    try:
        if posix.isatty(descriptor):
            return posix.open(posix.ttyname(descriptor), _TERMINAL_FLAGS)
    except OSError:
        # A terminal of another mount namespace, for example, has no name that can be opened.
        return descriptor
    return descriptor


STDERR: Final = Output(_STDERR, "stderr")
STDOUT: Final = Output(1, "stdout", STDERR)
