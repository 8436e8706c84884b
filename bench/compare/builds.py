"""Builds what a comparison runs: the C programs, and the adapter as a layer or an image holds it."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

from compare.places import BASE_PYTHON, BENCH, CACHE, REPOSITORY
from compare.process import SEARCH_PATH

_SOURCES = BENCH / "c"
_COMPILER = ["gcc", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pthread"]


@cache
def program(name: str) -> Path:
    """The C program ``name``, compiled if its source is newer. Raises CalledProcessError, OSError (no gcc)."""
    source, binary = _SOURCES / f"{name}.c", CACHE / "bin" / name
    newest = max(source.stat().st_mtime, (_SOURCES / "net.h").stat().st_mtime)
    if not binary.exists() or binary.stat().st_mtime < newest:
        binary.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([*_COMPILER, "-o", str(binary), str(source)], check=True)
    return binary


@cache
def adapter(*, compiled: bool = True) -> Path:
    """The adapter's launcher in a tree of its own, as ``deploy/build-bundle`` makes it, with the code as it is now."""
    tree = CACHE / ("adapter" if compiled else "adapter-plain")
    stamp = tree / "installed"
    deploy = REPOSITORY / "deploy"
    install = deploy / "build-bundle"
    sources = [*sorted((REPOSITORY / "adapter").rglob("*.py")), *(deploy / "launcher").iterdir()]
    scripts = [deploy / "build-wheel", install, deploy / "copy-interpreter", deploy / "pack-start-modules"]
    digest = _digest(REPOSITORY / "constraints.txt", REPOSITORY / "pyproject.toml", *scripts, *sources)
    if not stamp.exists() or stamp.read_text() != digest:
        shutil.rmtree(tree, ignore_errors=True)
        environ = {"PATH": SEARCH_PATH, "PYTHON": str(BASE_PYTHON), "COMPILE": "yes" if compiled else "no"}
        subprocess.run([str(install), str(tree)], check=True, env=environ)
        stamp.write_text(digest)
    return tree / "bin" / "adapter"


@cache
def adapter_without_bytecode() -> Path:
    """The launcher of a copy that has no bytecode and can get none."""
    original, tree = adapter().parent.parent, CACHE / "adapter-without-bytecode"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(original, tree, ignore=shutil.ignore_patterns("__pycache__", "start-modules"))
    for folder in [path for path in (tree / "lib").rglob("*") if path.is_dir()]:
        # A file where the folder should be keeps bytecode from being written, as a read-only layer does, also for root.
        (folder / "__pycache__").touch()
    return tree / "bin" / "adapter"


def virtual_environment(name: str, *requirements: str) -> Path:
    """The ``bin`` folder of a virtual environment with ``requirements``. Raises CalledProcessError."""
    folder = CACHE / "venvs" / name
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text() != "\n".join(requirements):
        shutil.rmtree(folder, ignore_errors=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *requirements], check=True)
        stamp.write_text("\n".join(requirements))
    return folder / "bin"


def installed_version(binaries: Path, package: str) -> str:
    """The version of ``package`` in the virtual environment with the ``bin`` folder ``binaries``."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([binaries / "python", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def _digest(*files: Path) -> str:
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
