"""The command that starts this program anew."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from adapter import __version__
from adapter.emulator.sandbox.runtime_command import own_command


def test_the_command_starts_this_program_from_any_folder(tmp_path: Path) -> None:
    shadow = tmp_path / "adapter"
    shadow.mkdir()
    (shadow / "__init__.py").write_text("raise SystemExit('the wrong adapter')")
    (shadow / "__main__.py").write_text("")
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        own_command("--version"), cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=20, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"adapter, version {__version__}\n", "")
