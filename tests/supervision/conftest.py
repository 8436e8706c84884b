"""The app's reports for each test, and the means to be PID 1."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.supervision.supervised import NEW_PID_NAMESPACE, Reports

CommandFor = Callable[..., list[str]]


@pytest.fixture
def reports(tmp_path: Path) -> Iterator[Reports]:
    made = Reports(tmp_path)
    yield made
    made.close()


@pytest.fixture
def app(reports: Reports) -> CommandFor:
    """``app("--deaf")`` is CMD for the reporting app with that option."""

    def command(*options: str, where: str = "{port}") -> list[str]:
        return [sys.executable, "-m", "tests.supervision.reporting_app", reports.path, where, *options]

    return command


@pytest.fixture(scope="session")
def pid_namespace() -> None:
    """For tests of PID 1: it takes unshare (util-linux), and root or user namespaces."""
    try:
        tried = subprocess.run([*NEW_PID_NAMESPACE, "true"], capture_output=True, text=True, check=False)
        problem = tried.stderr.strip() if tried.returncode else ""
    except FileNotFoundError:
        problem = "unshare is not installed (util-linux)"
    if problem:
        # Where everything is to be tested this is a failure; on a machine that lacks the means it is said aloud.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"NOT TESTED, what the adapter does as PID 1: {problem}")


@pytest.fixture(params=[pytest.param(True, id="PID 1"), pytest.param(False, id="any PID")])
def as_pid_1(request: pytest.FixtureRequest) -> bool:
    """Both ways to run: as PID 1, and as a process like any other."""
    if request.param:
        request.getfixturevalue("pid_namespace")
    return bool(request.param)
