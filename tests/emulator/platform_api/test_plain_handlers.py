"""The commands of docs/plain-handlers.md, with AWS's own clients: the files are the page's, the answers as well."""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.e2e.local_lambda import local_lambda
from tests.emulator.real_runtimes import (
    CACHE,
    INSTALLATION,
    NODE_CLIENT,
    PYTHON_CLIENT,
    aws_lambda_ric,
    awslambdaric,
)

pytestmark = pytest.mark.timeout(INSTALLATION)

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "plain-handlers.md").read_text()
#: Every console block with an ``adapter dev``: its commands, and the answer to its ``curl``.
CONSOLES = [block for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL) if block.count("$ adapter dev ")]


def command_of(console: str, program: str) -> list[str]:
    [words] = [line for line in console.splitlines() if line.startswith(f"$ {program} ")]
    return shlex.split(words)[1:]


def go_binary(main: Path, console: str) -> Path:
    """Return the handler that the page's commands build, kept for the next run."""
    steps = [line[2:] for line in console.splitlines() if line.startswith("$ go ")]
    assert [step.split()[1] for step in steps] == ["mod", "get", "build"]
    key = hashlib.sha256((main.read_text() + "".join(steps)).encode()).hexdigest()[:12]
    kept = CACHE / f"go-handler-{key}"
    if not kept.exists():
        for step in steps:
            done = subprocess.run(shlex.split(step), cwd=main.parent, capture_output=True, text=True, check=False)
            assert done.returncode == 0, f"{step}: {done.stderr}; it needs Go and its module proxy"
        CACHE.mkdir(exist_ok=True)
        shutil.copy(main.parent / "bootstrap", kept)
    return kept


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return the page's files."""
    for text in re.findall(r"```(?:js|python|go)\n(.*?)```", PAGE, re.DOTALL):
        name = text.partition("\n")[0].split()[1]
        (tmp_path / name).write_text(text)
    return tmp_path


@pytest.mark.parametrize("console", CONSOLES, ids=["node", "node-stream", "python", "go"])
def test_the_commands_of_the_page_work_as_written(folder: Path, console: str) -> None:
    adapter = command_of(console, "adapter")
    assert adapter[:2] == ["adapter", "dev"]
    flags = adapter[2:]
    runtime = flags[flags.index("--runtime") + 1]
    path = os.environ["PATH"]
    if runtime.startswith("npx "):
        (folder / "node_modules").symlink_to(aws_lambda_ric().parents[1])
    elif runtime.startswith("python "):
        path = f"{awslambdaric().parent}:{path}"
    else:
        shutil.copy(go_binary(folder / "main.go", console), folder / "bootstrap")
    url = command_of(console, "curl")[-1]
    target = url.removeprefix("http://127.0.0.1:3000")
    with local_lambda(directory=folder, flags=tuple(flags), PATH=path) as local:
        reply = local.ask(target)
        assert (reply.status, reply.body.decode()) == (200, console.splitlines()[-1])
        assert "mismatch" not in local.output.wait_for(f"GET {target} 200")


def test_the_page_names_the_versions_that_are_tested() -> None:
    for client in (NODE_CLIENT.replace("@", " "), PYTHON_CLIENT.replace("==", " ")):
        name, version = client.split()
        assert f"`{name}` {version}" in " ".join(PAGE.split())
    [version] = re.findall(r"go get github.com/aws/aws-lambda-go@v(\S+)", PAGE)
    assert f"`aws-lambda-go` {version}" in " ".join(PAGE.split())


def test_an_app_that_needs_awss_node_runtime_is_told_the_page(folder: Path) -> None:
    with local_lambda("node", "stream.mjs", directory=folder) as local:
        assert local.ask("/").status == 502
        line = local.output.wait_for("adapter ERROR Adapter.AppExited (docs/errors.md): the app ended with exit code 1")
        assert "docs/plain-handlers.md" in line
        local.output.wait_for("GET / 502")


def test_a_client_that_does_not_stream_behind_a_streaming_url_is_explained_once(folder: Path) -> None:
    flags = ("--runtime", f"{awslambdaric()} -m awslambdaric main.handler")
    with local_lambda(directory=folder, flags=flags) as local:
        for path in ("/1", "/2"):
            assert local.ask(path).body == f'{{"statusCode": 200, "body": "hello from {path}"}}'.encode()
            assert local.output.wait_for(f"GET {path} 200").partition(" | environment")[0].endswith(" | mismatch")
        assert local.output.text.count("mismatch at function-url: the function is buffered") == 1
