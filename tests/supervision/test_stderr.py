"""What is written to stderr is worth no request: a reader that is gone, or that does not read, holds nothing up."""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from signal import SIGTERM
from time import monotonic

import pytest

from tests.supervision.conftest import CommandFor
from tests.supervision.supervised import PATIENCE, Reports, Supervisor, status_of
from tests.unused_port import unused_port

# More than a pipe holds, in bytes.
MUCH = 1024 * 1024


class Stderr:
    """A pipe for the proxy to write to. The test reads as much as it wants."""

    def __init__(self) -> None:
        self._read_end, self.write_end = os.pipe()

    def read_until(self, part: bytes, count: int = 1) -> bytes:
        """Read until ``part`` has occurred ``count`` times."""
        seen = bytearray()
        while seen.count(part) < count:
            readable, _, _ = select.select([self._read_end], [], [], PATIENCE)
            piece = os.read(self._read_end, 65536) if readable else b""
            assert piece, f"{part!r} is not in {bytes(seen[-1000:])!r}"
            seen += piece
        return bytes(seen)

    def is_full(self) -> bool:
        poller = select.poll()
        poller.register(self.write_end, select.POLLOUT)
        return not poller.poll(0)

    def hang_up(self) -> None:
        os.close(self._read_end)
        self._read_end = -1

    def close(self) -> None:
        for descriptor in (self._read_end, self.write_end):
            if descriptor >= 0:
                os.close(descriptor)


@pytest.fixture
def stderr() -> Iterator[Stderr]:
    made = Stderr()
    yield made
    made.close()


def test_a_reader_that_is_gone_changes_nothing(reports: Reports, app: CommandFor, stderr: Stderr) -> None:
    with Supervisor(command=app("--ends-with", "3"), stderr=stderr.write_end) as supervisor:
        running = reports.app()
        port = port_in(stderr.read_until(b"the app is ready\n"))
        stderr.hang_up()

        running.tell(f"write {MUCH}")

        assert running.line() == "written"
        assert [status_of(port) for _ in range(3)] == [200] * 3
        supervisor.signal(SIGTERM)
        assert supervisor.exit_code() == 3


def test_a_reader_that_does_not_read_holds_up_the_app_at_most(
    reports: Reports, app: CommandFor, stderr: Stderr
) -> None:
    with Supervisor(command=app("--ends-with", "3"), stderr=stderr.write_end) as supervisor:
        running = reports.app()
        port = port_in(stderr.read_until(b"the app is ready\n"))

        running.tell(f"write {MUCH}")

        give_up = monotonic() + PATIENCE
        while not stderr.is_full():
            assert monotonic() < give_up
            assert status_of(port) == 200
        # The lines of these are lost.
        assert [status_of(port) for _ in range(20)] == [200] * 20
        log = stderr.read_until(b"x", MUCH)
        assert running.line() == "written"
        assert status_of(port) == 200
        log += stderr.read_until(b"INFO request ")
        assert b"stderr could not be written to; lines lost: " in log
        supervisor.signal(SIGTERM)
        assert supervisor.exit_code() == 3


def test_a_stderr_that_was_closed_from_the_start_holds_up_nothing(reports: Reports, app: CommandFor) -> None:
    port = unused_port()
    options = ("--listen", f"127.0.0.1:{port}")
    with Supervisor(*options, command=app("--ends-with", "3"), begin="exec 2>&-;") as supervisor:
        running = reports.app()

        running.tell(f"write {MUCH}")

        assert running.line() == "written"
        assert status_of(port) in (200, 503)
        supervisor.signal(SIGTERM)
        assert supervisor.exit_code() == 3


def port_in(log: bytes) -> int:
    return int(log.partition(b"proxy on http://127.0.0.1:")[2].split()[0])
