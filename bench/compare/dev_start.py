"""Measures the start of ``adapter dev``, from exec to its first answer, and of its app alone."""

from __future__ import annotations

import time

from compare.builds import local_lambda
from compare.peers import MissingPeer
from compare.places import CACHE, FASTAPI_EXAMPLE
from compare.process import Process
from compare.proxies import free_port
from compare.samples import Row, Sample, Subject, say, take_turns
from compare.starts import fastapi_command, wait_for_first_answer

NAME = "dev-start"
_TITLE = "adapter dev with the FastAPI example, from exec to the first answer"


class _AppAlone:
    """The FastAPI example, started by uvicorn."""

    name = "app-alone"

    def sample(self) -> Sample:
        """Start once, and return the figures."""
        port = free_port()
        with Process(fastapi_command(port), directory=FASTAPI_EXAMPLE) as process:
            return {"answer_ms": _first_answer_ms(port, process)}


class _Dev:
    """The FastAPI example in ``adapter dev``. The memory is that of ``adapter dev`` alone."""

    name = "adapter"

    def sample(self) -> Sample:
        """Start once, and return the figures."""
        port = free_port()
        flags = ["--port", str(port), "--invoke-port", str(free_port())]
        command = [local_lambda(), "dev", *flags, "--", *fastapi_command("{port}")]
        with Process(command, log=CACHE / "dev-start.log", directory=FASTAPI_EXAMPLE) as process:
            return {
                "answer_ms": _first_answer_ms(port, process),
                "own_memory_mb": process.own_peak_memory() / 1e6,
            }


def _first_answer_ms(port: int, process: Process) -> float:
    wait_for_first_answer(port, process)
    return (time.monotonic_ns() - process.started_ns) / 1e6


def measure(*, samples: int) -> Row:
    """Return the row. The first start of each subject warms the page cache and does not count."""
    say(f"{NAME}: {_TITLE}")
    missing: dict[str, str] = {}
    subjects: list[Subject] = []
    for subject in (_AppAlone(), _Dev()):
        try:
            subject.sample()
            subjects.append(subject)
        except (MissingPeer, RuntimeError) as error:
            missing[subject.name] = str(error)
            say(f"  {subject.name} is missing: {error}")
    return Row(name=NAME, title=_TITLE, samples=take_turns(subjects, samples), missing=missing)
