"""``adapter init``: what it writes, and that it overwrites nothing. tests/toolchains lints and renders it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from adapter.emulator.template.template import load_template

# Quotes, blanks and what a shell, YAML or a pattern could take for its own.
COMMAND = ["python", "-m", "server", "--port", "{port}", "--greeting", 'it\'s "$HOME" \\1 #: ü']
TOOLS = Path(sys.executable).parent


def init(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-I", "-m", "adapter", "init", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )


def files(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("has_requirements", [True, False])
def test_docker_writes_a_dockerfile_that_starts_the_command(tmp_path: Path, has_requirements: bool) -> None:
    folder = tmp_path / "My Shop"
    folder.mkdir()
    if has_requirements:
        (folder / "requirements.txt").write_text("flask\n")

    done = init(folder, "docker", "--", *COMMAND)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        "Dockerfile is written",
        ".dockerignore is written",
        "Once, in the adapter's repository: docker build -t web-adapter .",
        "Next: docker build -t my-shop . && docker run --rm -p 8000:8000 my-shop",
        "Guide: docs/deploy/init.md",
    ]
    text = (folder / "Dockerfile").read_text("utf-8")
    assert json.loads(text.splitlines()[-1].removeprefix("CMD ")) == COMMAND
    assert ("pip install" in text) is has_requirements
    assert "flask" not in text
    linted = subprocess.run([TOOLS / "hadolint", folder / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


NODE_INSTALL = "COPY package*.json ./\nRUN npm {} --omit=dev\nCOPY . ./\n"


@pytest.mark.parametrize(
    ("present", "command", "base", "install"),
    [
        pytest.param(["package.json", "package-lock.json"], "node server.js", "node:24-slim", "ci", id="node"),
        pytest.param(["package.json"], "env PORT={port} npm start", "node:24-slim", "install", id="no-lock-file"),
        pytest.param(["package.json"], "./start.sh", "node:24-slim", "install", id="package.json"),
        pytest.param([], "npx next start --port {port}", "node:24-slim", None, id="no-package.json"),
        pytest.param(["package.json", "requirements.txt"], "python3.13 app.py", "python:3.13-slim", None, id="python"),
        pytest.param([], "php -S 127.0.0.1:{port}", "php:8.4-cli", None, id="php"),
        pytest.param(["package.json"], "bundle exec puma", "ruby:3.4-slim", None, id="ruby"),
        pytest.param([], "java -jar app.jar", "eclipse-temurin:21-jre", None, id="java"),
        pytest.param([], "./server", "debian:13-slim", None, id="binary"),
    ],
)
def test_the_base_image_has_the_program_of_the_command(
    present: list[str], command: str, base: str, install: str | None, tmp_path: Path
) -> None:
    for name in present:
        (tmp_path / name).write_text("")

    done = init(tmp_path, "docker", "--", *command.split())

    assert (done.returncode, done.stderr) == (0, "")
    text = (tmp_path / "Dockerfile").read_text("utf-8")
    assert f"\nARG BASE={base}\n" in text
    assert ("RUN npm" in text) is (install is not None)
    assert install is None or NODE_INSTALL.format(install) in text
    is_known = base.startswith(("node", "python"))
    program = command.split()[0]
    assert (f"# Set BASE to an image that can run {program!r}; " in text) is not is_known
    assert (f"Set BASE in Dockerfile to an image that can run {program!r} (now {base})" in done.stdout) is not is_known
    linted = subprocess.run([TOOLS / "hadolint", tmp_path / "Dockerfile"], capture_output=True, text=True, check=False)
    assert (linted.returncode, linted.stdout) == (0, "")


@pytest.mark.parametrize(
    ("requirements", "command", "warning"),
    [
        pytest.param(
            "flask\n# gunicorn\n--extra-index-url x",
            "gunicorn main:app",
            "requirements.txt does not list gunicorn",
            id="not-listed",
        ),
        pytest.param("uvicorn-worker", "python -m uvicorn main:app", "requirements.txt does not list uvicorn", id="-m"),
        pytest.param(
            None, "gunicorn main:app", "requirements.txt is missing, so the image has no gunicorn", id="no-file"
        ),
        pytest.param(None, "python app.py", "so the image has no package of pyproject.toml", id="pyproject"),
        pytest.param("flask\n  Gunicorn>=23\n", "gunicorn main:app", None, id="listed"),
        pytest.param("fastapi[standard]\n", "uvicorn main:app", None, id="an-extra"),
        pytest.param("-r production.txt\n", "gunicorn main:app", None, id="another-file"),
        pytest.param("flask\n", "python app.py", None, id="no-server"),
    ],
)
def test_a_server_that_the_image_lacks_is_a_warning(
    requirements: str | None, command: str, warning: str | None, tmp_path: Path
) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    if requirements is not None:
        # PowerShell writes this encoding.
        (tmp_path / "requirements.txt").write_text(requirements, "utf-16")

    done = init(tmp_path, "docker", "--", *command.split(), "{port}")

    assert done.returncode == 0, done.stderr
    [*found] = [line for line in done.stdout.splitlines() if line.startswith("Warning: ")]
    assert len(found) == (warning is not None)
    assert warning is None or warning in found[0]


@pytest.mark.parametrize("kind", ["docker", "sam", "helm"])
def test_a_command_without_the_port_is_a_warning_with_the_port_on_which_the_app_must_listen(
    kind: str, tmp_path: Path
) -> None:
    done = init(tmp_path, kind, "--", "node", "server.js")

    assert done.returncode == 0, done.stderr
    assert "Warning: CMD does not contain {port}, so the app must listen on port 8080, " in done.stdout
    assert f"adapter init {kind} -- uvicorn main:app --port '{{port}}'" in done.stdout


def test_sam_writes_a_template_that_adapter_dev_reads(tmp_path: Path) -> None:
    done = init(tmp_path, "sam", "--", *COMMAND)

    assert done.returncode == 0, done.stderr
    assert files(tmp_path) == {"template.yaml", "Dockerfile", ".dockerignore"}
    assert "Next: adapter dev --template template.yaml" in done.stdout
    template = load_template(str(tmp_path / "template.yaml"), None, "us-east-1", [])
    assert template.command == COMMAND
    assert template.options["url_invoke_mode"][0] == "RESPONSE_STREAM"
    assert Path(template.options["app_dir"][0]) == tmp_path


def test_helm_writes_a_chart_for_an_app_in_its_own_container(tmp_path: Path) -> None:
    done = init(tmp_path / "shop", "helm", "--", *COMMAND)

    assert done.returncode == 0, done.stderr
    assert {"chart/Chart.yaml", "chart/values.yaml", "chart/templates/deployment.yaml"} < files(tmp_path / "shop")
    app = yaml.safe_load((tmp_path / "shop/chart/values.yaml").read_text("utf-8"))["app"]
    assert app["image"] == "shop:latest"
    assert app["command"] == [word.replace("{port}", "8080") for word in COMMAND]
    assert app["port"] == 8080


@pytest.mark.parametrize(
    ("kind", "name"), [("docker", "Dockerfile"), ("sam", "template.yaml"), ("helm", "chart/values.yaml")]
)
@pytest.mark.parametrize("is_link", [False, True])
def test_a_file_that_exists_is_not_overwritten_and_nothing_is_written(
    kind: str, name: str, is_link: bool, tmp_path: Path
) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    if is_link:
        (tmp_path / name).symlink_to(tmp_path / "nowhere")
    else:
        (tmp_path / name).write_text("mine")

    done = init(tmp_path, kind, "--", *COMMAND)

    assert done.returncode == 2
    assert f"{name} exists and is not overwritten" in done.stderr
    assert files(tmp_path) == (set() if is_link else {name})
    assert is_link or (tmp_path / name).read_text() == "mine"


def test_what_one_init_wrote_is_kept_by_the_next(tmp_path: Path) -> None:
    (tmp_path / ".dockerignore").write_text("mine")
    init(tmp_path, "docker", "--", *COMMAND)

    done = init(tmp_path, "sam", "--", *COMMAND)

    assert done.stdout.splitlines()[:3] == ["template.yaml is written", "Dockerfile is kept", ".dockerignore is kept"]
    assert (tmp_path / ".dockerignore").read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        pytest.param(("sam",), "CMD is missing; give the app's command: adapter init sam -- CMD", id="no-command"),
        pytest.param(("cdk", "--", "x"), "'cdk' is not one of 'sam', 'docker', 'helm'", id="kind"),
    ],
)
def test_a_mistake_is_explained(arguments: tuple[str, ...], message: str, tmp_path: Path) -> None:
    done = init(tmp_path, *arguments)

    assert done.returncode == 2
    assert message in done.stderr
    assert files(tmp_path) == set()


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "chart").write_text("a file, not a folder")

    done = init(tmp_path, "helm", "--", *COMMAND)

    assert done.returncode == 2
    assert "chart/Chart.yaml cannot be written: " in done.stderr
