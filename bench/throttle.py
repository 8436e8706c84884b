"""Whether ``adapter dev`` lets a streamed response through at Lambda's pace.

    python bench/throttle.py

Lambda lets 6 MB go at once and then refills 256 KiB every 125 ms, so 10 MiB take 2.000 s. The FastAPI example sends
them; the table shows the body bytes that the client got in each tick since it had sent its request.
"""

from __future__ import annotations

import argparse
import sys
import time
from http.client import HTTPConnection

from local_lambda import REPOSITORY, local_lambda

# The bucket of Lambda's limiter: what it holds, what it gets in a tick, and the tick in seconds.
CAPACITY = 6 * 1024 * 1024
REFILL = 256 * 1024
TICK = 0.125
TOLERANCE = 0.03
RECEIVE_SIZE = 64 * 1024
# The longest line of the table has so many marks.
BAR = 48


def arrivals(connection: HTTPConnection, size: int) -> list[tuple[float, int]]:
    """When how many bytes came, in seconds since the request."""
    begun = time.monotonic()
    connection.request("GET", f"/download?bytes={size}")
    response = connection.getresponse()
    found = []
    while piece := response.read1(RECEIVE_SIZE):
        found.append((time.monotonic() - begun, len(piece)))
    return found


def ideal_seconds(size: int) -> float:
    """How long Lambda takes for ``size`` bytes."""
    ticks = -(-max(0, size - CAPACITY) // REFILL)
    return ticks * TICK


def table(found: list[tuple[float, int]]) -> list[str]:
    """One line for each tick. A refill comes at a tick's very beginning, so a tick is centred on it."""
    ticks: dict[int, int] = {}
    for moment, size in found:
        tick = round(moment / TICK)
        ticks[tick] = ticks.get(tick, 0) + size
    most = max(ticks.values())
    total = 0
    lines = [f"{'tick':>4} {'at':>8} {'bytes':>9} {'in all':>9}"]
    for tick in range(max(ticks) + 1):
        size = ticks.get(tick, 0)
        total += size
        lines.append(f"{tick:>4} {tick * TICK:>6.3f} s {size:>9} {total:>9} {'#' * round(size / most * BAR)}".rstrip())
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description="The pace of a streamed response under Lambda's bandwidth cap.")
    parser.add_argument(
        "--bytes", type=int, default=10 * 1024 * 1024, help="the size of the response (default: %(default)s)"
    )
    size = parser.parse_args().bytes
    ideal = ideal_seconds(size)
    if not ideal:
        parser.error(f"--bytes: up to {CAPACITY} bytes there is no cap to see")
    server = [sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}", "--log-level", "warning"]
    with local_lambda(server, directory=REPOSITORY / "examples" / "fastapi_app") as connection:
        found = arrivals(connection, size)
    received, took = sum(size for _, size in found), found[-1][0]
    if received != size:
        raise SystemExit(f"{received} of {size} bytes came")
    off = took / ideal - 1
    figure = f"{received} bytes in {took:.3f} s (ideal {ideal:.3f} s, {off:+.2%}, limit {TOLERANCE:.0%} either way)"
    sys.stdout.write("\n".join([*table(found), figure]) + "\n")
    return int(abs(off) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
