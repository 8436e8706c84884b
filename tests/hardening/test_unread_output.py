"""``adapter dev`` whose output is not read, or has nowhere to go: requests are served, and signals end it."""

from __future__ import annotations

import http.client
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGTERM
from typing import Any

import pytest

from adapter.errors import EXIT_READER_GONE, EXIT_USAGE
from tests.hardening.chatty_app import LINES
from tests.unused_port import unused_port

PATIENCE = 20.0
# More requests than a full pipe of 64 KB has room for the lines of.
REQUESTS = 12
ADAPTER = [sys.executable, "-I", "-m", "adapter"]
LOSSES = re.compile(rb"adapter dev: (stdout|stderr) could not be written to; lines lost: (\d+)\n")


class Dev:
    """``adapter dev`` on ``port`` with the chatty app; ``streams`` are those of Popen."""

    def __init__(self, redirections: str = "", *flags: str, **streams: Any) -> None:
        self.port = unused_port()
        app = [sys.executable, "-I", str(Path(__file__).with_name("chatty_app.py")), "{port}"]
        listening = ["--port", str(self.port), "--invoke-port", "0", "--readiness-path", "/ready"]
        shell = ["sh", "-c", f'exec "$@" {redirections}', "sh"] if redirections else []
        self.process = subprocess.Popen(
            [*shell, *ADAPTER, "dev", *listening, *flags, "--", *app], env={"PATH": os.environ["PATH"]}, **streams
        )

    def request(self, count: int) -> list[int]:
        """Send ``count`` requests on one connection, which stays open."""
        client = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        give_up = time.monotonic() + PATIENCE
        while True:
            try:
                client.connect()
                break
            except ConnectionRefusedError:
                assert self.process.poll() is None, self.process.returncode
                assert time.monotonic() < give_up
                time.sleep(0.02)
        socket = client.sock
        statuses = []
        for _ in range(count):
            client.request("GET", "/")
            response = client.getresponse()
            response.read()
            statuses.append(response.status)
            assert client.sock is socket, "the connection was closed"
        client.close()
        return statuses

    def end(self) -> int:
        self.process.send_signal(SIGTERM)
        return self.process.wait(PATIENCE)


@contextmanager
def dev(redirections: str = "", *flags: str, **streams: Any) -> Iterator[Dev]:
    running = Dev(redirections, *flags, **streams)
    try:
        yield running
    finally:
        running.process.kill()
        running.process.wait(PATIENCE)


def read_until(descriptor: int, is_enough: Callable[[bytes], bool]) -> bytes:
    seen = b""
    while not is_enough(seen):
        assert select.select([descriptor], [], [], PATIENCE)[0], seen[-300:]
        seen += os.read(descriptor, 1_000_000)
    return seen


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        try:
            os.close(end)
        except OSError:
            continue


@pytest.mark.parametrize("format", ["text", "json"])
def test_output_that_is_not_read_stops_neither_requests_nor_signals(pipe: tuple[int, int], format: str) -> None:
    with dev("", "--log-format", format, stdout=pipe[1], stderr=pipe[1]) as running:
        assert running.request(REQUESTS) == [200] * REQUESTS
        assert running.end() == 128 + SIGTERM


def test_lost_lines_are_counted_and_reported_when_the_reader_is_back(pipe: tuple[int, int]) -> None:
    with dev(stdout=pipe[1], stderr=pipe[1]) as running:
        running.request(REQUESTS)
        seen = read_until(pipe[0], lambda seen: b"x" in seen)
        running.request(1)
        assert running.end() == 128 + SIGTERM
        os.close(pipe[1])
        while piece := os.read(pipe[0], 1_000_000):
            seen += piece
    losses = LOSSES.findall(seen)
    assert {name for name, _ in losses} == {b"stdout", b"stderr"}
    written = len(re.findall(rb"^(?:x{127}|GET / 200 .*)$", seen, re.MULTILINE))
    assert written + sum(int(count) for _, count in losses) == (REQUESTS + 1) * (2 * LINES + 1)


