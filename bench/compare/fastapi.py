"""Measures the FastAPI example behind an adapter, and in one process with awslambdaric and Mangum, the app included."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory

from compare.adapters import ADAPTERS, environ
from compare.events import function_url_event
from compare.fakes import FakeLambda
from compare.peers import MissingPeer
from compare.places import CACHE, FASTAPI_EXAMPLE
from compare.process import Process
from compare.proxies import free_port
from compare.samples import Row, Sample, say, take_turns
from compare.starts import fastapi_command, mangum_command, mangum_environ

_NAME, _TITLE = "fastapi", "the FastAPI example's GET /, with the app's own CPU time"
_COUNT, _WARM_UP = 300, 30

Spawned = list[Process]


class Candidate:
    """A running function with the example. Its processes end with ``stack``."""

    def __init__(self, name: str, folder: Path, stack: ExitStack) -> None:
        self.name = name
        event = folder / "event.json"
        event.write_bytes(function_url_event("/"))
        self._api = FakeLambda(event)
        stack.enter_context(self._api)
        self._processes = _SPAWN[name](self._api.address, stack)
        self._api.first_next_ns(self._processes[-1])
        answer = json.loads(self._api.answer(folder / "answer", self._processes[-1]))
        if answer["statusCode"] != 200:
            raise RuntimeError(f"{name}: the wrong answer: {answer}")

    def sample(self) -> Sample:
        """Run the invocations of one sample."""
        self._api.run(_WARM_UP, self._processes[-1])
        before = self._cpu_ns()
        measured = self._api.run(_COUNT, self._processes[-1])
        return {
            "cpu_us": (self._cpu_ns() - before) / _COUNT / 1000,
            "p50_us": measured["p50_ns"] / 1000,
            "p99_us": measured["p99_ns"] / 1000,
            "memory_mb": sum(process.peak_memory() for process in self._processes) / 1e6,
        }

    def _cpu_ns(self) -> int:
        return sum(process.cpu_ns() for process in self._processes)


def _ours(api: str, stack: ExitStack) -> Spawned:
    port = free_port()
    command = [*ADAPTERS["adapter"].command(), "--", *fastapi_command(port)]
    log = CACHE / "fastapi-adapter.log"
    return [stack.enter_context(Process(command, environ(api, port), directory=FASTAPI_EXAMPLE, log=log))]


def _rust(api: str, stack: ExitStack) -> Spawned:
    port = free_port()
    command = ADAPTERS["rust"].command()
    app = stack.enter_context(Process(fastapi_command(port), directory=FASTAPI_EXAMPLE))
    return [app, stack.enter_context(Process(command, environ(api, port), log=CACHE / "fastapi-rust.log"))]


def _mangum(api: str, stack: ExitStack) -> Spawned:
    variables = environ(api, 0) | mangum_environ()
    return [stack.enter_context(Process(mangum_command(), variables, log=CACHE / "fastapi-mangum.log"))]


_SPAWN: dict[str, Callable[[str, ExitStack], Spawned]] = {"adapter": _ours, "rust": _rust, "mangum": _mangum}


def measure(*, rounds: int) -> Row:
    """Measure the row, and return it."""
    say(f"{_NAME}: {_TITLE}")
    missing: dict[str, str] = {}
    candidates: list[Candidate] = []
    with TemporaryDirectory(dir=CACHE) as folder, ExitStack() as stack:
        for name in _SPAWN:
            try:
                candidates.append(Candidate(name, Path(folder), stack))
            except (MissingPeer, RuntimeError) as error:
                missing[name] = str(error)
                say(f"  {name} is missing: {error}")
        samples = take_turns(candidates, rounds)
    return Row(name=_NAME, title=_TITLE, samples=samples, missing=missing)
