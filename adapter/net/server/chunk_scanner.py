"""Finds the end of a chunked body, so that the next request is not parsed together with the body. No I/O."""

from __future__ import annotations

from typing import Final

# The end of a head, and of a chunked body with its trailers.
MESSAGE_END: Final = b"\r\n\r\n"
# The maximum number of chunk lengths that are read in one piece of data. The rest of the piece is searched for
# ``MESSAGE_END``.
_MAX_CHUNK_LINES: Final = 64
# The maximum length of a line that contains a chunk length, in bytes. Nearly all such lines are shorter.
_CHUNK_LINE: Final = 32


class ChunkScanner:
    """Scans one chunked body. The caller passes all bytes of the body to ``possible_end``, in order."""

    __slots__ = ("_line", "_skip", "_tail")

    def __init__(self) -> None:
        # The number of bytes before the next line that contains a chunk length, or -1 if unknown, and the part of that
        # line that has arrived.
        self._skip = 0
        self._line = b""
        # The last bytes of the body so far.
        self._tail = b""

    def possible_end(self, data: bytes, position: int) -> int:
        """Return an index in ``data`` such that the body ends at this index or later.

        ``position`` is the index at which the body continues in ``data``. The caller parses the bytes before the
        returned index. Then, if the body is still incomplete, the caller calls this method again.
        """
        end = len(data)
        tail = self._tail
        start = position
        if self._skip >= 0:
            start = self._skip_chunks(data, position)
            if self._skip >= 0 and end - position >= len(MESSAGE_END):
                # The rest of ``data`` belongs to chunks that are not the last one.
                self._tail = data[1 - len(MESSAGE_END) :]
                return end
        straddling = (tail + data[position : position + len(MESSAGE_END) - 1]).find(MESSAGE_END) if tail else -1
        if straddling >= 0:
            end = position + straddling + len(MESSAGE_END) - len(tail)
        elif start < end:
            found = data.find(MESSAGE_END, start)
            if found >= 0:
                end = found + len(MESSAGE_END)
        if end < len(data):
            # ``_skip`` counts from the end of ``data``, but the next call begins at ``end``. So its value is not known.
            self._skip = -1
        self._tail = (tail + data[max(position, end - len(MESSAGE_END) + 1) : end])[1 - len(MESSAGE_END) :]
        return end

    def _skip_chunks(self, data: bytes, position: int) -> int:
        """Skip chunks from ``position`` on, while their lengths are easy to read. Return the index after the chunks."""
        end = len(data)
        line = self._line
        position += self._skip
        for _ in range(_MAX_CHUNK_LINES):
            if position >= end:
                self._skip, self._line = position - end, line
                return end
            newline = data.find(b"\n", position, position + _CHUNK_LINE)
            if newline < 0:
                line += data[position : position + _CHUNK_LINE]
                if len(line) > _CHUNK_LINE:
                    break
                position = end
                continue
            try:
                size = int((line + data[position:newline]).partition(b";")[0], 16)
            except ValueError:
                break
            if size <= 0:
                break
            line = b""
            # The chunk's own line end follows its data.
            position = newline + 1 + size + 2
        self._skip, self._line = -1, b""
        return min(position, end - 1)
