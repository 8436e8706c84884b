"""Lambda's bandwidth limit as a token bucket. No I/O and no clock: the time is an argument.

Refills have an absolute schedule: the k-th one is due at ``start + k * interval``. Due refills are added when tokens
are taken, so a late timer does not delay later refills. (Sleeping one interval per refill would drift by 0.5 %.)
In Lambda's own limiter, a write waits until all its tokens are available. Here, a write uses the available tokens and
waits for the rest. The bytes per refill are the same, but the first byte is sent sooner.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from adapter.aws.limits import Bandwidth

# The interval at which Lambda's limiter refills its bucket, in seconds (source of AWS's emulator, bandwidthlimiter).
REFILL_INTERVAL = 0.125


class TokenBucket:
    """A token bucket; one token allows one byte. The bucket starts full: it has ``bandwidth.burst`` tokens.

    The schedule of refills starts with the first ``take``. (Lambda's schedule starts with the first write.) The
    argument ``now`` of the methods is the time in seconds, on any monotonic clock.
    """

    __slots__ = ("_burst", "_refill", "_refills", "_start", "_tokens")

    def __init__(self, bandwidth: Bandwidth) -> None:
        self._burst: Final[int] = bandwidth.burst
        self._refill: Final[int] = round(bandwidth.rate * REFILL_INTERVAL)
        self._tokens = bandwidth.burst
        self._start: float | None = None
        self._refills = 0

    def take(self, wanted: int, now: float) -> int:
        """Take up to ``wanted`` tokens and return their number. The number is 0 if the bucket is empty."""
        if self._start is None:
            self._start = now
        self._refill_until(now, self._start)
        granted = min(wanted, self._tokens)
        self._tokens -= granted
        return granted

    def available(self, now: float) -> int:
        """Return the number of tokens at the time ``now``. Before the first ``take``, the bucket is full."""
        if self._start is not None:
            self._refill_until(now, self._start)
        return self._tokens

    def give_back(self, unused: int) -> None:
        """Put back ``unused`` tokens that were taken."""
        self._tokens = min(self._burst, self._tokens + unused)

    def next_refill(self) -> float:
        """Return the time of the next refill, on the same clock as ``now``. Call this only after the first ``take``."""
        assert self._start is not None, "take() must be called first"
        return self._start + (self._refills + 1) * REFILL_INTERVAL

    def _refill_until(self, now: float, start: float) -> None:
        due = int((now - start) / REFILL_INTERVAL)
        # The division may round down to just below a whole number, so compare with the time that next_refill() returns.
        if start + (due + 1) * REFILL_INTERVAL <= now:
            due += 1
        if due > self._refills:
            earned = (due - self._refills) * self._refill
            self._tokens = min(self._burst, self._tokens + earned)
            self._refills = due
