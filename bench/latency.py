"""Measure the time that a piece takes from the app to the client of ``adapter dev``.

    python bench/latency.py

Each piece contains the time at which the app passed it to its server. The client compares this time with the same clock
when the piece arrives. The piece passes through uvicorn, the runtime, the Runtime API server, the throttle and the
function URL. Linux only: on other systems, two processes may not share the clock ``time.monotonic_ns``.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

from local_lambda import local_lambda

LIMIT_MS = 20.0


def latencies(connection: HTTPConnection, pieces: int, interval: float) -> list[float]:
    """Return the latency of each piece, in milliseconds."""
    connection.request("GET", f"/?pieces={pieces}&interval={interval}")
    response = connection.getresponse()
    found = []
    while stamp := response.readline():
        found.append((time.monotonic_ns() - int(stamp)) / 1e6)
    if len(found) != pieces:
        raise SystemExit(f"{len(found)} of {pieces} pieces came")
    return found


def percentile(values: list[float], percent: int) -> float:
    """Return the percentile ``percent`` of ``values``."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def main() -> int:
    parser = argparse.ArgumentParser(description="Latency of a piece from the app's flush to the client.")
    parser.add_argument("--pieces", type=int, default=100, help="the number of measured pieces (default: %(default)s)")
    parser.add_argument(
        "--interval", type=float, default=0.02, help="seconds between two pieces (default: %(default)s)"
    )
    arguments = parser.parse_args()
    if arguments.pieces < 1:
        parser.error("--pieces: must be at least 1")
    server = [sys.executable, "-m", "uvicorn", "stamping_app:app", "--port", "{port}", "--log-level", "warning"]
    with local_lambda(server, directory=Path(__file__).resolve().parent) as connection:
        measured = latencies(connection, arguments.pieces, arguments.interval)
    median = statistics.median(measured)
    lines = (
        f"{len(measured)} pieces, one every {arguments.interval * 1000:g} ms, through adapter dev",
        f"p90 {percentile(measured, 90):.2f} ms",
        f"max {max(measured):.2f} ms",
        f"median {median:.2f} ms (limit {LIMIT_MS:g} ms)",
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return int(median > LIMIT_MS)


if __name__ == "__main__":
    sys.exit(main())
