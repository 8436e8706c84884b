"""What the processes of an environment write: on to our own output as it comes, and in lines to the journal.

On Lambda a function's output is no terminal either. Nobody waits for the end of a pipe, which a process that was left
behind may hold open for ever; what is in it when the process ends is read.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

# How much is read at once, in bytes.
_PIECE = 65536
# A line longer than this is told in parts, in bytes (CloudWatch, "quotas": the most that a log event may have).
_LINE_LIMIT = 262_144


class OutputPipe:
    """A pipe whose ``write_end`` becomes the standard output or error of a process.

    ``target`` is the descriptor that everything is passed on to, ``tell`` is given each line without its end.
    """

    def __init__(self, target: int, tell: Callable[[bytes], None]) -> None:
        self._target = target
        self._tell = tell
        self._rest = b""
        self._read_end, self.write_end = os.pipe()
        os.set_blocking(self._read_end, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._read_end, self.read)
        self._open = True

    def started(self) -> None:
        """The process has its own copy of ``write_end``."""
        os.close(self.write_end)

    def read(self) -> None:
        """Read what there is."""
        while self._open:
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
        """Read no more."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._read_end)
            os.close(self._read_end)
            if self._rest:
                self._tell(self._rest)

    def _split(self, piece: bytes) -> None:
        *lines, self._rest = (self._rest + piece).split(b"\n")
        for line in lines:
            self._tell(line)
        if len(self._rest) > _LINE_LIMIT:
            self._tell(self._rest)
            self._rest = b""


def _write_all(target: int, piece: bytes) -> None:
    # Our own output may be gone, which is no reason to end the function.
    with contextlib.suppress(OSError):
        while piece:
            piece = piece[os.write(target, piece) :]
