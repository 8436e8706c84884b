"""A streamed response with a fault in it: truncated, cut by a kill, or filled up.

A fault stream is read like any other stream. Its fault is an asynchronous generator over the pieces of the original.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TypeAlias

from adapter.aws.limits import KIB, STREAM_LIMIT
from adapter.emulator.environment.result import Failure, Stream
from adapter.payload.function_response import CONTENT_TYPE as WITH_PRELUDE
from adapter.payload.function_response import DELIMITER

_FILLER = b"." * (64 * KIB)

Pieces: TypeAlias = AsyncGenerator[bytes, None]


class FaultStream(Stream):
    """The stream ``original`` with ``pieces`` instead of its own."""

    def __init__(self, original: Stream, pieces: Pieces) -> None:
        self.content_type = original.content_type
        self.failure: Failure | None = None
        self.ended = original.ended
        self._original = original
        self._pieces = pieces
        self._over = False

    async def read(self) -> bytes:
        """Return the next piece; empty at the end."""
        if self._over:
            return b""
        piece = await anext(self._pieces, b"")
        if not piece:
            self._over = True
            self.failure = self._original.failure
        return piece

    def fail(self, why: Failure) -> None:
        """End the stream, even if the original has ended and only added pieces are left."""
        if not self._over:
            self._over = True
            self.failure = why
            self._original.fail(why)


class _PreludeScanner:
    """Finds the end of the metadata prelude in the pieces of a stream that may begin with one."""

    def __init__(self, stream: Stream) -> None:
        self._in_prelude = stream.content_type == WITH_PRELUDE
        self._tail = b""

    def body_start(self, piece: bytes) -> int:
        """Return the position in ``piece``, the next one, at which the body begins."""
        if not self._in_prelude:
            return 0
        known = len(self._tail)
        joined = self._tail + piece
        end = joined.find(DELIMITER)
        self._tail = joined[1 - len(DELIMITER) :]
        if end < 0:
            return len(piece)
        self._in_prelude = False
        return end + len(DELIMITER) - known


async def cut_after(original: Stream, limit: int, then: Callable[[], None]) -> Pieces:
    """Yield the pieces up to ``limit`` bytes of the body; if there are more, call ``then`` and yield the rest."""
    scanner = _PreludeScanner(original)
    room = limit
    while piece := await original.read():
        start = scanner.body_start(piece)
        body = len(piece) - start
        if body > room:
            cut = start + room
            if head := piece[:cut]:
                yield head
            then()
            # The client gets no gap: either the stream ends here, or all of it goes on.
            if original.failure is None:
                yield piece[cut:]
            while rest := await original.read():
                yield rest
            return
        room -= body
        yield piece


async def filled_up(original: Stream, size: int = STREAM_LIMIT + 1) -> Pieces:
    """Yield the pieces, and filler behind them up to ``size`` bytes."""
    while piece := await original.read():
        size -= len(piece)
        yield piece
    while size > 0 and original.failure is None:
        yield _FILLER[:size]
        size -= len(_FILLER)
