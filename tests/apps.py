"""Runs the two example apps as real processes, for all tests that need an app.

A server that is started on port 0 writes its port to its log when it listens. So no other process can take the port
before, and the tests need not poll: the first request waits in the server's queue until the app is loaded.
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
    # By default, all gunicorn processes of a user use the same path for their control socket.
    "flask": ["gunicorn", "main:app", "--bind", "127.0.0.1:{port}", "--threads", "8", "--no-control-socket"],
    "fastapi": ["uvicorn", "main:app", "--port", "{port}"],
}


def app_dir(framework: Framework) -> Path:
    """Return the folder of the example, in which its command must run."""
    return Path(__file__).resolve().parent.parent / "examples" / f"{framework}_app"


def app_command(framework: Framework) -> list[str]:
    """Return the example's command with ``{port}`` in place of the port. It uses the interpreter of the tests."""
    return [sys.executable, "-m", *COMMANDS[framework]]


@contextmanager
def running_app(framework: Framework) -> Iterator[int]:
    """Run the example on an ephemeral loopback port. Yield the port when it has answered once."""
    with app_process(framework) as (_process, port):
        yield port


@contextmanager
def app_process(framework: Framework) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
    """Run the example like ``running_app``, but yield the process and the port, for tests of the app's end.

    The process leads its own group. At the end of the context, it is ended with its workers.
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
    """Reads the app's output to its end, so that the app never blocks on a full pipe.

    ``port`` receives the port as soon as a line contains it, or None if the log ends before that.
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
    """Return the port after one answer: gunicorn listens even if its workers cannot load the app.

    Raises AssertionError with the log if the app does not answer in time.
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
    """Stop the server with a signal. After a timeout, kill its whole group."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
