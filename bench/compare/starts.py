"""Measures cold starts, from exec to the first ``/next``. Each sample starts new processes."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from compare.adapters import ADAPTERS, environ
from compare.builds import adapter, adapter_without_bytecode
from compare.events import function_url_event
from compare.fakes import FakeApp, FakeLambda
from compare.peers import PEERS, MissingPeer
from compare.places import BASE_PYTHON, CACHE, FASTAPI_EXAMPLE
from compare.places import PEERS as PEER_PROGRAMS
from compare.process import PATIENCE, Process
from compare.proxies import free_port
from compare.samples import Row, Sample, Subject, say, take_turns

# The pause between two attempts to connect to a starting app, in seconds.
_PROBE_PAUSE = 0.001
_PROBE = b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"

Command = list[str | Path]


@dataclass(frozen=True, kw_only=True)
class Start:
    """Starts ``command`` again for every sample, with a Runtime API.

    ``beside`` is an app that is started at the same time, as the wrapper of a layer does. ``app_runs`` is True if the
    app is already running.
    """

    name: str
    command: Callable[[int], Command]
    folder: Path
    directory: Path | None = None
    beside: Callable[[int], Command] | None = None
    app_runs: bool = False
    more_environ: tuple[tuple[str, str], ...] = ()

    def sample(self) -> Sample:
        """Start once, and return the figures."""
        with ExitStack() as stack:
            api = FakeLambda(self.folder / "event.json")
            stack.enter_context(api)
            # Choose the port after the API has its port. Otherwise the API could get this one, which is not taken yet.
            port = stack.enter_context(FakeApp()).port if self.app_runs else free_port()
            variables = environ(api.address, port) | {"PORT": str(port)} | dict(self.more_environ)
            command = self.command(port)
            if self.beside is not None:
                stack.enter_context(Process(self.beside(port), directory=self.directory))
            log = CACHE / f"start-{self.name}.log"
            process = stack.enter_context(Process(command, variables, directory=self.directory, log=log))
            started = api.first_next_ns(process) - process.started_ns
            return {
                "start_ms": started / 1e6,
                "cpu_ms": process.cpu_ns() / 1e6,
                "memory_mb": process.peak_memory() / 1e6,
            }


class BarePython:
    """The interpreter alone, from exec to its first line."""

    name = "bare-python"

    def sample(self) -> Sample:
        """Start once, and return the figures."""
        with Process([BASE_PYTHON, "-IS", "-c", "import os; os.write(1, b'\\n')"], talks=True) as process:
            process.hear()
            started = time.monotonic_ns() - process.started_ns
            return {"start_ms": started / 1e6, "cpu_ms": process.cpu_ns() / 1e6}


class AppAlone:
    """The FastAPI example alone, from exec to its first answer."""

    name = "app-alone"

    def sample(self) -> Sample:
        """Start once, and return the figures."""
        port = free_port()
        with Process(fastapi_command(port), directory=FASTAPI_EXAMPLE) as process:
            wait_for_first_answer(port, process)
            started = time.monotonic_ns() - process.started_ns
            return {"start_ms": started / 1e6, "cpu_ms": process.cpu_ns() / 1e6}


def mangum_command() -> Command:
    """Return the command for the example in one process with awslambdaric. It needs ``mangum_environ``."""
    return [PEERS["mangum"]().path, "-m", "awslambdaric", "mangum_function.handler"]


def mangum_environ() -> dict[str, str]:
    """Return the variables with the folders of the function and the example."""
    return {"PYTHONPATH": f"{PEER_PROGRAMS}{os.pathsep}{FASTAPI_EXAMPLE}"}


def fastapi_command(port: int | str) -> Command:
    """Return the command for the example with uvicorn, on ``port`` or a placeholder. Run it in the example's folder."""
    python = PEERS["mangum"]().path
    return [python, "-m", "uvicorn", "main:app", "--port", str(port), "--log-level", "warning"]


def wait_for_first_answer(port: int, process: Process) -> None:
    """Return once ``process`` has answered at ``port``. Raises RuntimeError."""
    give_up = time.monotonic() + PATIENCE
    while time.monotonic() < give_up:
        if process.ended:
            raise RuntimeError(f"{process.name} has ended: {process.last_words()}")
        try:
            with socket.create_connection(("127.0.0.1", port)) as connection:
                connection.sendall(_PROBE)
                if connection.recv(1024):
                    return
        except OSError:
            time.sleep(_PROBE_PAUSE)
    raise RuntimeError(f"nothing answered on port {port} for {PATIENCE:g} s")


def _plain(name: str, folder: Path) -> Start:
    return Start(name=name, command=lambda port: ADAPTERS[name].command(), folder=folder, app_runs=True)


def _nothing(folder: Path) -> list[Subject]:
    return [
        _plain("adapter", folder),
        BarePython(),
        *(_plain(n, folder) for n in ("plain", "floor", "rust", "rust-rc", "rust-given", "aiohttp")),
    ]


def _without_bytecode(folder: Path) -> list[Subject]:
    def command(port: int) -> Command:
        return [adapter_without_bytecode(), "run"]

    return [Start(name="adapter", command=command, folder=folder, app_runs=True), BarePython(), _plain("rust", folder)]


def _with_fastapi(folder: Path) -> list[Subject]:
    def ours(port: int) -> Command:
        return [adapter(), "run", "--", *fastapi_command(port)]

    def beside(name: str) -> Start:
        command = ADAPTERS[name].command
        return Start(
            name=name, command=lambda port: command(), folder=folder, directory=FASTAPI_EXAMPLE, beside=fastapi_command
        )

    mangum = Start(
        name="mangum",
        command=lambda port: mangum_command(),
        folder=folder,
        directory=PEER_PROGRAMS,
        more_environ=tuple(mangum_environ().items()),
    )
    return [
        AppAlone(),
        Start(name="adapter", command=ours, folder=folder, directory=FASTAPI_EXAMPLE),
        beside("rust"),
        beside("rust-rc"),
        beside("rust-given"),
        mangum,
    ]


@dataclass(frozen=True, kw_only=True)
class StartRow:
    """One kind of cold start. ``samples`` is the number for each subject, ``quick`` the number in quick mode."""

    name: str
    title: str
    subjects: Callable[[Path], list[Subject]]
    samples: int
    quick: int = 0


START_ROWS = (
    StartRow(name="start", title="cold start, the app runs already", subjects=_nothing, samples=25, quick=15),
    StartRow(name="start-fastapi", title="cold start with the FastAPI example", subjects=_with_fastapi, samples=31),
    StartRow(
        name="start-no-bytecode",
        title="cold start from a tree without bytecode that cannot be written to",
        subjects=_without_bytecode,
        samples=10,
    ),
)


def measure(row: StartRow, *, quick: bool, only: tuple[str, ...] | None) -> Row:
    """Measure ``row``, and return its samples. The first start of each subject only warms the page cache."""
    say(f"{row.name}: {row.title}")
    missing: dict[str, str] = {}
    subjects: list[Subject] = []
    with TemporaryDirectory(dir=CACHE) as name:
        folder = Path(name)
        (folder / "event.json").write_bytes(function_url_event("/text/1024"))
        for subject in row.subjects(folder):
            if only is not None and subject.name not in only:
                continue
            try:
                subject.sample()
                subjects.append(subject)
            except (MissingPeer, RuntimeError) as error:
                missing[subject.name] = str(error)
                say(f"  {subject.name} is missing: {error}")
        samples = take_turns(subjects, row.quick if quick else row.samples)
    return Row(name=row.name, title=row.title, samples=samples, missing=missing)
