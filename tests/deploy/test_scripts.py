"""The shell scripts for deployment in the eyes of shellcheck."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

DEPLOY = Path(__file__).resolve().parent.parent.parent / "deploy"
SCRIPTS = [
    "build-bundle",
    "build-dist",
    "build-layer",
    "build-wheel",
    "build-with-buildah",
    "launcher/bootstrap",
    "with-progress",
]

RunLinter = Callable[..., subprocess.CompletedProcess[str]]


def test_every_script_is_listed() -> None:
    shebangs = {path: path.read_bytes().partition(b"\n")[0] for path in DEPLOY.rglob("*") if path.is_file()}
    scripts = {path for path, line in shebangs.items() if line.startswith(b"#!") and line.endswith(b"sh")}

    assert {path.relative_to(DEPLOY).as_posix() for path in scripts} == set(SCRIPTS)


@pytest.mark.parametrize("name", SCRIPTS)
def test_a_script_can_be_run_and_shellcheck_finds_nothing(name: str, run_linter: RunLinter) -> None:
    result = run_linter("shellcheck", DEPLOY / name)

    assert (result.returncode, result.stdout) == (0, "")
    assert (DEPLOY / name).stat().st_mode & 0o111
