"""The two example apps as real processes, for every test that needs an app to talk to.

A server started on port 0 says in its log which port it got, and it listens by then. So there is no race for a port
that was free a moment ago, and nothing to poll: a first request waits in the server's queue until the app is loaded.
"""

from __future__ import annotations

import http.client
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import IO, Literal

Framework = Literal["flask", "fastapi"]
FRAMEWORKS: tuple[Framework, ...] = ("flask", "fastapi")

START_SECONDS = 30.0
STOP_SECONDS = 5.0

# gunicorn: "Listening at: http://127.0.0.1:43497 (6372)"; uvicorn: "Uvicorn running on http://127.0.0.1:33165 (Press…".
LISTENING = re.compile(rb"http://127\.0\.0\.1:(\d+)")

COMMANDS: dict[Framework, list[str]] = {
    # By default every gunicorn of a user puts its control socket at the same path, and takes it from the one before.
    "flask": ["gunicorn", "main:app", "--bind", "127.0.0.1:{port}", "--threads", "8", "--no-control-socket"],
    "fastapi": ["uvicorn", "main:app", "--port", "{port}"],
}


def app_dir(framework: Framework) -> Path:
    """The folder of the example; its command runs there."""
    return Path(__file__).resolve().parent.parent / "examples" / f"{framework}_app"


def app_command(framework: Framework) -> list[str]:
    """The example's command line, with ``{port}`` where the port goes, run by the interpreter that runs the tests."""
    return [sys.executable, "-m", *COMMANDS[framework]]


@contextmanager
def running_app(framework: Framework) -> Iterator[int]:
    """Run the example on an ephemeral loopback port; the value is the port, which has answered once."""
    with app_process(framework) as (_process, port):
        yield port


@contextmanager
def app_process(framework: Framework) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """As ``running_app``, for tests of how the app ends: the value is the process and the port.

    The process leads a group of its own, and is gone with its workers when the context ends.
    """
    command = [argument.replace("{port}", "0") for argument in app_command(framework)]
    with subprocess.Popen(
        command,
        cwd=app_dir(framework),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        log = _Log(process.stdout)
        try:
            yield process, _ready_port(log)
        finally:
            _stop(process)
            log.reader.join(STOP_SECONDS)


class _Log:
    """What the app writes, read to the end so that it never blocks on a full pipe.

    ``port`` gets the port once a line names it, or None if the log ends before that.
    """

    def __init__(self, stream: IO[bytes]) -> None:
        self.lines: list[bytes] = []
        self.port: SimpleQueue[int | None] = SimpleQueue()
        self.reader = threading.Thread(target=self._read, args=(stream,), daemon=True)
        self.reader.start()

    def _read(self, stream: IO[bytes]) -> None:
        for line in stream:
            self.lines.append(line)
            if found := LISTENING.search(line):
                self.port.put(int(found[1]))
        self.port.put(None)


def _ready_port(log: _Log) -> int:
    """The port, after one answer from it: gunicorn listens before it knows whether its workers can load the app.

    Raises AssertionError, with the log so far, if the app does not get that far in time.
    """
    try:
        port = log.port.get(timeout=START_SECONDS)
        if port is not None:
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=START_SECONDS)) as connection:
                connection.request("HEAD", "/")
                connection.getresponse()
            return port
    except (Empty, OSError, http.client.HTTPException) as error:
        problem = repr(error)
    else:
        problem = "it ended"
    raise AssertionError(f"the app did not start: {problem}\n{b''.join(log.lines).decode(errors='replace')}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ask the server to stop, and after a while end its whole group."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
