"""The shell scripts for deployment in the eyes of shellcheck."""

from __future__ import annotations

import os
import signal
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


@pytest.mark.parametrize(
    ("script", "argument"),
    [("build-bundle", "bundle"), ("build-dist", "dist"), ("build-layer", "layer.zip"), ("build-wheel", "dist")],
)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_build_that_a_signal_ends_leaves_no_temporary_file_and_no_process(
    script: str, argument: str, number: signal.Signals, tmp_path: Path
) -> None:
    temporary, fifo = tmp_path / "temporary", tmp_path / "fifo"
    temporary.mkdir()
    os.mkfifo(fifo)
    # Each script runs Python as `-m pip` or `-m venv`. This one writes a file, as pip does, and blocks.
    python = tmp_path / "python"
    python.write_text(
        f"""#!/bin/sh
case $* in *in-temporary-folder*) exec python3 "$@" ;; esac
case $1 in -c) exit 0 ;; esac
mktemp >/dev/null
echo started >{fifo}
exec cat {fifo}
"""
    )
    python.chmod(0o755)
    environ = {**os.environ, "PYTHON": str(python), "TMPDIR": str(temporary), "COMPILE": "no", "WHEEL": ""}
    # Whoever runs the tests in the background may ignore SIGINT.
    command = ["env", "--default-signal=INT,TERM", str(DEPLOY / script), str(tmp_path / argument)]
    building = subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL)
    with building:
        assert fifo.read_text() == "started\n"
        assert list(temporary.iterdir())
        building.send_signal(number)

        assert building.wait(20) == 128 + number
    assert list(temporary.iterdir()) == []
    # No process has the FIFO open, so it cannot be opened for writing.
    with pytest.raises(OSError, match="No such device or address"):
        os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
