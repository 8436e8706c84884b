"""gunicorn reloads under load: its signals reach the master alone, so its workers finish what they have begun."""

from __future__ import annotations

import http.client
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.apps import app_dir
from tests.supervision.supervised import PATIENCE, Supervisor

WORKERS, RELOADS, CLIENTS = 2, 3, 4
GUNICORN = [sys.executable, "-m", "gunicorn", "main:app", "--bind", "127.0.0.1:{port}", "--no-control-socket"]
GUNICORN += ["--workers", str(WORKERS)]


class Load:
    """Clients that send requests of 50 ms one after another. ``answers`` has each status, or the error."""

    def __init__(self, port: int) -> None:
        self.answers: list[object] = []
        self._port = port
        self._is_over = threading.Event()
        self._threads = [threading.Thread(target=self._run, daemon=True) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def _run(self) -> None:
        while not self._is_over.is_set():
            connection = http.client.HTTPConnection("127.0.0.1", self._port, timeout=PATIENCE)
            try:
                connection.request("GET", "/stream?chunks=2&interval=0.05")
                response = connection.getresponse()
                body = response.read()
                self.answers.append(response.status if body else "cut off")
            except (OSError, http.client.HTTPException) as error:
                self.answers.append(repr(error))
            finally:
                connection.close()

    def end(self) -> None:
        self._is_over.set()
        for thread in self._threads:
            thread.join(PATIENCE)


@contextmanager
def load(port: int) -> Iterator[Load]:
    running = Load(port)
    try:
        yield running
    finally:
        running.end()


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(GUNICORN, id="gunicorn"),
        pytest.param([*GUNICORN, "--threads", "4"], id="threads"),
        pytest.param(["sh", "-c", '"$@"; exit $?', "sh", *GUNICORN], id="within a shell"),
    ],
)
def test_no_request_fails_while_gunicorn_reloads(command: list[str]) -> None:
    with Supervisor("--app-dir", str(app_dir("flask")), command=command) as supervisor:
        supervisor.wait_until_ready()
        with load(supervisor.port()) as running:
            for count in range(1, RELOADS + 1):
                supervisor.signal(signal.SIGHUP)
                supervisor.wait_for_line("Hang up", count)
                supervisor.wait_for_line("Booting worker", WORKERS * (count + 1))
                supervisor.wait_for_line("Worker exiting", WORKERS * count)
    assert len(running.answers) > CLIENTS * RELOADS
    assert [answer for answer in running.answers if answer != 200] == []
