"""A bundle that is built once, and file systems with little else in them. They need root, or user namespaces."""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.toolchains.build import go_app

REPOSITORY = Path(__file__).resolve().parents[3]
CACHE = REPOSITORY / ".cache"
BASE_PYTHON = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
# How long a build may take, in seconds.
BUILD_SECONDS = 600
#: Puts a command into another root folder.
InRoot = Callable[[Path], list[str]]


def build(folder: Path, script: str, target: str) -> None:
    """Run ``script``. The hot path stays plain Python, which does the same: compiling takes minutes."""
    environ = os.environ | {"PYTHON": str(BASE_PYTHON), "COMPILE": "no"}
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    command = [REPOSITORY / "deploy" / script, folder / target]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def layer(testrun_uid: str) -> Path:
    """Return the zip file of a layer, built once for all processes of a test run, and unpacked beside it as ``opt``."""
    folder = CACHE / "test-layer"
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "test-layer.lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.seek(0)
        if lock.read() != testrun_uid:
            build(folder, "build-layer", "layer.zip")
            # Python's own zipfile module would not set the files' permissions.
            subprocess.run(["unzip", "-q", folder / "layer.zip", "-d", folder / "opt"], check=True)
            lock.truncate(0)
            lock.write(testrun_uid)
    return folder / "layer.zip"


@pytest.fixture(scope="session")
def opt(layer: Path) -> Path:
    """Return the folder that Lambda mounts at /opt: the unpacked layer."""
    return layer.parent / "opt"


@pytest.fixture
def in_root() -> InRoot:
    """Return the arguments that run a command with ``root`` as its root folder."""
    if os.geteuid() == 0:
        return lambda root: [shutil.which("chroot", path="/usr/sbin:/sbin:/usr/bin:/bin") or "chroot", str(root)]
    return lambda root: ["unshare", "--map-root-user", "--root", str(root)]


@pytest.fixture
def bare_root(tmp_path: Path, opt: Path) -> Path:
    """A file system with /opt, a static shell and a static app, and nothing else: no C library, no /proc, no /dev."""
    root = tmp_path / "root"
    shutil.copytree(opt, root / "opt")
    (root / "bin").mkdir()
    (root / "var/task").mkdir(parents=True)
    busybox = shutil.which("busybox")
    if busybox is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("NOT TESTED: apt-get install busybox-static")
    shutil.copy(busybox, root / "bin/busybox")
    (root / "bin/sh").symlink_to("busybox")
    shutil.copy(go_app(), root / "bin/app")
    return root
