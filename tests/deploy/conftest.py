"""What the tests of the files for deployment share: the repository, and the linters beside the interpreter."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

RunLinter = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def repository() -> Path:
    """Return the root of the repository."""
    return Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def run_linter() -> RunLinter:
    """Runs a command that was installed with the tests' packages: name, arguments, and its input if it reads one."""

    def run(name: str, *arguments: str | Path, text: str | None = None) -> subprocess.CompletedProcess[str]:
        program = Path(sys.executable).parent / name
        return subprocess.run(
            [program, *arguments],
            input=text,
            stdin=subprocess.DEVNULL if text is None else None,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )

    return run
