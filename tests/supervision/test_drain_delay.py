"""The time between SIGTERM and the drain, in which load balancers take the proxy out of their rotation."""

from __future__ import annotations

import signal
import socket
from time import monotonic

import pytest

from tests.supervision.conftest import CommandFor
from tests.supervision.reporting_app import FIRST_PIECE, LAST_PIECE
from tests.supervision.supervised import PATIENCE, Reports, Supervisor, request, status_of
from tests.unused_port import unused_port


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_requests_are_taken_until_a_second_signal_begins_the_drain(
    reports: Reports, app: CommandFor, as_pid_1: bool, number: signal.Signals
) -> None:
    admin = unused_port()
    options = ("--drain-delay", "600", "--grace", "600", "--admin", f"127.0.0.1:{admin}")
    with Supervisor(*options, command=app("--ends-with", "3"), as_pid_1=as_pid_1) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        port = supervisor.port()
        assert status_of(admin, "/readyz") == 200

        supervisor.signal(number)
        supervisor.wait_for_line(f"{number.name}: requests are still served for 600 s (set by --drain-delay)")

        assert (status_of(admin, "/readyz"), status_of(admin, "/healthz")) == (503, 200)
        assert status_of(port) == 200
        with request(port, "/stream") as response:
            assert response.readline() == FIRST_PIECE
            assert running.line() == "streaming"
            supervisor.signal(number)
            line = supervisor.wait_for_line(
                "no new connections; requests under way: 1; they have 600 s to finish (set by --grace)"
            )
            assert "another Ctrl-C or SIGTERM ends them at once" in line
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), PATIENCE)
            assert status_of(admin, "/readyz") == 503
            # The second signal has cut off nothing.
            running.tell("go")
            assert response.read() == LAST_PIECE
        assert supervisor.exit_code() == 3


def test_the_drain_begins_by_itself_after_the_delay_and_the_grace_after_that(reports: Reports, app: CommandFor) -> None:
    delay, grace = 0.5, 0.4
    options = ("--drain-delay", str(delay), "--grace", str(grace))
    with Supervisor(*options, command=app("--ends-with", "0")) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        with request(supervisor.port(), "/stream") as response:
            assert response.readline() == FIRST_PIECE
            assert running.line() == "streaming"

            begun = monotonic()
            supervisor.signal(signal.SIGTERM)
            supervisor.wait_for_line("no new connections; requests under way: 1")
            assert monotonic() - begun >= delay
            # The app gets its signal when the stream is cut off, at the end of the grace.
            running.wait_until_gone()
            assert monotonic() - begun >= delay + grace
        assert supervisor.exit_code() == 0


def test_an_app_that_ends_by_itself_ends_the_delay(reports: Reports, app: CommandFor) -> None:
    with Supervisor("--drain-delay", "600", command=app()) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        supervisor.signal(signal.SIGTERM)
        supervisor.wait_for_line("(set by --drain-delay)")

        running.tell("exit 5")

        assert supervisor.exit_code() == 5


def test_an_app_that_ends_during_the_delay_is_started_again(reports: Reports, app: CommandFor) -> None:
    options = ("--drain-delay", "600", "--restart", "always")
    with Supervisor(*options, command=app("--ends-with", "0")) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        supervisor.signal(signal.SIGTERM)
        supervisor.wait_for_line("(set by --drain-delay)")

        running.tell("exit 5")
        reports.app()
        supervisor.wait_until_ready(2)

        assert status_of(supervisor.port()) == 200
        supervisor.signal(signal.SIGTERM)
        assert supervisor.exit_code() == 0


def test_without_an_app_that_is_ready_a_second_signal_ends_everything(reports: Reports, app: CommandFor) -> None:
    command = app("--waits", "--ends-with", "4")
    with Supervisor(command=command, begin="export ADAPTER_DRAIN_DELAY=600;") as supervisor:
        reports.app()
        supervisor.wait_for_line("proxy on")

        supervisor.signal(signal.SIGTERM)
        supervisor.wait_for_line("(set by --drain-delay)")
        assert status_of(supervisor.port()) == 503
        supervisor.signal(signal.SIGTERM)

        assert supervisor.exit_code() == 4
