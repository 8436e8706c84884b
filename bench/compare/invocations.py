"""Measures a workload. Each candidate has its own Runtime API and app. All run, but only one is busy at a time."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from compare.adapters import ADAPTERS, environ
from compare.cores import name_on, pinned, title_on
from compare.fakes import FakeApp, FakeLambda
from compare.peers import MissingPeer
from compare.places import CACHE
from compare.process import Process
from compare.samples import Row, Sample, say, take_turns
from compare.workloads import Workload


class Candidate:
    """A running adapter with one workload. Its processes end with ``stack``."""

    def __init__(self, name: str, workload: Workload, *, count: int, folder: Path, stack: ExitStack) -> None:
        self.name = name
        self._workload = workload
        self._count = count
        command = ADAPTERS[name].command()
        event = folder / "event.json"
        event.write_bytes(workload.event)
        text = folder / "text"
        text.write_bytes(workload.passage)
        self._app = stack.enter_context(FakeApp(text if workload.passage else None))
        self._api = FakeLambda(event, slots=workload.slots)
        stack.enter_context(self._api)
        variables = environ(self._api.address, self._app.port, streams=workload.streams, slots=workload.slots)
        self._process = stack.enter_context(Process(command, variables, log=CACHE / f"{name}.log"))
        self._api.first_next_ns(self._process)
        workload.expected.check(self._api.answer(folder / "answer", self._process), streamed=workload.streams)

    def sample(self) -> Sample:
        """Run the invocations of one sample."""
        self._api.run(self._workload.warm_up, self._process)
        before, app_before = self._process.cpu_ns(), self._app.cpu_ns()
        measured = self._api.run(self._count, self._process)
        cpu, app_cpu = self._process.cpu_ns() - before, self._app.cpu_ns() - app_before
        wall = measured["wall_ns"]
        sample = {
            "cpu_us": cpu / self._count / 1000,
            "p50_us": measured["p50_ns"] / 1000,
            "p99_us": measured["p99_ns"] / 1000,
            "first_p50_us": measured["first_p50_ns"] / 1000,
            "first_p99_us": measured["first_p99_ns"] / 1000,
            "per_second": self._count / wall * 1e9,
            "mb_per_second": measured["bytes"] / wall * 1e3,
            "memory_mb": self._process.peak_memory() / 1e6,
        }
        chosen = {name: sample[name] for name in self._workload.figures}
        # The load of the fakes. If it is far below 1, the fakes do not slow the candidate down.
        return chosen | {"fakes_busy": max(measured["peer_cpu_ns"], app_cpu) / wall}


def measure(workload: Workload, *, cores: int, rounds: int, quick: bool, only: tuple[str, ...]) -> Row:
    """Measure ``workload`` with all processes on ``cores``, and return its row."""
    row, title = name_on(workload.name, cores), title_on(workload.title, cores)
    say(f"{row}: {title}")
    candidates: list[Candidate] = []
    missing: dict[str, str] = {}
    with pinned(cores), TemporaryDirectory(dir=CACHE) as folder, ExitStack() as stack:
        for name in workload.subjects:
            if name not in only:
                continue
            try:
                count = workload.quick if quick else workload.count
                candidates.append(Candidate(name, workload, count=count, folder=Path(folder), stack=stack))
            except (MissingPeer, RuntimeError) as error:
                missing[name] = str(error)
                say(f"  {name} is missing: {error}")
        samples = take_turns(candidates, rounds * workload.turns)
    return Row(name=row, title=title, samples=samples, missing=missing)
