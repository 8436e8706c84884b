"""The local Lambdas: this adapter's and the official emulator, each with the same runtime and the same app inside."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from compare.adapters import LAMBDA_VARIABLES
from compare.builds import adapter, program
from compare.events import function_url_event
from compare.fakes import Load
from compare.peers import PEERS, MissingPeer
from compare.places import CACHE
from compare.process import Process
from compare.proxies import free_port, wait_for_port
from compare.samples import Row, Sample, say, take_turns

_FUNCTION = "/2015-03-31/functions/function/invocations"
# One environment for each four clients or so: what the official emulator does not have.
_ENVIRONMENTS = 4


@dataclass(frozen=True, kw_only=True)
class Emulator:
    """``start`` gives the process that listens for invocations on a port."""

    start: Callable[[int], Process]
    has_environments: bool


def _ours(port: int) -> Process:
    flags = ["--port", str(free_port()), "--invoke-port", str(port), "--environments", str(_ENVIRONMENTS)]
    # The runtime's own default, as it has it in the official emulator; `dev` would have responses streamed.
    command = [adapter(), "dev", *flags, "--invoke-mode", "buffered", "--", program("fake_app"), "{port}"]
    return Process(command, log=CACHE / "emulator-adapter.log", directory=CACHE)


def _official(port: int) -> Process:
    flags = [
        f"--runtime-interface-emulator-address=127.0.0.1:{port}",
        f"--runtime-api-address=127.0.0.1:{free_port()}",
        "--log-level=error",
    ]
    command = [PEERS["emulator"]().path, *flags, adapter(), "run", "--", program("fake_app"), "{port}"]
    return Process(command, LAMBDA_VARIABLES, log=CACHE / "emulator-official.log")


EMULATORS = {
    "adapter": Emulator(start=_ours, has_environments=True),
    "emulator": Emulator(start=_official, has_environments=False),
}


class Candidate:
    """One emulator at work; its processes end with ``stack``. The app's CPU time is not counted, the runtime's is."""

    def __init__(self, name: str, *, clients: int, count: int, stack: ExitStack) -> None:
        self.name = name
        self._count = count
        folder = Path(stack.enter_context(TemporaryDirectory(dir=CACHE)))
        event = folder / "event.json"
        event.write_bytes(function_url_event("/text/1024"))
        port = free_port()
        self._process = stack.enter_context(EMULATORS[name].start(port))
        wait_for_port(port, self._process)
        self._load = Load(port, clients=clients, path=_FUNCTION, body=event)
        stack.enter_context(self._load)
        self._load.run(clients, self._process)

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
    """``clients`` at once; ``count`` invocations make a sample."""

    name: str
    clients: int
    count: int
    needs_environments: bool = False


EMULATOR_ROWS = (
    EmulatorRow(name="emulator-1", clients=1, count=1000),
    EmulatorRow(name="emulator-20", clients=20, count=1000, needs_environments=True),
)


def measure(row: EmulatorRow, *, rounds: int) -> Row:
    """The samples of ``row``."""
    title = f"local Lambda, Invoke API, 1 KB, {row.clients} client{'s' if row.clients > 1 else ''}"
    say(f"{row.name}: {title}")
    missing: dict[str, str] = {}
    candidates: list[Candidate] = []
    with ExitStack() as stack:
        for name, emulator in EMULATORS.items():
            if row.needs_environments and not emulator.has_environments:
                missing[name] = "it has one environment and serves one invocation at a time"
                continue
            try:
                candidates.append(Candidate(name, clients=row.clients, count=row.count, stack=stack))
            except (MissingPeer, RuntimeError) as error:
                missing[name] = str(error)
                say(f"  {name} is missing: {error}")
        samples = take_turns(candidates, rounds) if candidates else {}
    return Row(name=row.name, title=title, samples=samples, missing=missing)
