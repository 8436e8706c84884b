"""Lambda's bandwidth cap as a token bucket. No I/O and no clock: the time is an argument.

The bucket works on an absolute schedule: the k-th refill is due at ``start + k * interval`` and is reckoned when
somebody asks, so a late timer never shifts the ones after it. (Sleeping one interval per refill drifts by 0.5 %.)
Lambda's own limiter lets a write have all its tokens or wait; here a write takes the tokens that are there and waits
for the rest. The bytes per tick are the same, and the first byte leaves sooner.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

    from adapter.aws.limits import Bandwidth

# How often the sandbox's limiter refills its bucket, in seconds (the official emulator's source, bandwidthlimiter).
REFILL_INTERVAL = 0.125


class TokenBucket:
    """One stream's bucket. A token is a byte; the bucket starts full and earns burst back while the stream idles.

    The schedule starts with the first ``take``, as Lambda's ticker starts with the first write. ``now`` is in seconds
    of any clock that does not run backwards.
    """

    __slots__ = ("_burst", "_refill", "_refills", "_start", "_tokens")

    def __init__(self, bandwidth: Bandwidth) -> None:
        self._burst: Final[int] = bandwidth.burst
        self._refill: Final[int] = round(bandwidth.rate * REFILL_INTERVAL)
        self._tokens = bandwidth.burst
        self._start: float | None = None
        self._refills = 0

    def take(self, wanted: int, now: float) -> int:
        """Up to ``wanted`` bytes that may be sent at ``now``; 0 means wait until ``next_refill``."""
        if self._start is None:
            self._start = now
        self._refill_until(now, self._start)
        granted = min(wanted, self._tokens)
        self._tokens -= granted
        return granted

    def give_back(self, unused: int) -> None:
        """Return tokens that were taken and not used."""
        self._tokens = min(self._burst, self._tokens + unused)

    def next_refill(self) -> float:
        """When the next tokens are due, in seconds of the clock given to ``take``, which must have been called."""
        assert self._start is not None, "take() starts the schedule"
        return self._start + (self._refills + 1) * REFILL_INTERVAL

    def _refill_until(self, now: float, start: float) -> None:
        due = int((now - start) / REFILL_INTERVAL)
        # Compare with what next_refill() promised: the division may round to just below a whole number.
        if start + (due + 1) * REFILL_INTERVAL <= now:
            due += 1
        if due > self._refills:
            earned = (due - self._refills) * self._refill
            self._tokens = min(self._burst, self._tokens + earned)
            self._refills = due
