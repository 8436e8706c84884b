"""Check that ``adapter dev`` sends a streamed response at Lambda's pace.

    python bench/throttle.py

Lambda sends 6 MB at once, and then 256 KiB every 125 ms, so 10 MiB take 2.000 s. The FastAPI example sends them. The
table shows the bytes of the body that the client received in each tick since its request.
"""

from __future__ import annotations

import argparse
import sys
import time
from http.client import HTTPConnection

from local_lambda import REPOSITORY, local_lambda

# The token bucket of Lambda's cap: its size in bytes, the bytes that are added in a tick, and the tick in seconds.
CAPACITY = 6 * 1024 * 1024
REFILL = 256 * 1024
TICK = 0.125
TOLERANCE = 0.03
RECEIVE_SIZE = 64 * 1024
# The length of the longest bar in the table, in characters.
BAR = 48


def arrivals(connection: HTTPConnection, size: int) -> list[tuple[float, int]]:
    """Return pairs of a time, in seconds since the request, and the number of bytes that arrived then."""
    begun = time.monotonic()
    connection.request("GET", f"/download?bytes={size}")
    response = connection.getresponse()
    found = []
    while piece := response.read1(RECEIVE_SIZE):
        found.append((time.monotonic() - begun, len(piece)))
    return found


def ideal_seconds(size: int) -> float:
    """Return the time that Lambda takes for ``size`` bytes, in seconds."""
    ticks = -(-max(0, size - CAPACITY) // REFILL)
    return ticks * TICK


def table(found: list[tuple[float, int]]) -> list[str]:
    """Return one line for each tick. Each tick is centred on a refill, so that its bytes count in this tick."""
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
        parser.error(f"--bytes: must be more than {CAPACITY}, because the cap has no effect on smaller responses")
    server = [sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}", "--log-level", "warning"]
    with local_lambda(server, directory=REPOSITORY / "examples" / "fastapi_app") as connection:
        found = arrivals(connection, size)
    received, took = sum(size for _, size in found), found[-1][0]
    if received != size:
        raise SystemExit(f"{received} of {size} bytes came")
    off = took / ideal - 1
    figure = f"{received} bytes in {took:.3f} s (ideal {ideal:.3f} s, {off:+.2%}, tolerance ±{TOLERANCE:.0%})"
    sys.stdout.write("\n".join([*table(found), figure]) + "\n")
    return int(abs(off) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
