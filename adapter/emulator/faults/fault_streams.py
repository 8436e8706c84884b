"""A stream that something is done to on its way: cut, filled up, recorded.

A tampered stream is read like any other. What is done to it is an asynchronous generator over the original's pieces.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from typing import TypeAlias

from adapter.aws.limits import KIB, STREAM_LIMIT
from adapter.emulator.environment.result import Failure, Stream, truncated
from adapter.payload.function_response import CONTENT_TYPE as WITH_PRELUDE
from adapter.payload.function_response import DELIMITER

_FILLER = b"." * (64 * KIB)

Pieces: TypeAlias = AsyncGenerator[bytes, None]


class FaultStream(Stream):
    """``original``, with ``pieces`` in the place of its own."""

    def __init__(self, original: Stream, pieces: Pieces) -> None:
        self.content_type = original.content_type
        self.failure: Failure | None = None
        self.ended = original.ended
        self._original = original
        self._pieces = pieces
        self._over = False

    async def read(self) -> bytes:
        """The next piece; empty at the end."""
        if self._over:
            return b""
        piece = await anext(self._pieces, b"")
        if not piece:
            self._over = True
            self.failure = self._original.failure
        return piece

    def fail(self, why: Failure) -> None:
        """Nothing more is wanted. It counts even where only what was added is left."""
        if not self._over:
            self._over = True
            self.failure = why
            self._original.fail(why)


class _BodyMeter:
    """Tells which part of a piece is body, where a metadata prelude may come first."""

    def __init__(self, stream: Stream) -> None:
        self._in_prelude = stream.content_type == WITH_PRELUDE
        self._tail = b""

    def body_start(self, piece: bytes) -> int:
        """Where in ``piece``, the next one, the body begins."""
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
    """The pieces up to ``limit`` bytes of the body; if there are more, ``then`` is called and the rest follows."""
    meter = _BodyMeter(original)
    room = limit
    while piece := await original.read():
        start = meter.body_start(piece)
        body = len(piece) - start
        if body > room:
            cut = start + room
            if head := piece[:cut]:
                yield head
            then()
            # Nothing is left out in between: either the stream is broken off here, or all of it goes on.
            if original.failure is None:
                yield piece[cut:]
            while rest := await original.read():
                yield rest
            return
        room -= body
        yield piece


def truncated_after(original: Stream, limit: int) -> FaultStream:
    """``original``, broken off as if its runtime had done so."""
    return FaultStream(original, cut_after(original, limit, lambda: original.fail(truncated())))


async def _filled(original: Stream, size: int) -> Pieces:
    while piece := await original.read():
        size -= len(piece)
        yield piece
    while size > 0 and original.failure is None:
        yield _FILLER[:size]
        size -= len(_FILLER)


def filled_up(original: Stream, size: int = STREAM_LIMIT + 1) -> FaultStream:
    """``original``, which goes on and on until it has ``size`` bytes."""
    return FaultStream(original, _filled(original, size))


class ObservedStream(FaultStream):
    """``original``, with somebody who is told of each piece, and once of how it ended, whoever ended it."""

    def __init__(
        self, original: Stream, piece_came: Callable[[bytes], None], ended: Callable[[Failure | None], None]
    ) -> None:
        super().__init__(original, _pieces_of(original))
        self._piece_came = piece_came
        self._ended: Callable[[Failure | None], None] | None = ended

    async def read(self) -> bytes:
        """The next piece; empty at the end."""
        piece = await super().read()
        if piece:
            self._piece_came(piece)
        else:
            self._tell_end()
        return piece

    def fail(self, why: Failure) -> None:
        """Nothing more is wanted."""
        super().fail(why)
        self._tell_end()

    def _tell_end(self) -> None:
        ended, self._ended = self._ended, None
        if ended is not None:
            ended(self.failure)


async def _pieces_of(original: Stream) -> Pieces:
    while piece := await original.read():
        yield piece