@pytest.mark.parametrize("redirections", ["2>&-", "<&- >&- 2>&-", "2>/dev/full", ">/dev/full 2>&1"])
def test_a_stream_that_cannot_be_written_to_from_the_start_stops_nothing(redirections: str) -> None:
    with dev(redirections, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as running:
        assert running.request(3) == [200] * 3
        assert running.end() == 128 + SIGTERM


def test_a_pipe_that_is_full_from_the_start_stops_nothing(pipe: tuple[int, int]) -> None:
    fill(pipe[1])
    with dev(stdout=pipe[1], stderr=pipe[1]) as running:
        assert running.request(3) == [200] * 3
        assert running.end() == 128 + SIGTERM


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
def test_a_reader_that_goes_away_closes_no_connection(stream: str, pipe: tuple[int, int]) -> None:
    streams: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, stream: pipe[1]}
    with dev(**streams) as running:
        assert running.request(1) == [200]
        os.close(pipe[0])
        assert running.request(3) == [200] * 3
        assert running.end() == 128 + SIGTERM


@pytest.mark.parametrize("is_stopped", [pytest.param(True, id="ctrl-s"), pytest.param(False, id="unread")])
def test_a_terminal_that_takes_nothing_stops_neither_requests_nor_signals(is_stopped: bool) -> None:
    ours, theirs = pty.openpty()
    try:
        if is_stopped:
            termios.tcflow(theirs, termios.TCOOFF)
        with dev(stdout=theirs, stderr=theirs, stdin=theirs) as running:
            assert running.request(REQUESTS) == [200] * REQUESTS
            assert running.end() == 128 + SIGTERM
            if is_stopped:
                termios.tcflow(theirs, termios.TCOON)
        assert os.get_blocking(theirs), "the shell's terminal is as it was"
    finally:
        os.close(ours)
        os.close(theirs)


def fill(descriptor: int) -> None:
    poller = select.poll()
    poller.register(descriptor, select.POLLOUT)
    while poller.poll(0):
        os.write(descriptor, b"y" * select.PIPE_BUF)


COMMANDS = [
    pytest.param(["--help"], id="help"),
    pytest.param(["event", "sqs"], id="event"),
    pytest.param(["event"], id="kinds"),
    pytest.param(["check", "--listen", "127.0.0.1:0", "--", "true"], id="check"),
]


def run(command: list[str], redirections: str) -> tuple[int, bytes]:
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", *ADAPTER, *command],
        env={"PATH": os.environ["PATH"]},
        capture_output=True,
        timeout=PATIENCE,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_whose_reader_is_gone_ends_silently_as_any_filter(command: list[str]) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    done = subprocess.run(
        [*ADAPTER, *command],
        env={"PATH": os.environ["PATH"]},
        stdout=write_end,
        stderr=subprocess.PIPE,
        timeout=PATIENCE,
        check=False,
    )
    os.close(write_end)
    assert (done.returncode, done.stderr) == (EXIT_READER_GONE, b"")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_says_that_its_output_is_lost(command: list[str]) -> None:
    assert run(command, ">/dev/full") == (1, b"adapter: stdout cannot be written to: No space left on device\n")


@pytest.mark.parametrize("redirections", ["2>&-", "2>/dev/full"])
@pytest.mark.parametrize("command", [["run", "--listen", "nowhere"], ["dev"], ["event", "nothing"]])
def test_a_mistake_has_its_exit_code_even_if_it_cannot_be_shown(command: list[str], redirections: str) -> None:
    assert run(command, redirections) == (EXIT_USAGE, b"")


def test_a_mistake_is_not_waited_for_if_stderr_is_full(pipe: tuple[int, int]) -> None:
    fill(pipe[1])
    for command in (["dev"], ["run", "--listen", "nowhere"], ["health"]):
        done = subprocess.run(
            [*ADAPTER, *command], env={"PATH": os.environ["PATH"]}, stderr=pipe[1], timeout=PATIENCE, check=False
        )
        assert done.returncode in (1, 2)
