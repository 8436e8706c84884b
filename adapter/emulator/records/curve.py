"""The curve of a stream: the bytes from the app and the bytes sent to the client, over time. Its memory is bounded."""

from __future__ import annotations

from array import array
from collections.abc import Iterator

# The number of points after which the curve is thinned, and the size of a point in bytes.
_MOST_POINTS = 256
POINT_SIZE = 24
# Points that are closer together than this are merged into one, in seconds.
_RESOLUTION = 0.001


class Curve:
    """A list of points. Each has a time, the bytes that have arrived from the app, and the bytes sent to the client.

    Times are in seconds since the invocation began. The curve of a long stream is thinned: of two neighbouring points,
    the one at which the curve bends less is dropped. So corners, such as the end of the burst, keep their exact place.
    """

    __slots__ = ("_arrivals", "_sent", "_times", "arrived", "sent")

    def __init__(self) -> None:
        self.arrived = 0
        self.sent = 0
        self._times = array("d")
        self._arrivals = array("q")
        self._sent = array("q")

    def __len__(self) -> int:
        return len(self._times)

    def __iter__(self) -> Iterator[tuple[float, int, int]]:
        return zip(self._times, self._arrivals, self._sent, strict=True)

    def add(self, now: float, arrived: int = 0, sent: int = 0) -> None:
        """Add ``arrived`` and ``sent`` bytes at the time ``now``."""
        self.arrived += arrived
        self.sent += sent
        times = self._times
        if len(times) > 1 and now - times[-2] < _RESOLUTION:
            times[-1], self._arrivals[-1], self._sent[-1] = now, self.arrived, self.sent
            return
        times.append(now)
        self._arrivals.append(self.arrived)
        self._sent.append(self.sent)
        if len(times) > _MOST_POINTS:
            self._thin()

    def restart(self, arrived: int) -> None:
        """Count only the last ``arrived`` of the bytes that have arrived so far: the others are a metadata prelude."""
        excess, self.arrived = self.arrived - arrived, arrived
        for index, total in enumerate(self._arrivals):
            self._arrivals[index] = max(0, total - excess)

    def sample(self, most: int) -> list[tuple[float, int]]:
        """Return up to ``most`` evenly spaced points of the sent bytes, including the first and the last point."""
        last = len(self._times) - 1
        if last < most:
            chosen: Iterator[int] | range = range(last + 1)
        else:
            chosen = (round(index * last / (most - 1)) for index in range(most))
        return [(self._times[index], self._sent[index]) for index in chosen]

    def _thin(self) -> None:
        """Drop about half of the points, but neither the first nor the last."""
        kept = [0]
        for index in range(1, len(self._times) - 2, 2):
            kept.append(index if self._bend(index) >= self._bend(index + 1) else index + 1)
        kept.append(len(self._times) - 1)
        self._times = array("d", [self._times[index] for index in kept])
        self._arrivals = array("q", [self._arrivals[index] for index in kept])
        self._sent = array("q", [self._sent[index] for index in kept])

    def _bend(self, index: int) -> float:
        """Return how much the curves bend at a point: the area of the triangles of the point and its neighbours."""
        before, at, after = self._times[index - 1], self._times[index], self._times[index + 1]
        return sum(
            abs((at - before) * (ys[index + 1] - ys[index - 1]) - (after - before) * (ys[index] - ys[index - 1]))
            for ys in (self._arrivals, self._sent)
        )
