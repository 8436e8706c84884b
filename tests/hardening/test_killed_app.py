"""An app that is killed 200 times at any byte: every request has exactly one end, and none is executed twice."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest

from tests.hardening import figures
from tests.hardening.ways import WAYS, Outcome, Way, way_to
from tests.scripted_app import PATIENCE

PROGRAM = Path(__file__).with_name("mortal_app.py")
KILLS = 200
CLIENTS = 4


class MortalApp:
    """The app, and what it has noted. The orphan that may be left of it ends with the one who keeps it."""

    def __init__(self, port: int, record: Path) -> None:
        self.port = port
        self._record = record

    @property
    def kills(self) -> int:
        return self._record.read_bytes().count(b"killed\n")

    def executions(self) -> Counter[str]:
        """How often each request was executed."""
        lines = self._record.read_text().splitlines()
        return Counter(line.removeprefix("execute ") for line in lines if line.startswith("execute "))


@contextmanager
def mortal_app(seed: str, record: Path) -> Iterator[MortalApp]:
    record.touch()
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", str(PROGRAM), seed, str(record), "0"], start_new_session=True
    )
    try:
        with record.open() as lines:
            line = ""
            while not line.endswith("\n"):
                line += lines.readline()
                assert process.poll() is None
        yield MortalApp(int(line.removeprefix("listening ")), record)
    finally:
        end_group(process)


def end_group(process: subprocess.Popen[bytes]) -> None:
    """The keeper and the worker that it has at the moment."""
    subprocess.run(["kill", "-KILL", "--", f"-{process.pid}"], check=True)
    process.wait(PATIENCE)


def ask(way: Way, number: int) -> tuple[str, Outcome]:
    identifier = f"request-{number}"
    return identifier, way.ask("/chunked" if number % 2 else "/length", method="POST", body=identifier.encode())


@pytest.mark.parametrize("name", WAYS)
def test_every_request_has_one_end_and_none_is_executed_twice(name: str, tmp_path: Path) -> None:
    outcomes: dict[str, Outcome] = {}
    numbers = count()
    # The Runtime API hands out one invocation at a time, as to an environment without concurrency.
    clients = CLIENTS if name.startswith("proxy") else 1
    with (
        mortal_app(name, tmp_path / "record") as app,
        way_to(app.port, name) as way,
        ThreadPoolExecutor(clients) as pool,
    ):
        while app.kills < KILLS:
            outcomes |= pool.map(lambda number: ask(way, number), [next(numbers) for _ in range(4 * clients)])
        kills, executions = app.kills, app.executions()
    assert len(outcomes) == next(numbers)
    assert max(executions.values()) == 1
    assert executions.keys() <= outcomes.keys() | {""}
    whole = [identifier for identifier, outcome in outcomes.items() if outcome.kind == "whole"]
    for identifier in whole:
        assert outcomes[identifier].body == b"did " + identifier.encode()
        assert executions[identifier] == 1
    # Many are served in spite of everything, and the deaths did show.
    assert len(outcomes) / 4 < len(whole) < len(outcomes)
    figures.show(
        f"app killed at random, {name}",
        f"{kills} kills, {len(outcomes)} requests: {len(whole)} whole, {len(outcomes) - len(whole)} told to have "
        "failed, 0 without an end, 0 executed twice",
    )
