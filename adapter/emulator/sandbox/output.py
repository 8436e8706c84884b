"""The output of an environment's processes: copied to our own output as it comes, and line by line to the log.

As on Lambda, the output of a function is not a terminal. The end of a pipe is not waited for, since a process that was
left behind may hold it open for ever; what is in the pipe when the process ends is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

# The most that is read at once, in bytes.
_PIECE = 65536
# A longer line is logged in parts, in bytes (CloudWatch, "quotas": the most that a log event may have).
_LINE_LIMIT = 262_144


class OutputPipe:
    """A pipe whose ``write_end`` becomes the standard output or error of a process.

    ``target`` is the descriptor to which everything is copied; ``on_line`` receives each line without its end.
    """

    def __init__(self, target: int, on_line: Callable[[bytes], None]) -> None:
        self._target = target
        self._on_line = on_line
        self._partial = b""
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read_end, self.read)
        self._is_open = True

    def close_write_end(self) -> None:
        """Close our copy of ``write_end``, once the process has its own."""
        os.close(self.write_end)

    def read(self) -> None:
        """Read all that is in the pipe."""
        while self._is_open:
            try:
                piece = os.read(self._read_end, _PIECE)
            except BlockingIOError:
                return
            if not piece:
                self.close()
                return
            _write_all(self._target, piece)
            self._split(piece)

    def close(self) -> None:
        """Stop reading."""
        if self._is_open:
            self._is_open = False
            self._loop.remove_reader(self._read_end)
            os.close(self._read_end)
            if self._partial:
                self._on_line(self._partial)

    def _split(self, piece: bytes) -> None:
        *lines, self._partial = (self._partial + piece).split(b"\n")
        for line in lines:
            self._on_line(line)
        if len(self._partial) > _LINE_LIMIT:
            self._on_line(self._partial)
            self._partial = b""


def _write_all(target: int, piece: bytes) -> None:
    # Our own output may be closed, which must not end the function.
    with contextlib.suppress(OSError):
        while piece:
            piece = piece[os.write(target, piece) :]
