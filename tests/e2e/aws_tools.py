"""AWS's own clients that are no Python libraries, installed once into ``.cache``: the AWS CLI, the JavaScript SDK.

The CLI gets a venv of its own, since it wants versions of libraries that are none of ours. Only one process installs at
a time; another one that needs the same waits for it.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.samples import CACHE

AWSCLI_VERSION = "1.46.3"
SDK_VERSION = "3.1164.0"
_INSTALL_SECONDS = 240


def aws_cli() -> Path:
    """Return the program ``aws`` of the AWS CLI, version 1."""
    folder = CACHE / f"awscli-{AWSCLI_VERSION}"
    with _installing(folder) as is_wanted:
        if is_wanted:
            _run(sys.executable, "-m", "venv", str(folder))
            pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
            _run(*pip, f"awscli=={AWSCLI_VERSION}")
    return folder / "bin" / "aws"


def node_with_sdk() -> tuple[str, Path]:
    """Node's program, and the folder below which it finds ``@aws-sdk/client-lambda``."""
    node, npm = _program("node", "nodejs"), _program("npm", "npm")
    folder = CACHE / f"aws-sdk-js-{SDK_VERSION}"
    with _installing(folder) as is_wanted:
        if is_wanted:
            options = ["--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"]
            _run(npm, "install", "--prefix", str(folder), *options, f"@aws-sdk/client-lambda@{SDK_VERSION}")
    return node, folder


def _program(name: str, package: str) -> str:
    found = shutil.which(name)
    if found is None:
        # Where CI is set nothing is left out.
        leave = pytest.fail if "CI" in os.environ else pytest.skip
        leave(f"NOT TESTED, the AWS SDK for JavaScript: {name} is missing (apt-get install {package})")
    return found


@contextmanager
def _installing(folder: Path) -> Iterator[bool]:
    """Yield whether ``folder`` must be filled. Mark it as filled if the block succeeds."""
    CACHE.mkdir(exist_ok=True)
    done = folder / ".installed"
    with (CACHE / f"{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        is_wanted = not done.exists()
        if is_wanted:
            shutil.rmtree(folder, ignore_errors=True)
        yield is_wanted
        if is_wanted:
            done.touch()


def _run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, timeout=_INSTALL_SECONDS)
