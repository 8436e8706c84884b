"""Check that the proxy sends streamed responses at Lambda's pace, one alone and fifty at once, and measure its memory.

    python bench/proxy_throttle.py

Lambda sends 6 MiB at once, and then 256 KiB every 125 ms, so 20 MiB take 7.000 s. The FastAPI example sends them. The
table has one line for each run: the times at which the first and the last stream ended, and the proxy's peak memory.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent

# The token bucket of Lambda's cap: its size in bytes, the bytes that are added in a tick, and the tick in seconds.
CAPACITY = 6 * 1024 * 1024
REFILL = 256 * 1024
TICK = 0.125
TOLERANCE = 0.01
RECEIVE_SIZE = 256 * 1024
# The limit of the peak memory, in bytes.
MEMORY = 160 * 1024 * 1024
STARTED = re.compile(r"proxy on http://[^:]+:(\d+) ")


class Proxy:
    """A running proxy: its port, and its process's peak memory."""

    def __init__(self, port: int, pid: int) -> None:
        self.port = port
        self._pid = pid

    def peak_memory(self) -> int:
        """Return the peak memory in bytes. Linux only."""
        status = Path(f"/proc/{self._pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024


@contextmanager
def running_proxy() -> Iterator[Proxy]:
    """Run the proxy with the FastAPI example behind it. Yield the proxy when both are ready."""
    app = [sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}", "--log-level", "warning"]
    flags = ["--listen", "127.0.0.1:0", "--app-dir", str(REPOSITORY / "examples" / "fastapi_app"), "--no-access-log"]
    command = [sys.executable, "-I", "-m", "adapter", "run", *flags, "--", *app]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        port = 0
        try:
            for line in process.stderr:
                if found := STARTED.search(line):
                    port = int(found[1])
                if "the app is ready" in line:
                    break
            yield Proxy(port, process.pid)
        finally:
            process.terminate()


async def stream(port: int, size: int) -> float:
    """Stream ``size`` bytes. Return the time from the request to the last byte, in seconds."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=RECEIVE_SIZE)
    begun = time.monotonic()
    writer.write(f"GET /download?bytes={size} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    await reader.readuntil(b"\r\n\r\n")
    left = size
    while left and (piece := await reader.read(RECEIVE_SIZE)):
        left -= len(piece)
    took = time.monotonic() - begun
    writer.close()
    if left:
        raise SystemExit(f"{left} of {size} bytes did not arrive")
    return took


async def streams(port: int, count: int, size: int) -> list[float]:
    """Begin ``count`` streams together. Return the times that they took, the shortest first."""
    return sorted(await asyncio.gather(*(stream(port, size) for _ in range(count))))


def main() -> int:
    parser = argparse.ArgumentParser(description="The pace of streams through the proxy, and its memory.")
    parser.add_argument("--bytes", type=int, default=20 * 1024 * 1024, help="of each response (default: %(default)s)")
    parser.add_argument("--streams", type=int, default=50, help="the number of streams at once (default: %(default)s)")
    given = parser.parse_args()
    ideal = -(-max(0, given.bytes - CAPACITY) // REFILL) * TICK
    if not ideal:
        parser.error(f"--bytes: must be more than {CAPACITY}, because the cap has no effect on smaller responses")
    sys.stdout.write(f"{given.bytes} bytes each, ideal {ideal:.3f} s, tolerance ±{TOLERANCE:.0%}\n")
    sys.stdout.write(f"{'streams':>7} {'first':>9} {'median':>9} {'last':>9} {'off':>7} {'peak':>9}\n")
    failed = False
    for count in (1, given.streams):
        with running_proxy() as proxy:
            took = asyncio.run(streams(proxy.port, count, given.bytes))
            peak = proxy.peak_memory()
        off = max((seconds / ideal - 1 for seconds in took), key=abs)
        failed = failed or abs(off) > TOLERANCE or peak > MEMORY
        sys.stdout.write(
            f"{count:>7} {took[0]:>7.3f} s {took[len(took) // 2]:>7.3f} s {took[-1]:>7.3f} s {off:>+7.2%} "
            f"{peak / 1024 / 1024:>6.1f} MB\n"
        )
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main())
