"""Measures streams under a bandwidth cap: their duration, and the cost of waiting.

One stream has Lambda's own cap. Many streams at once have a smaller cap and a smaller size, so that the figure shows
the cost of pacing, not the cost of a gigabyte a second.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

from compare.builds import adapter, local_lambda, program
from compare.fakes import FakeApp, Load
from compare.places import CACHE
from compare.process import Process
from compare.proxies import free_port, wait_for_answer
from compare.samples import Row, Sample, say, take_turns

MIB = 1024 * 1024
# The number of refills a second (a tick has 125 ms).
_TICKS_PER_SECOND = 8


@dataclass(frozen=True, kw_only=True)
class CappedRow:
    """A row: ``streams`` at once of ``size`` bytes, with a cap of ``burst`` bytes and then ``rate`` bytes a second."""

    name: str
    title: str
    streams: int
    size: int
    burst: int
    rate: int
    subjects: tuple[str, ...]

    @property
    def ideal_seconds(self) -> float:
        """Return the exact duration of each stream, in seconds."""
        refill = self.rate // _TICKS_PER_SECOND
        return -(-(self.size - self.burst) // refill) / _TICKS_PER_SECOND


def _many(streams: int) -> CappedRow:
    return CappedRow(
        name=f"throttle-{streams}",
        title=f"{streams} streams under a cap of 64 KiB a second each",
        streams=streams,
        size=512 * 1024,
        burst=64 * 1024,
        rate=64 * 1024,
        subjects=("adapter",),
    )


CAPPED_ROWS = (
    CappedRow(
        name="throttle-1",
        title="20 MiB under Lambda's cap",
        streams=1,
        size=20 * MIB,
        burst=6 * MIB,
        rate=2 * MIB,
        subjects=("adapter", "emulator-ours"),
    ),
    *map(_many, (50, 200, 500)),
)


class Candidate:
    """One server with a cap; its processes end with ``stack``."""

    def __init__(self, name: str, row: CappedRow, stack: ExitStack) -> None:
        self.name = name
        self._row = row
        port = free_port()
        self._process = stack.enter_context(_STARTS[name](port, f"{row.burst}+{row.rate}", stack))
        wait_for_answer(port, self._process)
        self._warm_up = stack.enter_context(Load(port, clients=1, path="/text/1024"))
        self._memory_before = self._process.memory(without="fake_app")
        self._load = stack.enter_context(Load(port, clients=row.streams, path=f"/text/{row.size}"))

    def sample(self) -> Sample:
        """Run all streams once, and return the figures."""
        self._warm_up.run(5, self._process)
        before = self._process.cpu_ns(without="fake_app")
        measured = self._load.run(self._row.streams, self._process)
        cpu = self._process.cpu_ns(without="fake_app") - before
        seconds = measured["p50_ns"] / 1e9
        memory = self._process.peak_memory(without="fake_app")
        return {
            "seconds": seconds,
            "off_percent": (seconds / self._row.ideal_seconds - 1) * 100,
            "core_percent": cpu / measured["wall_ns"] * 100,
            "memory_mb": memory / 1e6,
            "stream_memory_kb": (memory - self._memory_before) / self._row.streams / 1e3,
        }


def _proxy(port: int, cap: str, stack: ExitStack) -> Process:
    app = stack.enter_context(FakeApp())
    command = [adapter(), "run", "--listen", f"127.0.0.1:{port}", "--bandwidth", cap]
    return Process(command, {"AWS_LWA_PORT": str(app.port)}, log=CACHE / "capped-adapter.log")


def _emulator(port: int, cap: str, stack: ExitStack) -> Process:
    flags = ["--port", str(port), "--invoke-port", str(free_port()), "--bandwidth", cap]
    command = [local_lambda(), "dev", *flags, "--", program("fake_app"), "{port}"]
    return Process(command, log=CACHE / "capped-emulator.log", directory=CACHE)


_STARTS: dict[str, Callable[[int, str, ExitStack], Process]] = {"adapter": _proxy, "emulator-ours": _emulator}


def measure(row: CappedRow, *, rounds: int) -> Row:
    """Measure ``row``, and return its samples."""
    say(f"{row.name}: {row.title}")
    missing: dict[str, str] = {}
    candidates: list[Candidate] = []
    with ExitStack() as stack:
        for name in row.subjects:
            try:
                candidates.append(Candidate(name, row, stack))
            except RuntimeError as error:
                missing[name] = str(error)
                say(f"  {name} is missing: {error}")
        samples = take_turns(candidates, rounds) if candidates else {}
    return Row(name=row.name, title=row.title, samples=samples, missing=missing)
