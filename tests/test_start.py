"""The start of ``adapter run``, as far as no process of its own shows it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.runtime_process import RuntimeProcess
from tests.scripted_runtime_api import ScriptedRuntimeApi

LIFE = "import gc; from adapter import start; print(start.run(['false']), gc.isenabled(), gc.get_freeze_count())"


def test_garbage_is_collected_once_everything_is_loaded() -> None:
    """A runtime whose app ends at once: what happens to be left of it is the interpreter's state."""
    environ = {"PATH": os.environ["PATH"], "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1", "AWS_LWA_PORT": "1"}
    command = [sys.executable, "-I", "-c", LIFE]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=60, check=True)
    code, enabled, frozen = done.stdout.split()
    assert (code, enabled) == ("1", "True")
    assert int(frozen) > 1000


def test_a_start_for_which_no_descriptor_is_left_says_so() -> None:
    """Three are open, the lifeline takes two, and the pipe to the app's stderr would be too many."""
    environ = {"PATH": os.environ["PATH"], "AWS_LAMBDA_RUNTIME_API": "127.0.0.1:1"}
    limited = ["/bin/sh", "-c", 'ulimit -n 6; exec "$@"', "sh"]
    # What is loaded later finds no descriptor to be read by.
    start = (
        "import adapter.logs, adapter.runtime.runtime; from adapter import start; raise SystemExit(start.run(['true']))"
    )
    done = subprocess.run(
        [*limited, sys.executable, "-I", "-c", start],
        env=environ,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("adapter: the app cannot be started: Too many open files\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("script", "mode", "message"),
    [
        pytest.param(
            b"#!/bin/sh\r\nexec true\r\n", 0o755, "the script's lines end with CR LF, as on Windows", id="CR-LF"
        ),
        pytest.param(b"#!/bin/sh\nexec true\n", 0o644, "is not executable); make it executable", id="no-run-bit"),
        pytest.param(
            b"#!/no/sh\nexec true\n", 0o755, "/no/sh, the interpreter in the script's first line", id="interpreter"
        ),
        pytest.param(b"exec true\n", 0o755, "the file is neither a script that begins with #!", id="no-script"),
        # The kernel can start env, which then looks for a program called "sh\r".
        pytest.param(b"#!/usr/bin/env sh\r\n", 0o755, "a script with the line ends of Windows; conv", id="env-CR-LF"),
        pytest.param(b"#!/bin/sh\nexec no-such\r\n", 0o755, "a script with the line ends of Windows", id="one-CR-LF"),
    ],
)
def test_lambda_learns_why_a_start_script_cannot_run(tmp_path: Path, script: bytes, mode: int, message: str) -> None:
    path = tmp_path / "run.sh"
    path.write_bytes(script)
    path.chmod(mode)
    with ScriptedRuntimeApi() as api, RuntimeProcess(api, str(path)) as runtime:
        assert runtime.exit_code() != 0
        error = json.loads(api.wait_for("/runtime/init/error").body)
        assert message in error["errorMessage"]
        assert message in runtime.stderr()
