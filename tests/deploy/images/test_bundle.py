"""The bundle of ``deploy/build-bundle`` where there is no Python, no C library, or one that does not fit."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from adapter.payload.function_response import PreludeDecoder
from tests.deploy.images.conftest import BUILD_SECONDS, InRoot
from tests.events import function_url
from tests.scripted_app import PATIENCE, ScriptedApp
from tests.scripted_runtime_api import ScriptedRuntimeApi
from tests.toolchains.build import go_app
from tests.unused_port import unused_port

pytestmark = pytest.mark.timeout(BUILD_SECONDS)

EVENT: dict[str, list[object]] = {"Records": []}
# The goals: unpacked, and as a layer's zip file, in bytes.
LARGEST_BUNDLE, LARGEST_LAYER = 30_000_000, 12_000_000
# Variables with which an app leads interpreters and loaders to its own files.
OF_THE_APP = {
    "GCONV_PATH": "/foreign",
    "LC_ALL": "xx_XX.UTF-8",
    "LC_CTYPE": "C",
    "LD_AUDIT": "/foreign/libc.so.6",
    "LD_LIBRARY_PATH": "/foreign",
    "LD_PRELOAD": "/foreign/libc.so.6",
    "LOCPATH": "/foreign",
    "PATH": "/bin",
    "PYTHONHOME": "/foreign",
    "PYTHONPATH": "/foreign",
}


def run(command: list[str], **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env=environ, capture_output=True, encoding="utf-8", timeout=PATIENCE, check=False, close_fds=True
    )


def adapter(folder: Path) -> str:
    return str(folder / "adapter/bin/adapter")


def foreign_files(folder: Path) -> None:
    """Files with the names of what the bundle loads, which nothing can load."""
    folder.mkdir()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    for name in ("libc.so.6", "libm.so.6", "libssl.so.3", f"libpython{version}.so.1.0", "libz.so.1"):
        (folder / name).write_text("not a library")
    (folder / "adapter").mkdir()
    (folder / "adapter/__init__.py").write_text("raise SystemExit('the app has a package of that name')")
    (folder / "encodings.py").write_text("raise SystemExit('the app has a module of that name')")


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
def test_an_app_without_python_or_a_c_library_answers_on_lambda(bare_root: Path, in_root: InRoot, mode: str) -> None:
    with ScriptedRuntimeApi() as api:
        environ = {
            "AWS_LAMBDA_RUNTIME_API": api.address,
            "AWS_LWA_PORT": str(unused_port()),
            "AWS_LWA_INVOKE_MODE": mode,
            "PATH": "/bin",
        }
        command = [*in_root(bare_root), "/opt/adapter/bin/adapter", "run", "--", "app"]
        with subprocess.Popen(command, env=environ, stderr=subprocess.DEVNULL) as process:
            try:
                answer = api.invoke(function_url("/stream")).answer()
            finally:
                process.terminate()
    if mode == "buffered":
        assert json.loads(answer.body)["body"] == "one two"
    else:
        head, body = PreludeDecoder().feed(bytes(answer.body))
        assert head is not None
        assert (head.status, body) == (200, b"one two")


def test_the_apps_variables_reach_the_app_and_not_the_adapter(bare_root: Path, in_root: InRoot) -> None:
    foreign_files(bare_root / "foreign")
    port = str(unused_port())
    with ScriptedRuntimeApi() as api:
        environ = OF_THE_APP | {"AWS_LAMBDA_RUNTIME_API": api.address, "AWS_LWA_PORT": port}
        # What changes the root is a program of this system, which those variables would reach.
        pairs = [f"{name}={value}" for name, value in environ.items()]
        start = ["/bin/busybox", "env", "-i", *pairs, "/opt/adapter/bin/adapter", "run", "--", "app"]
        with subprocess.Popen([*in_root(bare_root), *start], env={}, stderr=subprocess.PIPE) as process:
            try:
                answer = api.invoke(function_url("/env")).answer()
            finally:
                process.terminate()
            assert process.stderr is not None
            stderr = process.stderr.read()
    found = dict(pair.split("=", 1) for pair in json.loads(answer.body)["body"].splitlines())
    assert found == environ | {"PORT": port}
    assert b"ld.so" not in stderr


def test_it_runs_in_any_folder_and_through_links(opt: Path, tmp_path: Path) -> None:
    moved = tmp_path / "a folder" / "x"
    shutil.copytree(opt / "adapter", moved / "adapter")
    (tmp_path / "link").symlink_to(adapter(moved))

    for program in (adapter(moved), str(tmp_path / "link")):
        result = run([program, "--version"])
        assert (result.returncode, result.stderr) == (0, "")
        assert result.stdout.startswith("adapter, version ")


def test_a_copy_that_lies_elsewhere_says_what_it_belongs_to(opt: Path, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    result = run([shutil.copy(adapter(opt), str(tmp_path / "bin/adapter")), "--version"])

    assert (result.returncode, result.stdout) == (1, "")
    assert f"{tmp_path}/bin/adapter belongs to a folder that deploy/build-bundle has made" in result.stderr


def test_a_process_has_the_adapters_name(opt: Path) -> None:
    with ScriptedRuntimeApi() as api, ScriptedApp() as app:
        environ = {"AWS_LAMBDA_RUNTIME_API": api.address, "AWS_LWA_PORT": str(app.port)}
        with subprocess.Popen([adapter(opt), "run"], env=environ, stderr=subprocess.DEVNULL) as process:
            try:
                api.invoke(EVENT).answer()
                assert Path(f"/proc/{process.pid}/comm").read_text() == "adapter\n"
            finally:
                process.terminate()


@pytest.mark.parametrize("copies", [True, False], ids=["copy", "link"])
def test_in_the_folder_of_extensions_it_serves_and_registers_under_its_own_name(
    opt: Path, tmp_path: Path, copies: bool
) -> None:
    shutil.copytree(opt, tmp_path / "opt")
    (tmp_path / "opt/extensions").mkdir()
    extension = tmp_path / "opt/extensions/any-name"
    if copies:
        shutil.copy(adapter(opt), extension)
    else:
        extension.symlink_to("../adapter/bin/adapter")
    with ScriptedApp() as app, ScriptedRuntimeApi() as api:
        environ = {"AWS_LAMBDA_RUNTIME_API": api.address, "AWS_LWA_PORT": str(app.port)}
        with subprocess.Popen([extension], env=environ, stderr=subprocess.DEVNULL) as process:
            try:
                answer = api.invoke(EVENT).answer()
                registration = api.wait_for("/extension/register")
            finally:
                process.terminate()

    assert bytes(answer.body) == b"ok"
    assert registration.headers["lambda-extension-name"] == "any-name"


@pytest.mark.parametrize("command", [["dev", "--", "app"], ["invoke", "event.json"], ["event", "sqs"]])
def test_the_local_lambda_is_elsewhere(opt: Path, command: list[str]) -> None:
    result = run([adapter(opt), *command], PATH="/bin")

    assert (result.returncode, result.stdout, result.stderr.count("\n")) == (2, "", 1)
    assert "on your machine, run: pip install web-adapter" in result.stderr


def test_every_module_of_it_can_be_imported_and_comes_from_it(opt: Path) -> None:
    """In a new process, so that nothing is found that the tests have loaded."""
    python, libraries = opt / "adapter/python", opt / "adapter/lib"
    code = f"""
