"""Check the cap tick by tick, with real processes and sockets: one stream, one that pauses, and many at once.

    python bench/throttle_steps.py [--streams 50]

The bytes that arrive at a client in each tick of 125 ms are compared with those that Lambda's token bucket allows: 6
MiB at once, then 256 KiB in each tick. During a pause of the app, the bucket fills again. One environment with one slot
for each stream serves the many streams. No machine can send all their bursts within one tick. So for these streams the
table shows the tick from which on all of them have received the bytes that their buckets allow, and the times at which
the first and the last stream ended.
"""

from __future__ import annotations

import argparse
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor

from local_lambda import REPOSITORY, local_lambda

MIB = 1024 * 1024
CAPACITY = 6 * MIB
REFILL = 256 * 1024
TICK = 0.125
# The maximum relative deviation from 7.00 s for 20 MiB.
TOLERANCE = 0.01

Arrivals = list[tuple[float, int]]


def bucket(*plan: int | float) -> dict[int, int]:
    """Return the bytes that Lambda sends in each tick. In ``plan``, an int is a size, a float a pause in seconds."""
    ticks: dict[int, int] = {}
    tokens, tick = CAPACITY, 0
    for step in plan:
        if isinstance(step, float):
            passed = round(step / TICK)
            tick += passed
            tokens = min(CAPACITY, tokens + passed * REFILL)
            continue
        while step:
            granted = min(step, tokens)
            ticks[tick] = ticks.get(tick, 0) + granted
            tokens -= granted
            step -= granted
            if step:
                tick += 1
                tokens = min(CAPACITY, tokens + REFILL)
    return ticks


def arrivals(port: int, plan: str) -> Arrivals:
    """Return pairs: the seconds since the first byte of the body, and the number of bytes that arrived then."""
    found: Arrivals = []
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"GET /{plan} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        buffer = bytearray(256 * 1024)
        begun = 0.0
        head = b""
        while count := client.recv_into(buffer):
            now = time.monotonic()
            if not head.endswith(b"\r\n\r\n"):
                # The framing of the chunks is counted as well. It is 0.01 % of the bytes.
                head += bytes(buffer[:count])
                end = head.find(b"\r\n\r\n")
                if end < 0:
                    continue
                count = len(head) - end - 4
                head = head[: end + 4]
            if count:
                begun = begun or now
                found.append((now - begun, count))
    return found


def by_tick(found: Arrivals) -> dict[int, int]:
    """Return the bytes of each tick. Each tick is centred on its refill."""
    ticks: dict[int, int] = {}
    for moment, size in found:
        tick = round(moment / TICK)
        ticks[tick] = ticks.get(tick, 0) + size
    return ticks


def compare(name: str, found: Arrivals, expected: dict[int, int]) -> list[str]:
    """Return a line, and one for each tick whose bytes differ from the bucket's by more than the chunk framing."""
    seen = by_tick(found)
    wrong = [
        f"    tick {tick:>3}: {seen.get(tick, 0)} bytes, the bucket has {expected.get(tick, 0)}"
        for tick in sorted(seen.keys() | expected.keys())
        if abs(seen.get(tick, 0) - expected.get(tick, 0)) > max(1024, 0.005 * expected.get(tick, 0))
    ]
    took, ideal = found[-1][0], max(expected) * TICK
    times = f"{took:.3f} s (ideal {ideal:.3f} s, {took / ideal - 1:+.2%})"
    return [f"{name}: {times}, {len(expected)} ticks, {len(wrong)} of them differ from the bucket", *wrong]


def caught_up(found: Arrivals, expected: dict[int, int]) -> int:
    """Return the first tick after which the client never has fewer bytes than the bucket allows."""
    seen = by_tick(found)
    behind = [
        tick
        for tick in range(max(expected) + 1)
        if sum(size for at, size in seen.items() if at <= tick)
        < sum(size for at, size in expected.items() if at <= tick)
    ]
    return max(behind, default=-1) + 1


def main() -> int:
    parser = argparse.ArgumentParser(description="Lambda's cap, tick by tick.")
    parser.add_argument("--streams", type=int, default=50, help="the number of streams at once (default: %(default)s)")
    streams = parser.parse_args().streams
    app = [sys.executable, "-m", "uvicorn", "pausing_app:app", "--port", "{port}", "--log-level", "warning"]
    flags = ["--max-concurrency", str(streams)]
    with local_lambda(app, directory=REPOSITORY / "bench", flags=flags) as connection:
        port = connection.port
        whole = arrivals(port, str(20 * MIB))
        lines = compare("one stream of 20 MiB", whole, bucket(20 * MIB))
        # The cap does not delay the burst, so the client sees the app's pause unchanged.
        pausing = arrivals(port, f"{6 * MIB},2.0,{6 * MIB}")
        lines += compare("6 MiB, a pause of two seconds, 6 MiB", pausing, bucket(6 * MIB, 2.0, 6 * MIB))
        with ThreadPoolExecutor(streams) as pool:
            many = list(pool.map(lambda _: arrivals(port, str(10 * MIB)), range(streams)))
    ends = sorted(found[-1][0] for found in many)
    latest = max(caught_up(found, bucket(10 * MIB)) for found in many)
    lines.append(
        f"{streams} streams of 10 MiB at once: done after {ends[0]:.3f} s to {ends[-1]:.3f} s (ideal 2.000 s); "
        f"from tick {latest} on, each has received all bytes that its bucket allows"
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return int(abs(whole[-1][0] / 7.0 - 1) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
