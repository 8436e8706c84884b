"""The standard streams of the command line. Each may be a terminal, a pipe, a file, or closed.

A write to stderr never fails and never waits long (``output.py``); this includes the writes of libraries. A failed
write to stdout raises OutputFailed, since a command cannot do its work without stdout.
"""

from __future__ import annotations

import io
import os
import sys
from select import POLLOUT, poll
from typing import TYPE_CHECKING

from adapter.errors import OutputFailed
from adapter.output import STDERR

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

_STDOUT, _STDERR = 1, 2


class _Stream(io.RawIOBase):
    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True


class _Stderr(_Stream):
    def write(self, data: ReadableBuffer, /) -> int:
        whole = bytes(data)
        STDERR.write(whole)
        return len(whole)


class _Stdout(_Stream):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return os.write(self._descriptor, data)
        except BlockingIOError:
            # Another process has made the pipe non-blocking. If this returned 0, the caller would not try again.
            _wait_until_writable(self._descriptor)
            return self.write(data)
        except OSError as error:
            raise OutputFailed(
                f"stdout cannot be written to: {error.strerror}", reader_gone=isinstance(error, BrokenPipeError)
            ) from error


def _wait_until_writable(descriptor: int) -> None:
    poller = poll()
    poller.register(descriptor, POLLOUT)
    poller.poll()


def guard_streams() -> None:
    """Replace ``sys.stdout`` and ``sys.stderr`` by streams of this module. Each may be None before the call."""
    encoding = "utf-8" if sys.stdout is None else sys.stdout.encoding
    sys.stdout = io.TextIOWrapper(io.BufferedWriter(_Stdout(_STDOUT)), encoding, line_buffering=True)
    encoding = "utf-8" if sys.stderr is None else sys.stderr.encoding
    sys.stderr = io.TextIOWrapper(
        io.BufferedWriter(_Stderr(_STDERR)), encoding, "backslashreplace", line_buffering=True
    )


def discard_stdout() -> None:
    """Connect stdout to /dev/null after a write has failed. Otherwise Python's flush at exit would fail as well."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), _STDOUT)