import importlib, pathlib, sys
sys.path.append({str(libraries)!r})
for package in ("adapter", "click", "greenlet", "httptools", "orjson", "pybase64"):
    importlib.import_module(package)
for file in pathlib.Path({str(libraries)!r}, "adapter").rglob("*.py"):
    name = file.relative_to({str(libraries)!r}).with_suffix("").as_posix().replace("/", ".")
    importlib.import_module(name.removesuffix(".__init__"))
import asyncio, ctypes, socket, subprocess, unicodedata
asyncio.run(asyncio.sleep(0))
"ä.example".encode("idna")
files = [getattr(module, "__file__", None) for module in sys.modules.values()]
print(*(file for file in files if file and not file.startswith({str(opt)!r})))
"""
    options = ["--inhibit-cache", "--library-path", str(python / "lib"), "--argv0", str(python / "bin/python")]
    result = run([str(python / "adapter"), *options, str(python / "bin/python"), "-IS", "-c", code])

    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "", "")


def test_every_shared_library_that_it_needs_is_in_it(opt: Path) -> None:
    python = opt / "adapter/python"
    files = [python / "bin/python", *(opt / "adapter").rglob("*.so")]
    options = ["--inhibit-cache", "--library-path", str(python / "lib"), "--list"]
    for file in files:
        listed = run([str(python / "adapter"), *options, str(file)])
        assert listed.returncode == 0, listed.stderr
        found = {path for path in re.findall(r"=> (\S+)", listed.stdout) if not path.startswith(str(opt))}
        # The loader itself is loaded already, by the name that the C library knows.
        assert not {path for path in found if "/ld-" not in path and "vdso" not in path}, file


def test_it_is_as_small_as_it_should_be(opt: Path, layer: Path) -> None:
    files = [path for path in (opt / "adapter").rglob("*") if path.is_file()]
    # Debian's interpreter has its library within it; another one may have debugging symbols of a megabyte.
    assert sum(file.stat().st_size for file in files) < LARGEST_BUNDLE
    assert layer.stat().st_size < LARGEST_LAYER
    assert not [path for path in files if path.parts[-2].startswith(("aiohttp", "multidict", "yarl"))]


def test_the_licenses_of_what_is_copied_are_in_it(opt: Path) -> None:
    licenses = {path.name for path in (opt / "adapter/python/licenses").iterdir()}

    assert "python" in licenses
    assert shutil.which("dpkg-query") is None or "libc6" in licenses


def test_the_app_of_these_tests_needs_no_library() -> None:
    """Otherwise it would not run where there is none, and these tests would fail for that reason."""
    assert b"GLIBC" not in go_app().read_bytes()
