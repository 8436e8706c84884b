"""Sends the body of one streamed response, within bandwidth caps and a size limit."""

from __future__ import annotations

import asyncio
from time import monotonic

from adapter.net.token_bucket import TokenBucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter.aws.limits import Bandwidth

    Piece = bytes | memoryview


class PacedWriter:
    """Sends pieces with the function ``write``, which waits while the client is not keeping up.

    - ``bandwidth`` caps this stream. ``shared`` is a token bucket that several streams share.
    - ``limit`` is the maximum number of bytes in the stream, ``piece_limit`` the maximum in one call of ``write``.
    - ``sent`` is the number of bytes sent so far.
    - ``held_seconds`` is the total time for which the caps have delayed the stream.

    None means no cap or no limit.
    """

    def __init__(
        self,
        write: Callable[[Piece], Awaitable[None]],
        *,
        bandwidth: Bandwidth | None,
        shared: TokenBucket | None = None,
        limit: int | None = None,
        piece_limit: int | None = None,
        clock: Callable[[], float] = monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._write = write
        self._bucket = TokenBucket(bandwidth) if bandwidth is not None else None
        self._shared = shared
        self._clock = clock
        self._sleep = sleep
        self._limit = limit
        self._piece_limit = piece_limit
        self.sent = 0
        self.held_seconds = 0.0

    async def begin(self, piece: Piece, begin: Callable[[Piece], None]) -> bool:
        """Do the same as ``send``, but pass the first part of ``piece`` to the function ``begin``, not to ``write``.

        The function ``begin`` is always called, perhaps with no bytes. So this function can send the response head and
        the first bytes in one write.
        """
        size = self._within_limit(len(piece))
        granted = await self.grant(size) if size else 0
        begin(piece[:granted])
        self.sent += granted
        return granted == len(piece) or await self.send(memoryview(piece)[granted:])

    async def send(self, piece: Piece) -> bool:
        """Send ``piece`` no faster than the caps allow. Return False if the size limit allowed only a part."""
        size = self._within_limit(len(piece))
        view = memoryview(piece)
        position = 0
        while position < size:
            granted = await self.grant(size - position)
            await self._write(view[position : position + granted])
            position += granted
            self.sent += granted
        return size == len(piece)

    async def grant(self, wanted: int) -> int:
        """Wait until the caps allow at least one byte. Return how many bytes may be sent now, at most ``wanted``."""
        granted = wanted if self._piece_limit is None else min(wanted, self._piece_limit)
        if self._bucket is not None:
            granted = await self._take(self._bucket, granted)
        if self._shared is not None:
            allowed = await self._take(self._shared, granted)
            if self._bucket is not None:
                self._bucket.give_back(granted - allowed)
            granted = allowed
        return granted

    def room(self, most: int) -> int:
        """Return how many bytes may be sent now without waiting for the caps. The result is at most ``most``."""
        if self._bucket is None and self._shared is None:
            return most
        now = self._clock()
        for bucket in (self._bucket, self._shared):
            if bucket is not None:
                most = min(most, bucket.available(now))
        return most

    def _within_limit(self, size: int) -> int:
        return size if self._limit is None else min(size, self._limit - self.sent)

    async def _take(self, bucket: TokenBucket, wanted: int) -> int:
        now = self._clock()
        while not (granted := bucket.take(wanted, now)):
            await self._sleep(bucket.next_refill() - now)
            later = self._clock()
            self.held_seconds += later - now
            now = later
        return granted
