"""Installs AWS's runtime interface clients once into ``.cache``, and runs ``adapter dev`` with them."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from contextlib import suppress
from functools import cache
from pathlib import Path

CACHE = Path(__file__).resolve().parents[2] / ".cache"
PYTHON_CLIENT = "awslambdaric==4.2.2"
NODE_CLIENT = "aws-lambda-ric@4.0.2"
# The commands that build the Node client, each with its Debian package.
_BUILD_TOOLS = {"npm": "npm", "cmake": "cmake", "g++": "g++", "make": "make", "xz": "xz-utils", "python3": "python3"}
#: The time limit of the first installation, in seconds: the Node client builds curl.
INSTALLATION = 600


@cache
def awslambdaric() -> Path:
    """Return a Python interpreter with ``awslambdaric``."""
    folder = CACHE / PYTHON_CLIENT.replace("==", "-")
    if not folder.exists():
        CACHE.mkdir(exist_ok=True)
        # Moved into place when it is complete: that its scripts name another path does not matter to its python.
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            fresh = Path(temporary) / "client"
            _run(sys.executable, "-m", "venv", str(fresh))
            _run(str(fresh / "bin/python"), "-m", "pip", "install", "--quiet", "--no-cache-dir", PYTHON_CLIENT)
            _move(fresh, folder)
    return folder / "bin/python"


@cache
def aws_lambda_ric() -> Path:
    """Build the Node client, and return its main module."""
    folder = CACHE / NODE_CLIENT.replace("@", "-")
    if not folder.exists():
        missing = [package for command, package in _BUILD_TOOLS.items() if shutil.which(command) is None]
        if missing:
            raise RuntimeError(f"the Node client needs {', '.join(missing)}; on Debian: apt-get install them")
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as temporary:
            fresh = Path(temporary) / "client"
            fresh.mkdir()
            (fresh / "package.json").write_text("{}")
            # node-gyp would download the headers, which Debian's libnode-dev and the distribution of Node itself have.
            headers = {"npm_config_nodedir": "/usr"} if Path("/usr/include/node/node.h").exists() else {}
            options = ("--no-audit", "--no-fund", "--loglevel=error", "--ignore-scripts=false")
            _run("npm", "install", *options, NODE_CLIENT, directory=str(fresh), **headers)
            _move(fresh, folder)
    return folder / "node_modules/aws-lambda-ric/index.mjs"


def _move(fresh: Path, folder: Path) -> None:
    """Move the installation to its place, unless another process of the tests has done so."""
    with suppress(OSError):
        fresh.rename(folder)
    assert folder.exists(), folder


def _run(*command: str, directory: str | None = None, **environ: str) -> None:
    done = subprocess.run(command, cwd=directory, env=os.environ | environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
