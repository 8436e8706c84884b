"""The start of ``adapter run``, as far as no process of its own shows it."""

from __future__ import annotations

import os
import subprocess
import sys

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
