"""Every console block of the README, the docs and the examples, run as it is written, page by page, from top to bottom.

A page has a folder of its own, with the files that its blocks show (the first line is a comment with the name) and with
those in ``GIVEN``, which its reader has; an example's page has a copy of the example. Commands that serve run until the
next one of them, or the end of the page. Lines below a command are a part of its output: ``…`` stands for any text, and
seconds at the start of a line may differ. Ports and the clone's path are this run's own.

A mark in front of a block says why it, or some of its commands, cannot be run here: ``<!-- not run: REASON -->`` or
``<!-- not run: REASON: `COMMAND`, `COMMAND` -->``.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.e2e.aws_tools import aws_cli
from tests.unused_port import unused_port

REPOSITORY = Path(__file__).resolve().parents[2]
PAGES = sorted(
    path.relative_to(REPOSITORY).as_posix()
    for pattern in ("README.md", "CONTRIBUTING.md", "docs/**/*.md", "examples/*/*.md")
    for path in REPOSITORY.glob(pattern)
    if "```console" in path.read_text()
    # Its commands are run with AWS's clients by tests/emulator/platform_api/test_plain_handlers.py.
    and path.name != "plain-handlers.md"
)
REASONS = ("needs an AWS account", "needs a container engine", "takes over 2 minutes")
# How many blocks, in whole or in part, have a mark. A new mark is to be noticed.
MARKS = {"needs an AWS account": 9, "needs a container engine": 5, "takes over 2 minutes": 5}
BLOCK = re.compile(r"(?:^<!-- not run: (?P<mark>.*?) -->\n)?^```(?P<language>\w+)\n(?P<text>.*?)^```$", re.M | re.S)
NAME = re.compile(r"(?:#|//|<!--|<\?php //) (?P<name>[\w./]+\.\w+)(?: -->)?\n")
# What a client shows in front of a line: when it has received the line.
SECONDS_SHOWN = re.compile(r"^\d\.\d\d ")
# The longest command, in seconds: pip builds the adapter.
SECONDS = 600
# Files that a page's reader has: an app, an event, a template.
MAIN = (REPOSITORY / "examples" / "fastapi_app" / "main.py").read_text()
TEMPLATE = """Transform: AWS::Serverless-2016-10-31
Resources:
  Web:
    Type: AWS::Serverless::Function
    Properties:
      CodeUri: .
      Handler: run.sh
      Runtime: python3.13
      Environment:
        Variables:
          AWS_LAMBDA_EXEC_WRAPPER: /opt/bootstrap
      FunctionUrlConfig:
        AuthType: NONE
