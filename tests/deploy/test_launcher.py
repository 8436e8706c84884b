"""The launcher of images and layers, started from a folder that is laid out as they are.

Its libraries are links to those that the tests use; ``deploy/build-with-buildah`` installs them for real.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.scripted_app import PATIENCE, ScriptedApp
from tests.scripted_runtime_api import ScriptedRuntimeApi
from tests.unused_port import unused_port

LAUNCHER = Path("deploy", "launcher")
BUILD = f"python{sys.version_info.major}.{sys.version_info.minor}-{os.uname().machine}"
EVENT: dict[str, list[object]] = {"Records": []}
# The launcher takes the interpreter that PATH names.
ENVIRON = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}


@pytest.fixture
def opt(tmp_path: Path, repository: Path) -> Path:
    """A folder as /opt is where a layer was unpacked."""
    libraries = tmp_path / "opt" / "adapter" / "lib" / BUILD
    libraries.mkdir(parents=True)
    for package in Path(sysconfig.get_path("platlib")).iterdir():
        (libraries / package.name).symlink_to(package)
    (libraries / "adapter").symlink_to(repository / "adapter")
    (tmp_path / "opt" / "adapter" / "bin").mkdir()
    shutil.copy(repository / LAUNCHER / "adapter", tmp_path / "opt" / "adapter" / "bin")
    shutil.copy(repository / LAUNCHER / "bootstrap", tmp_path / "opt")
    return tmp_path / "opt"


def run(program: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [program, *arguments],
        env=ENVIRON | environ,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def test_it_runs_the_command_line(opt: Path) -> None:
    result = run(opt / "adapter" / "bin" / "adapter", "--version")

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("adapter, version ")


def test_packed_modules_are_imported_and_others_from_their_files(opt: Path, repository: Path) -> None:
    libraries = opt / "adapter" / "lib" / BUILD
    (libraries / "adapter").unlink()
    package = Path(shutil.copytree(repository / "adapter", libraries / "adapter"))
    subprocess.run([sys.executable, repository / "deploy" / "pack-start-modules", libraries], check=True)
    (package / "errors.py").unlink()
    shutil.rmtree(package / "__pycache__", ignore_errors=True)

    assert run(opt / "adapter" / "bin" / "adapter", "--version").returncode == 0
    # The command line is not packed.
    shutil.rmtree(package / "cli")
    failed = run(opt / "adapter" / "bin" / "adapter", "--version")
    assert f'File "{package / "__main__.py"}", line ' in failed.stderr
    assert "from adapter.cli.command_line import main" in failed.stderr
    assert failed.stderr.endswith("No module named 'adapter.cli'\n")


def test_a_link_to_it_finds_the_libraries(opt: Path) -> None:
    link = opt / "adapter-link"
    link.symlink_to(opt / "adapter" / "bin" / "adapter")

    assert run(link, "--version").returncode == 0


def test_a_link_runs_what_it_points_to_and_not_what_lies_beside_it(opt: Path, tmp_path: Path) -> None:
    other = tmp_path / "usr" / "lib" / BUILD / "adapter"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("raise SystemExit('another version')")
    link = tmp_path / "usr" / "bin" / "adapter"
    link.parent.mkdir()
    link.symlink_to(opt / "adapter" / "bin" / "adapter")

    assert run(link, "--version").returncode == 0


def test_what_the_app_has_on_its_path_does_not_reach_it(opt: Path, tmp_path: Path) -> None:
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "__init__.py").write_text("raise SystemExit('the app has a package of that name')")

    assert run(opt / "adapter" / "bin" / "adapter", "--version", PYTHONPATH=str(tmp_path)).returncode == 0


def test_another_version_of_python_is_named_together_with_the_one_needed(opt: Path) -> None:
    libraries = opt / "adapter" / "lib"
    (libraries / BUILD).rename(libraries / "python3.9-riscv64")

    result = run(opt / "adapter" / "bin" / "adapter", "--version")

    assert (result.returncode, result.stdout) == (1, "")
    assert f"needs libraries for {BUILD}" in result.stderr
    assert "there are python3.9-riscv64." in result.stderr


def test_no_libraries_at_all_is_said(tmp_path: Path, repository: Path) -> None:
    (tmp_path / "bin").mkdir()
    shutil.copy(repository / LAUNCHER / "adapter", tmp_path / "bin")

    result = run(tmp_path / "bin" / "adapter", "--version")

    assert result.returncode == 1
    assert f"below {tmp_path} there are none" in result.stderr


def test_in_the_folder_of_extensions_it_serves_and_registers_under_its_own_name(opt: Path) -> None:
    (opt / "extensions").mkdir()
    extension = shutil.copy(opt / "adapter" / "bin" / "adapter", opt / "extensions" / "any-name")
    # Layers bring libraries of their own to /opt/lib.
    (opt / "lib").mkdir()
    with ScriptedApp() as app, ScriptedRuntimeApi() as api:
        environ = ENVIRON | {"AWS_LAMBDA_RUNTIME_API": api.address, "AWS_LWA_PORT": str(app.port)}
        with subprocess.Popen([extension], env=environ, stderr=subprocess.DEVNULL) as process:
            try:
                answer = api.invoke(EVENT).answer()
                registration = api.wait_for("/extension/register")
            finally:
                process.terminate()

    assert bytes(answer.body) == b"ok"
    assert registration.headers["lambda-extension-name"] == "any-name"


def test_bootstrap_starts_what_the_handler_names(opt: Path, tmp_path: Path) -> None:
    program = tmp_path / "run.sh"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {Path("tests", "scripted_app.py").absolute()} "$PORT"\n')
    program.chmod(0o755)
    with ScriptedRuntimeApi() as api:
        # Lambda calls a wrapper with the interpreter and arguments that it would have run itself.
        command = [str(opt / "bootstrap"), "/var/lang/bin/python3", "/var/runtime/bootstrap.py"]
        environ = ENVIRON | {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LWA_PORT": str(unused_port()),
            "LAMBDA_TASK_ROOT": str(tmp_path),
            "_HANDLER": "run.sh",
        }
        with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as process:
            try:
                answer = api.invoke(EVENT).answer()
            finally:
                process.terminate()

    assert bytes(answer.body) == b"ok"
