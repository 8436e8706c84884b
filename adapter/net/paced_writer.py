"""One streamed response at the pace of a bandwidth cap: the token bucket, with a clock and a way to wait."""

from __future__ import annotations

from adapter.net.token_bucket import TokenBucket

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter.aws.limits import Bandwidth


class Pacer:
    """Grants bytes as the caps allow; ``held_seconds`` is how long they made the stream wait so far.

    ``bandwidth`` caps this stream, ``shared`` is a bucket that it shares with others; None is no cap.
    """

    def __init__(
        self,
        bandwidth: Bandwidth | None,
        clock: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]],
        *,
        shared: TokenBucket | None = None,
    ) -> None:
        self._bucket = TokenBucket(bandwidth) if bandwidth is not None else None
        self._shared = shared
        self._clock = clock
        self._sleep = sleep
        self.held_seconds = 0.0

    async def grant(self, wanted: int) -> int:
        """How many of ``wanted`` bytes, at least one, may be sent now; waits while there are none."""
        granted = wanted if self._bucket is None else await self._take(self._bucket, wanted)
        if self._shared is not None:
            allowed = await self._take(self._shared, granted)
            if self._bucket is not None:
                self._bucket.give_back(granted - allowed)
            granted = allowed
        return granted

    async def _take(self, bucket: TokenBucket, wanted: int) -> int:
        now = self._clock()
        while not (granted := bucket.take(wanted, now)):
            await self._sleep(bucket.next_refill() - now)
            later = self._clock()
            self.held_seconds += later - now
            now = later
        return granted
