"""Copies the output of an environment's processes: at once to the emulator's own output, and line by line to the log.

As on Lambda, a function writes its output to a pipe, not to a terminal. When a process ends, only the data that is
already in its pipe is read. The end of file may never come, because other processes may have inherited the pipe.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from adapter.output import Output

# The maximum size of one read, in bytes.
_PIECE = 65536
# The maximum length of a line in the log, in bytes. A longer line is logged in parts (CloudWatch, "quotas": the maximum
# size of a log event).
_LINE_LIMIT = 262_144


class OutputPipe:
    """A pipe whose ``write_end`` becomes the standard output or standard error of a process.

    Each piece of data is copied to ``target``, unless ``shows`` returns False for the piece. ``on_line`` receives each
    line without its newline.
    """

    def __init__(
        self, target: Output, on_line: Callable[[bytes], None], shows: Callable[[bytes], bool] | None = None
    ) -> None:
        self._target = target
        self._shows = shows
        self._on_line = on_line
        self._partial = b""
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read_end, self.read)
        self._is_open = True

    def close_write_end(self) -> None:
        """Close the emulator's copy of ``write_end``. Call this after starting the process, which has its own copy."""
        os.close(self.write_end)

    def read(self) -> None:
        """Read and copy all data in the pipe, without waiting for more. Closes the pipe at end of file."""
        while self._is_open:
            try:
                piece = os.read(self._read_end, _PIECE)
            except BlockingIOError:
                return
            if not piece:
                self.close()
                return
            if self._shows is None or self._shows(piece):
                self._target.copy(piece)
            self._split(piece)

    def close(self) -> None:
        """Stop reading, and log the rest after the last newline. No effect if the pipe is already closed."""
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