"""
GIVEN = {
    "main.py": MAIN,
    "template.yaml": TEMPLATE,
    "run.sh": '#!/bin/sh\nexec python -m uvicorn main:app --port "$PORT"\n',
    "order.json": '{"id": 7}',
    "server.js": "require('http').createServer((q, a) => a.end('ok')).listen(process.env.PORT);\n",
    "cdk.out/Shop.template.json": '{"Resources": {"Web": {"Type": "AWS::Lambda::Function", "Properties": {}}}}',
}
# Programs that not every developer has, with the packages that bring them.
PACKAGES = {"mvn": "maven", "php": "php-cli", "rails": "ruby-rails puma bundler ruby-byebug ruby-listen"}


class Block:
    """A block: its files or commands, and the commands that its mark names (all if it names none)."""

    def __init__(self, found: re.Match[str]) -> None:
        self.text, self.language = found["text"], found["language"]
        reason, _, commands = (found["mark"] or "").partition(":")
        self.reason = reason.strip()
        self._marked = re.findall(r"`([^`]+)`", commands)

    def commands(self) -> Iterator[tuple[str, list[str]]]:
        """Yield each command that is to be run, with the lines of its output."""
        joined = self.text.replace("\\\n", "")
        for part in re.split(r"^\$ ", joined, flags=re.M)[1:]:
            command, *output = part.rstrip().splitlines()
            is_marked = bool(self.reason) and (
                not self._marked or any(command.startswith(prefix) for prefix in self._marked)
            )
            if not is_marked:
                yield re.sub(r"\s{2,}# .*$", "", command), output


def blocks_of(page: str) -> list[Block]:
    return [Block(found) for found in BLOCK.finditer((REPOSITORY / page).read_text())]


def is_server(command: str) -> bool:
    return bool(re.match(r"adapter (dev|run) |make run\b|uvicorn |gunicorn ", command)) and "--wait" not in command


def has_line(output: str, wanted: str) -> bool:
    pattern = ".*".join(map(re.escape, SECONDS_SHOWN.sub("… ", wanted).split("…")))
    return any(re.fullmatch(pattern, line) for line in output.splitlines())


class Reader:
    """A person who works in ``folder`` and types commands."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = unused_port()
        # The port of servers without the adapter.
        self._server_port = unused_port()
        self._server: subprocess.Popen[bytes] | None = None
        binaries = folder / ".bin"
        binaries.mkdir()
        for name in ("aws",):
            (binaries / name).symlink_to(aws_cli())
        # What a page installs is not for the environment that runs the tests, whose packages it sees.
        subprocess.run([sys.executable, "-m", "venv", folder / ".own"], check=True)
        [packages] = (folder / ".own" / "lib").glob("python*/site-packages")
        (packages / "tests.pth").write_text("\n".join(path for path in sys.path if path.endswith("site-packages")))
        path = f"{binaries}:{folder / '.own' / 'bin'}:{Path(sys.executable).parent}:{os.environ['PATH']}"
        self._environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "ADAPTER_"))},
            "PATH": path,
            "ADAPTER_DEV_PORT": str(self._port),
            "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        }

    def own(self, command: str) -> str:
        """Return ``command`` with this run's ports and paths."""
        command = command.replace("127.0.0.1:8000", f"127.0.0.1:{self._server_port}")
        command = command.replace("127.0.0.1:3000", f"127.0.0.1:{self._port}")
        command = command.replace("127.0.0.1:3001", f"127.0.0.1:{self._port + 1}").replace(":8080", f":{unused_port()}")
        return command.replace("path/to/this/clone", str(REPOSITORY))

    def type(self, command: str, output: list[str]) -> None:
        command = self.own(command)
        if command.startswith("export "):
            self._environ |= dict(word.split("=", 1) for word in command.split()[1:])
            return
        folder = REPOSITORY if command.startswith(("make ", "deploy/")) else self._folder
        if is_server(command):
            self.stop()
            is_adapter, port = command.startswith(("adapter ", "make ")), str(self._server_port)
            with (self._folder / ".log").open("wb") as log:
                self._server = subprocess.Popen(
                    ["bash", "-c", f"exec {command}"],
                    cwd=folder,
                    # The last two are what Uvicorn and Gunicorn read.
                    env=self._environ if is_adapter else {**self._environ, "UVICORN_PORT": port, "PORT": port},
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    process_group=0,
                )
            wait = [sys.executable, "-m", "adapter", "dev", "--wait", "--readiness-timeout", str(SECONDS)]
            if not is_adapter:
                url = f"http://127.0.0.1:{port}/"
                wait = ["curl", "--silent", "--retry", "60", "--retry-delay", "1", "--retry-connrefused", url]
            waited = subprocess.run(wait, env=self._environ, capture_output=True, text=True, check=False)
            assert waited.returncode == 0, f"{command}: {waited.stderr}{self._log()}"
            return
        done = subprocess.run(
            ["bash", "-ec", f"set -o pipefail; {command}"], cwd=folder, env=self._environ, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=SECONDS, check=False,
        )  # fmt: skip
        assert done.returncode == 0, f"$ {command}\n{done.stdout}{done.stderr}{self._log()}"
        for line in output:
            assert has_line(done.stdout, line), f"$ {command}\n{done.stdout}{self._log()}"

    def _log(self) -> str:
        file = self._folder / ".log"
        return f"\nthe server:\n{file.read_text(errors='replace')}" if file.exists() else ""

    def stop(self) -> None:
        if self._server is None:
            return
        # make passes no signal on, so its whole group gets it.
        os.killpg(self._server.pid, signal.SIGINT)
        self._server.wait(60)
        self._server = None


@contextmanager
def reader(folder: Path) -> Iterator[Reader]:
    person = Reader(folder)
    try:
        yield person
    finally:
        person.stop()


def test_every_mark_has_one_of_the_reasons_and_is_counted() -> None:
    reasons = [block.reason for page in PAGES for block in blocks_of(page) if block.reason]
    assert set(reasons) <= set(REASONS)
    assert {reason: reasons.count(reason) for reason in REASONS} == MARKS


@pytest.mark.parametrize(
    ("wanted", "is_found"), [("0.02 one", True), ("{…:3}", True), ("…", True), ("0.02 two", False), ("0.3", False)]
)
def test_a_line_of_the_output_is_found_by_its_text(wanted: str, is_found: bool) -> None:
    assert has_line('0.31 one\n{"a":3}\n', wanted) is is_found


def _write_given_files(folder: Path) -> None:
    for name, given in GIVEN.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(given)
        file.chmod(0o755)


@pytest.mark.timeout(1800)
@pytest.mark.parametrize("page", PAGES)
def test_the_console_blocks_of_a_page_run_as_they_are_written(page: str, tmp_path: Path) -> None:
    text = (REPOSITORY / page).read_text()
    for program, packages in PACKAGES.items():
        if re.search(rf"(?:\$|--) {program} ", text) and shutil.which(program) is None:
            (pytest.fail if "CI" in os.environ else pytest.skip)(f"NOT TESTED: apt-get install {packages}")
    # The name of the app in the pages.
    folder = tmp_path / "shop"
    if page.startswith("examples/"):
        shutil.copytree((REPOSITORY / page).parent, folder)
    else:
        _write_given_files(folder)
    with reader(folder) as person:
        for block in blocks_of(page):
            named = NAME.match(block.text)
            if block.language != "console":
                if named is not None:
                    file = folder / named["name"]
                    file.parent.mkdir(parents=True, exist_ok=True)
                    file.write_text(person.own(block.text))
                continue
            for command, output in block.commands():
                person.type(command, output)
    shutil.rmtree(tmp_path, ignore_errors=True)
