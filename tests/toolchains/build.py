"""Builds functions, examples and tools into ``.cache``. Go and Cargo build again only what has changed."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

HERE = Path(__file__).resolve().parent
CACHE = HERE.parents[1] / ".cache"
HELM = "v3.19.2"
#: How long the first build may take, in seconds: it compiles Go's standard library, or all crates.
FIRST_BUILD = 900


@cache
def go_function() -> Path:
    """Return the program of ``go_function``."""
    program = CACHE / "go-function"
    _build("go", "golang-go", "build", "-tags", "lambda.norpc", "-o", str(program), ".", folder="go_function")
    return program


@cache
def go_app() -> Path:
    """Return the program of ``go_app``, which needs no shared library."""
    program = CACHE / "go-app"
    _build("go", "golang-go", "build", "-o", str(program), ".", folder="go_app", CGO_ENABLED="0")
    return program


@cache
def knative_types() -> Path:
    """Return the program of ``knative_types``, which checks the file in its argument."""
    program = CACHE / "knative-types"
    _build("go", "golang-go", "build", "-o", str(program), ".", folder="knative_types")
    return program


@cache
def rust_function() -> Path:
    """Return the program of ``rust_function``."""
    target = CACHE / "rust-function"
    # Debian's older cargo cannot build these crates; cargo-web is the newer one.
    _build("cargo", "cargo-web", "build", "--locked", "--quiet", folder="rust_function", CARGO_TARGET_DIR=str(target))
    return target / "debug/function"


@cache
def go_example() -> Path:
    """Return the program of ``examples/go_app``."""
    program = CACHE / "go-example"
    _build("go", "golang-go", "build", "-o", str(program), ".", folder="../../examples/go_app", CGO_ENABLED="0")
    return program


@cache
def node_example(name: str, script: str = "") -> Path:
    """Return a copy of an example with its packages from npm, and what the ``script`` of its package.json builds."""
    folder = CACHE / name
    shutil.copytree(HERE.parents[1] / "examples" / name, folder, dirs_exist_ok=True)
    _build("npm", "npm", "install", "--no-audit", "--no-fund", "--silent", folder=str(folder))
    if script:
        _build("npm", "npm", "run", script, folder=str(folder), NEXT_TELEMETRY_DISABLED="1")
    return folder


@cache
def cdk_typescript() -> Path:
    """Return a copy of ``deploy/cdk/typescript`` with its packages from npm, where its example is found."""
    folder = _cdk_copy("typescript")
    _build("npm", "npm", "install", "--no-audit", "--no-fund", "--silent", folder=str(folder))
    return folder


@cache
def cdk_python() -> tuple[Path, Path]:
    """Return a copy of ``deploy/cdk/python``, and an interpreter that has its requirements."""
    folder = _cdk_copy("python")
    python = CACHE / "cdk-python/bin/python"
    _build("python3", "python3-venv", "-m", "venv", str(CACHE / "cdk-python"), folder=".")
    install = ("-m", "pip", "install", "--quiet", "--no-compile", "--requirement", "requirements.txt")
    _build(str(python), "python3-venv", *install, folder=str(folder))
    return folder, python


def _cdk_copy(name: str) -> Path:
    repository = HERE.parents[1]
    for part in (f"deploy/cdk/{name}", "examples/fastapi_app"):
        shutil.copytree(repository / part, CACHE / "cdk" / part, dirs_exist_ok=True)
    return CACHE / "cdk/deploy/cdk" / name


@cache
def helm() -> Path:
    """Helm, compiled from its Go module."""
    folder = CACHE / f"helm-{HELM}"
    _build("go", "golang-go", "install", f"helm.sh/helm/v3/cmd/helm@{HELM}", folder=".", GOBIN=str(folder))
    return folder / "helm"


def _build(tool: str, package: str, *arguments: str, folder: str, **environ: str) -> None:
    program = shutil.which(tool)
    if program is None:
        raise RuntimeError(f"these tests need {tool}; on Debian: apt-get install {package}")
    CACHE.mkdir(exist_ok=True)
    command = [program, *arguments]
    done = subprocess.run(
        command, cwd=HERE / folder, env=os.environ | environ, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"{shlex.join(command)}:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
