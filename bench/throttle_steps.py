"""The cap step for step, on real processes and sockets: one stream, one that pauses, and many at once.

    python bench/throttle_steps.py [--streams 50]

What arrives at a client in each 125 ms tick is compared with what Lambda's bucket lets go: 6 MiB at once, 256 KiB a
tick, and after a pause what the pause has earned back. Many streams are served by one environment with as many slots.
No machine moves all their bursts within one tick, so that for them the table says from which tick on each of them has
had what its bucket had given by then, and when the first and the last of them were done.
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
# 20 MiB in 7.00 s, within so much.
TOLERANCE = 0.01

Arrivals = list[tuple[float, int]]


def bucket(*plan: int | float) -> dict[int, int]:
    """What Lambda lets go in each tick, where the app sends (int, bytes) and pauses (float, seconds) by turns."""
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
    """When how many body bytes came, in seconds since the first of them."""
    found: Arrivals = []
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(f"GET /{plan} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        buffer = bytearray(256 * 1024)
        begun = 0.0
        head = b""
        while count := client.recv_into(buffer):
            now = time.monotonic()
            if not head.endswith(b"\r\n\r\n"):
                # The chunk framing of the body is counted with it: 0.01 % of its bytes.
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
    """Bytes by ticks, each centred on its refill."""
    ticks: dict[int, int] = {}
    for moment, size in found:
        tick = round(moment / TICK)
        ticks[tick] = ticks.get(tick, 0) + size
    return ticks


def compare(name: str, found: Arrivals, expected: dict[int, int]) -> list[str]:
    """A line, and one for each tick that is not the bucket's by more than the framing of its chunks."""
    seen = by_tick(found)
    wrong = [
        f"    tick {tick:>3}: {seen.get(tick, 0)} bytes, the bucket has {expected.get(tick, 0)}"
        for tick in sorted(seen.keys() | expected.keys())
        if abs(seen.get(tick, 0) - expected.get(tick, 0)) > max(1024, 0.005 * expected.get(tick, 0))
    ]
    took, ideal = found[-1][0], max(expected) * TICK
    times = f"{took:.3f} s (ideal {ideal:.3f} s, {took / ideal - 1:+.2%})"
    return [f"{name}: {times}, {len(expected)} ticks, {len(wrong)} of them not the bucket's", *wrong]


def caught_up(found: Arrivals, expected: dict[int, int]) -> int:
    """The first tick from which on, at the end of each, all had come that the bucket had given by then."""
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
    parser.add_argument("--streams", type=int, default=50, help="how many streams at once (default: %(default)s)")
    streams = parser.parse_args().streams
    app = [sys.executable, "-m", "uvicorn", "pausing_app:app", "--port", "{port}", "--log-level", "warning"]
    flags = ["--max-concurrency", str(streams)]
    with local_lambda(app, directory=REPOSITORY / "bench", flags=flags) as connection:
        port = connection.port
        whole = arrivals(port, str(20 * MIB))
        lines = compare("one stream of 20 MiB", whole, bucket(20 * MIB))
        # Up to the burst nothing is held back, so that the app's pause is the client's.
        pausing = arrivals(port, f"{6 * MIB},2.0,{6 * MIB}")
        lines += compare("6 MiB, two seconds of silence, 6 MiB", pausing, bucket(6 * MIB, 2.0, 6 * MIB))
        with ThreadPoolExecutor(streams) as pool:
            many = list(pool.map(lambda _: arrivals(port, str(10 * MIB)), range(streams)))
    ends = sorted(found[-1][0] for found in many)
    latest = max(caught_up(found, bucket(10 * MIB)) for found in many)
    lines.append(
        f"{streams} streams of 10 MiB at once: done after {ends[0]:.3f} s to {ends[-1]:.3f} s (ideal 2.000 s); "
        f"from tick {latest} on each of them has what its bucket gave"
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return int(abs(whole[-1][0] / 7.0 - 1) > TOLERANCE)


if __name__ == "__main__":
    sys.exit(main())
