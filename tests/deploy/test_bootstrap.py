"""/opt/bootstrap of the layer, with a program in place of the adapter that shows how it was started."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

PATIENCE = 20.0
SHOW = '#!/bin/sh\nprintf "%s\\n" "$@"\necho ENVIRONMENT\nexec env\n'
PASS_ON = '#!/bin/sh\necho "wrapper $#"\nenv | grep -c AWS_LAMBDA_EXEC_WRAPPER\nexec "$@"\n'
# Lambda calls a wrapper with the interpreter and arguments that it would have run itself.
OF_LAMBDA = ("/var/lang/bin/node", "/var/runtime/index.mjs")


@pytest.fixture
def opt(tmp_path: Path, repository: Path) -> Path:
    """Return a folder as /opt is when the layer was unpacked."""
    (tmp_path / "opt/adapter/bin").mkdir(parents=True)
    script(tmp_path / "opt/adapter/bin/adapter", SHOW)
    shutil.copy(repository / "deploy/launcher/bootstrap", tmp_path / "opt")
    return tmp_path / "opt"


def script(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o755)
    return path


def start(opt: Path, *arguments: str, **environ: str) -> tuple[int, str, dict[str, str], str]:
    """The exit code, what was written before the environment, the environment, and what was written to stderr."""
    done = subprocess.run(
        [opt / "bootstrap", *arguments],
        env={"PATH": "/usr/bin:/bin", "LAMBDA_TASK_ROOT": "/task", "_HANDLER": "run.sh"} | environ,
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )
    written, _, variables = done.stdout.partition("ENVIRONMENT\n")
    return done.returncode, written, dict(pair.split("=", 1) for pair in variables.splitlines()), done.stderr


@pytest.mark.parametrize("arguments", [OF_LAMBDA, ()], ids=["wrapper", "OS-only"])
def test_it_starts_what_the_handler_names(opt: Path, arguments: tuple[str, ...]) -> None:
    code, written, environ, _ = start(opt, *arguments, AWS_LAMBDA_EXEC_WRAPPER="/opt/bootstrap")

    assert (code, written.splitlines()) == (0, ["run", "--", "/task/run.sh"])
    assert environ["_HANDLER"] == "run.sh"
    assert "AWS_LAMBDA_EXEC_WRAPPER" not in environ


def test_another_wrapper_starts_the_adapter(opt: Path, tmp_path: Path) -> None:
    wrapper = script(tmp_path / "wrapper", PASS_ON)
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/opt/bootstrap", "ADAPTER_EXEC_WRAPPER": str(wrapper)}
    code, written, environ, _ = start(opt, *OF_LAMBDA, **variables)

    assert (code, written.splitlines()) == (0, ["wrapper 4", "0", "run", "--", "/task/run.sh"])
    assert not environ.keys() & variables.keys()


@pytest.mark.parametrize("way", ["handler", "wrapper", "app"])
def test_it_does_not_start_itself(opt: Path, tmp_path: Path, way: str) -> None:
    """Whatever is started starts its last argument, as the adapter starts the app."""
    script(opt / "adapter/bin/adapter", '#!/bin/sh\nshift $(($# - 1))\nexec "$1"\n')
    task = tmp_path / "task"
    task.mkdir()
    variables = {"LAMBDA_TASK_ROOT": str(task)}
    if way == "handler":
        variables["_HANDLER"] = "../opt/bootstrap"
    elif way == "wrapper":
        variables["ADAPTER_EXEC_WRAPPER"] = str(opt / "bootstrap")
    else:
        script(task / "run.sh", f"#!/bin/sh\nexec {opt}/bootstrap\n")
    code, _, _, stderr = start(opt, **variables)

    assert code == 2
    assert stderr.count("\n") == 1
    assert "to the app's start script, and ADAPTER_EXEC_WRAPPER to another program" in stderr


def test_a_missing_handler_is_named(opt: Path) -> None:
    code, _, _, stderr = start(opt, _HANDLER="")

    assert code == 2
    assert stderr.endswith(
        "the function has no handler; set it to the name of the app's start script, such as run.sh\n"
    )
