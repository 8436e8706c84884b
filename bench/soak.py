"""Send mixed traffic for minutes to an app that is killed at random, and check the results and the adapter's memory.

    python bench/soak.py --seconds 600 --rate 300 --way proxy --way dev

The traffic consists of small requests, streams, uploads, downloads, and clients that disconnect during a stream. Each
request begins at its due time. At the end, these conditions must hold: each request has ended once, no POST was
executed twice, small answers were in time, and the adapter uses no more memory and descriptors than when it was warm.
Linux only, because it reads /proc.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from soak_traffic import MIX, Outcomes, Traffic

MIB = 1024 * 1024
PATIENCE = 30.0
# The maximum growth of the resident memory between the warm-up and the end, in bytes. The records of `adapter dev` come
# and go in all sizes, which scatters their memory: the number of allocated blocks is constant meanwhile.
MEMORY_DRIFT = {"proxy": 5 * MIB, "dev": 10 * MIB}
# The time in which pools, caches and allocators reach their size before the measurement, in seconds.
WARM_UP = 30.0
# The number of samples, one a second, that are averaged: a single sample depends on the requests in progress.
SAMPLES = 10
# The time that connections have to close after the last request, in seconds. It is longer than their idle timeout.
QUIET = 2.0
# The limits of the median and of the 99th percentile for small requests, in milliseconds since their due time.
LIMITS = {"proxy": (20.0, 250.0), "dev": (100.0, 1000.0)}
_PORT = re.compile(r"http://127\.0\.0\.1:(\d+)")
COMMANDS = {
    "proxy": ["run", "--listen", "127.0.0.1:0", "--bandwidth", "unlimited"],
    "dev": ["dev", "--port", "0", "--bandwidth", "unlimited", "--environments", "10", "--provisioned", "10"],
}
READY = {"proxy": "the app is ready", "dev": "try        curl"}


class Adapter:
    """A process of one way in. Its output is read, so that it never waits for a full pipe."""

    def __init__(self, way: str, record: Path) -> None:
        app = [sys.executable, str(Path(__file__).with_name("soak_app.py")), "{port}", str(record)]
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-m", "adapter", *COMMANDS[way], "--", *app],
            env={"PATH": os.environ["PATH"]},  # noqa: TID251 (nothing else of the caller's may change the result)
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.port = 0
        self.warnings: Counter[str] = Counter()
        self._ready = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(READY[way],), daemon=True)
        self._reader.start()
        if not self._ready.wait(PATIENCE) or not self.port:
            raise SystemExit(f"adapter {way} did not start")

    def _read(self, ready: str) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            if not self.port and (found := _PORT.search(line)):
                self.port = int(found[1])
            if ready in line:
                self._ready.set()
            if "an internal error of the adapter" in line or "Traceback" in line:
                self.warnings[line.strip()[:200]] += 1

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)


@contextmanager
def running(way: str, record: Path) -> Iterator[Adapter]:
    adapter = Adapter(way, record)
    try:
        yield adapter
    finally:
        adapter.stop()


class Gauge:
    """Measures the memory and the descriptors of a process once a second."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self.memory: list[int] = []
        self.descriptors: list[int] = []

    async def watch(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(1)

    def look(self) -> None:
        status = Path(f"/proc/{self._pid}/status").read_text()
        self.memory.append(int(status.partition("VmRSS:")[2].split()[0]) * 1024)
        self.descriptors.append(len(os.listdir(f"/proc/{self._pid}/fd")))

    @property
    def drift(self) -> float:
        """Return the difference of the memory in the last seconds and in the first, in bytes."""
        return statistics.median(self.memory[-SAMPLES:]) - statistics.median(self.memory[:SAMPLES])


async def drive(adapter: Adapter, gauge: Gauge, *, rate: float, seconds: float) -> Outcomes:
    """Warm up, pause, send the traffic, and pause. Return the results of the traffic."""
    warm_up = Traffic(adapter.port, "warm-up", rate=rate, seconds=WARM_UP)
    await warm_up.run()
    await asyncio.sleep(QUIET)
    gauge.look()
    traffic = Traffic(adapter.port, "soak", rate=rate, seconds=seconds)
    watching = asyncio.ensure_future(gauge.watch())  # noqa: TID251 (ended below, in any case)
    try:
        await traffic.run()
    finally:
        watching.cancel()
    await asyncio.sleep(QUIET)
    gauge.look()
    return traffic.outcomes


def percentile(values: list[float], percent: int) -> float:
    """Return the percentile ``percent`` of ``values``."""
    return sorted(values)[max(0, -(-len(values) * percent // 100) - 1)]


def problems(way: str, adapter: Adapter, gauge: Gauge, outcomes: Outcomes, executed: Counter[str]) -> Iterator[str]:
    """Yield a line for each condition that does not hold."""
    if sum(outcomes.counts.values()) != outcomes.sent or outcomes.lost:
        yield f"lost: {len(outcomes.lost)}, for example {outcomes.lost[:3]}"
    if twice := [identifier for identifier, times in executed.items() if times > 1]:
        yield f"executed twice: {twice[:3]}"
    if gauge.drift > MEMORY_DRIFT[way]:
        yield f"memory: {gauge.drift / MIB:.1f} MB more in the last seconds than in the first"
    if gauge.descriptors[-1] > gauge.descriptors[0]:
        yield f"descriptors: {gauge.descriptors[0]} before, {gauge.descriptors[-1]} after"
    median, tail = LIMITS[way]
    if percentile(outcomes.milliseconds, 50) > median or percentile(outcomes.milliseconds, 99) > tail:
        yield f"small requests: the median exceeds {median:g} ms, or the 99th percentile exceeds {tail:g} ms"
    for warning, count in adapter.warnings.items():
        yield f"{count} times in the log: {warning}"


def table(outcomes: Outcomes, gauge: Gauge) -> Iterator[str]:
    columns = ("whole", "error", "cut", "left", "lost")
    yield f"{'':10}" + "".join(f"{column:>9}" for column in columns)
    for kind in MIX:
        yield f"{kind:10}" + "".join(f"{outcomes.counts[kind, column]:9}" for column in columns)
    times = outcomes.milliseconds
    yield f"small      p50 {percentile(times, 50):.1f} ms, p99 {percentile(times, 99):.1f} ms, max {max(times):.1f} ms"
    yield f"memory     {gauge.memory[0] / MIB:.1f} MB when warm, at most {max(gauge.memory) / MIB:.1f} MB"
    fifths = [gauge.memory[share * len(gauge.memory) // 5 :][: max(1, len(gauge.memory) // 5)] for share in range(5)]
    yield "           " + ", ".join(f"{statistics.median(fifth) / MIB:.1f}" for fifth in fifths) + " MB in each fifth"
    yield f"           {gauge.drift / MIB:+.1f} MB from the first to the last {SAMPLES} s"
    yield f"descriptors {gauge.descriptors[0]} before, at most {max(gauge.descriptors)}, {gauge.descriptors[-1]} after"


def soak(way: str, *, rate: float, seconds: float) -> bool:
    """Run the soak test of ``way``, and print its results. Return whether all conditions hold."""
    with tempfile.TemporaryDirectory() as directory:
        record = Path(directory) / "record"
        with running(way, record) as adapter:
            gauge = Gauge(adapter.process.pid)
            outcomes = asyncio.run(drive(adapter, gauge, rate=rate, seconds=seconds))
            executed = Counter(record.read_text().split())
            kills = executed.pop("killed", 0)
            found = list(problems(way, adapter, gauge, outcomes, executed))
    lines = [
        *table(outcomes, gauge),
        f"app        killed {kills} times",
        *(f"FAILED     {problem}" for problem in found),
    ]
    lines.append(
        f"soak of {way}, {seconds:g} s at {rate:g} requests a second: {outcomes.sent} sent, {len(outcomes.lost)} lost, "
        f"{outcomes.of('error')} answered with an error, {outcomes.of('cut')} visibly cut off, "
        f"memory drift {gauge.drift / MIB:+.1f} MB, {gauge.descriptors[-1] - gauge.descriptors[0]} leaked descriptors"
    )
    sys.stdout.write("\n".join(lines) + "\n")
    return not found


def main() -> int:
    parser = argparse.ArgumentParser(description="Mixed traffic for a long time, with an app that is killed at random.")
    parser.add_argument("--seconds", type=float, default=600.0, help="the duration of each (default: %(default)s)")
    parser.add_argument("--rate", type=float, default=300.0, help="requests a second (default: %(default)s)")
    parser.add_argument("--way", choices=list(COMMANDS), action="append", help="the way in, repeatable (default: all)")
    arguments = parser.parse_args()
    kept = [soak(way, rate=arguments.rate, seconds=arguments.seconds) for way in arguments.way or COMMANDS]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    sys.exit(main())
