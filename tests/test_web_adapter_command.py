"""The command ``adapter`` where the app has a module or a package of that name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

COMMAND = Path(sys.executable).parent / "adapter"
FOREIGN = "raise SystemExit('this is the app')\n"
REPOSITORY = Path(__file__).resolve().parent.parent


def version(command: list[str | Path], folder: Path, **environ: str) -> str:
    """What ``adapter --version`` writes in ``folder``."""
    done = subprocess.run(
        [*command, "--version"],
        cwd=folder,
        env={"PATH": os.environ["PATH"]} | environ,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    return done.stdout + done.stderr


@pytest.fixture
def app(tmp_path: Path) -> Path:
    """A folder with a module ``adapter``, another with a package of that name and of a module that click imports."""
    (tmp_path / "adapter.py").write_text(FOREIGN)
    package = tmp_path / "packages"
    (package / "adapter").mkdir(parents=True)
    (package / "adapter/__init__.py").write_text(FOREIGN)
    (package / "click.py").write_text(FOREIGN)
    return tmp_path


@pytest.mark.parametrize("path", ["", ".", "packages", "{app}/packages:{app}", ":packages", "{app}/packages/"])
def test_the_command_is_this_one(app: Path, path: str) -> None:
    environ = {"PYTHONPATH": path.format(app=app)} if path else {}

    assert version([COMMAND], app, **environ).startswith("adapter, version ")
    assert version([sys.executable, "-m", "web_adapter_command"], app, **environ).startswith("adapter, version ")


def test_the_folder_on_pythonpath_that_has_the_adapter_comes_first_and_the_others_stay(app: Path) -> None:
    """As ``pip install --target`` leaves it: the dependencies are in a folder of PYTHONPATH as well."""
    (app / "packages/click.py").write_text("raise SystemExit('found here')\n")
    # -S: no other folder has click.
    command: list[str | Path] = [sys.executable, "-S", "-m", "web_adapter_command"]

    assert version(command, app, PYTHONPATH=f"{app}/packages:{REPOSITORY}") == "found here\n"


def test_the_standard_library_may_be_named(app: Path) -> None:
    assert version([COMMAND], app, PYTHONPATH=os.path.dirname(os.__file__)).startswith("adapter, version ")


def test_the_app_keeps_its_pythonpath(app: Path) -> None:
    show: list[str | Path] = [
        COMMAND,
        "run",
        "--listen",
        "127.0.0.1:0",
        "--",
        "sh",
        "-c",
        "echo path $PYTHONPATH >&2; exit 3",
    ]
    done = subprocess.run(
        show, cwd=app, env={"PATH": os.environ["PATH"], "PYTHONPATH": "packages"}, capture_output=True, check=False
    )
    assert done.returncode == 3
    assert b"path packages\n" in done.stderr
