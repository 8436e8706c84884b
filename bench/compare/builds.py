"""Builds the programs of a comparison: the C programs, and the adapter as in a layer or an image."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from compare.places import BASE_PYTHON, BENCH, CACHE, REPOSITORY
from compare.process import SEARCH_PATH

_SOURCES = BENCH / "c"
_COMPILER = ["gcc", "-O2", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-pthread"]
_BUILD_ENVIRON = {"PATH": SEARCH_PATH, "PYTHON": str(BASE_PYTHON)}


@cache
def program(name: str) -> Path:
    """Return the C program ``name``. Compile it if its source is newer. Raises CalledProcessError, OSError (no gcc)."""
    source, binary = _SOURCES / f"{name}.c", CACHE / "bin" / name
    newest = max(source.stat().st_mtime, (_SOURCES / "net.h").stat().st_mtime)
    if not binary.exists() or binary.stat().st_mtime < newest:
        binary.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([*_COMPILER, "-o", str(binary), str(source)], check=True)
    return binary


@cache
def adapter(*, compiled: bool = True) -> Path:
    """Return the adapter's launcher in a tree that ``deploy/build-bundle`` has made from the current code."""
    tree = CACHE / ("adapter" if compiled else "adapter-plain")
    if _is_outdated(tree):
        environ = _BUILD_ENVIRON | {"COMPILE": "yes" if compiled else "no"}
        subprocess.run([str(REPOSITORY / "deploy" / "build-bundle"), str(tree)], check=True, env=environ)
        _note_sources(tree)
    return tree / "bin" / "adapter"


@cache
def local_lambda() -> Path:
    """Return the command of a compiled wheel that pip has installed. Unlike a bundle, it contains ``adapter dev``."""
    folder = CACHE / "venvs" / "adapter"
    if _is_outdated(folder):
        with TemporaryDirectory(dir=CACHE) as built:
            environ = _BUILD_ENVIRON | {"COMPILE": "yes"}
            subprocess.run([str(REPOSITORY / "deploy" / "build-wheel"), built], check=True, env=environ)
            (wheel,) = Path(built).glob("*.whl")
            _install(folder, f"--constraint={REPOSITORY / 'constraints.txt'}", str(wheel))
        _note_sources(folder)
    return folder / "bin" / "adapter"


@cache
def adapter_without_bytecode() -> Path:
    """Return the launcher of a copy that has no bytecode and cannot write any."""
    original, tree = adapter().parent.parent, CACHE / "adapter-without-bytecode"
    shutil.rmtree(tree, ignore_errors=True)
    shutil.copytree(original, tree, ignore=shutil.ignore_patterns("__pycache__", "start-modules"))
    for folder in [path for path in (tree / "lib").rglob("*") if path.is_dir()]:
        # A file in place of the folder prevents that bytecode is written, even by root, like a read-only layer.
        (folder / "__pycache__").touch()
    return tree / "bin" / "adapter"


def virtual_environment(name: str, *requirements: str) -> Path:
    """Return the ``bin`` folder of a virtual environment with ``requirements``. Raises CalledProcessError."""
    folder = CACHE / "venvs" / name
    stamp = folder / "installed"
    if not stamp.exists() or stamp.read_text() != "\n".join(requirements):
        _install(folder, *requirements)
        stamp.write_text("\n".join(requirements))
    return folder / "bin"


def _install(folder: Path, *requirements: str) -> None:
    """Make a virtual environment with ``requirements`` in ``folder``."""
    shutil.rmtree(folder, ignore_errors=True)
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    pip = [str(folder / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*pip, *requirements], check=True)


def installed_version(binaries: Path, package: str) -> str:
    """Return the version of ``package`` in the virtual environment with the ``bin`` folder ``binaries``."""
    code = f"import importlib.metadata as m; print(m.version({package!r}))"
    return subprocess.run([binaries / "python", "-c", code], check=True, capture_output=True, text=True).stdout.strip()


def _is_outdated(tree: Path) -> bool:
    """Return whether ``tree`` was built from other sources than the current ones. If so, remove it."""
    stamp = tree / "installed"
    if stamp.exists() and stamp.read_text() == _digest():
        return False
    shutil.rmtree(tree, ignore_errors=True)
    return True


def _note_sources(tree: Path) -> None:
    (tree / "installed").write_text(_digest())


@cache
def _digest() -> str:
    """Return a digest of all sources of an installation of the adapter."""
    deploy = REPOSITORY / "deploy"
    scripts = [deploy / name for name in ("build-bundle", "build-wheel", "copy-interpreter", "pack-start-modules")]
    sources = [*sorted((REPOSITORY / "adapter").rglob("*.py")), *sorted((deploy / "launcher").iterdir())]
    files = [REPOSITORY / "constraints.txt", REPOSITORY / "pyproject.toml", *scripts, *sources]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
