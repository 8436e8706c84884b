"""The local Lambdas: this adapter's and the official emulator, each with the same runtime and the same app inside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from compare.adapters import LAMBDA_VARIABLES
from compare.builds import local_lambda, program
from compare.events import function_url_event
from compare.fakes import Load
from compare.peers import PEERS, MissingPeer
from compare.places import CACHE
from compare.process import Process
from compare.proxies import free_port, wait_for_port
from compare.samples import Row, Sample, say, take_turns

_FUNCTION = "/2015-03-31/functions/function/invocations"
# The number of environments of this adapter, one for about four clients. The official emulator has only one.
_ENVIRONMENTS = 4


@dataclass(frozen=True, kw_only=True)
class Function:
    """A function for the emulators. ``bootstrap`` is its command, ``flags`` are the flags of ``adapter dev`` for it."""

    bootstrap: Callable[[], list[str | Path]]
    flags: Callable[[], list[str]]


FUNCTIONS = {
    "app": Function(
        bootstrap=lambda: [local_lambda(), "run", "--", program("fake_app"), "{port}"],
        flags=lambda: ["--", str(program("fake_app")), "{port}"],
    ),
    "echo": Function(
        bootstrap=lambda: [program("echo_runtime")], flags=lambda: ["--runtime", str(program("echo_runtime"))]
    ),
}


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """An emulator. ``start`` returns the process that listens for invocations on a port."""

    start: Callable[[int, EmulatorRow], Process]
    has_environments: bool


def _ours(port: int, row: EmulatorRow) -> Process:
    flags = ["--port", str(free_port()), "--invoke-port", str(port), "--environments", str(row.environments)]
    # Buffered, as in the official emulator. By default, `dev` streams responses.
    command = [local_lambda(), "dev", *flags, "--invoke-mode", "buffered", *FUNCTIONS[row.function].flags()]
    return Process(command, log=CACHE / "emulator-adapter.log", directory=CACHE)


def _official(port: int, row: EmulatorRow) -> Process:
    flags = [
        f"--runtime-interface-emulator-address=127.0.0.1:{port}",
        f"--runtime-api-address=127.0.0.1:{free_port()}",
        "--log-level=error",
    ]
    command = [PEERS["emulator"]().path, *flags, *FUNCTIONS[row.function].bootstrap()]
    return Process(command, LAMBDA_VARIABLES, log=CACHE / "emulator-official.log")


EMULATORS = {
    "adapter": Emulator(start=_ours, has_environments=True),
    "emulator": Emulator(start=_official, has_environments=False),
}


class Candidate:
    """A running emulator. Its processes end with ``stack``. The CPU time includes the runtime, but not the app."""

    def __init__(self, name: str, row: EmulatorRow, stack: ExitStack) -> None:
        self.name = name
        self._count = row.count
        folder = Path(stack.enter_context(TemporaryDirectory(dir=CACHE)))
        event = folder / "event.json"
        event.write_bytes(function_url_event("/text/1024"))
        port = free_port()
        self._process = stack.enter_context(EMULATORS[name].start(port, row))
        wait_for_port(port, self._process)
        self._load = Load(port, clients=row.clients, path=_FUNCTION, body=event)
        stack.enter_context(self._load)
        self._load.run(row.clients, self._process)

    def sample(self) -> Sample:
        """Send the invocations of one sample."""
        self._load.run(max(1, self._count // 10), self._process)
        before = self._process.cpu_ns(without="fake_app")
        measured = self._load.run(self._count, self._process)
        cpu = self._process.cpu_ns(without="fake_app") - before
        return {
            "per_second": self._count / measured["wall_ns"] * 1e9,
            "cpu_us": cpu / self._count / 1000,
            "p50_us": measured["p50_ns"] / 1000,
            "p99_us": measured["p99_ns"] / 1000,
            "memory_mb": self._process.peak_memory(without="fake_app") / 1e6,
        }


@dataclass(frozen=True, kw_only=True)
class EmulatorRow:
    """A row: ``clients`` at once invoke ``environments`` of ``function``. A sample has ``count`` invocations."""

    name: str
    title: str
    clients: int
    count: int
    function: str = "app"
    environments: int = 1


EMULATOR_ROWS = (
    EmulatorRow(name="emulator-1", title="local Lambda, Invoke API, 1 KB, 1 client", clients=1, count=1000),
    EmulatorRow(
        name="emulator-20",
        title="local Lambda, Invoke API, 1 KB, 20 clients",
        clients=20,
        count=1000,
        environments=_ENVIRONMENTS,
    ),
    EmulatorRow(
        name="emulator-echo",
        title="local Lambda with a runtime that costs nothing, 1 client",
        clients=1,
        count=2000,
        function="echo",
    ),
)


def measure(row: EmulatorRow, *, rounds: int) -> Row:
    """Measure ``row``, and return its samples."""
    say(f"{row.name}: {row.title}")
    missing: dict[str, str] = {}
    candidates: list[Candidate] = []
    with ExitStack() as stack:
        for name, emulator in EMULATORS.items():
            if row.environments > 1 and not emulator.has_environments:
                missing[name] = "it has one environment and serves one invocation at a time"
                continue
            try:
                candidates.append(Candidate(name, row, stack))
            except (MissingPeer, RuntimeError) as error:
                missing[name] = str(error)
                say(f"  {name} is missing: {error}")
        samples = take_turns(candidates, rounds) if candidates else {}
    return Row(name=row.name, title=row.title, samples=samples, missing=missing)
