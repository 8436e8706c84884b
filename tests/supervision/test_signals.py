"""Signals that mean something to the app alone: passed on once, to all of its process group."""

from __future__ import annotations

import signal

import pytest

from tests.supervision.conftest import CommandFor
from tests.supervision.supervised import Reports, Supervisor, status_of

PASSED_ON = [signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH]


def test_a_signal_reaches_every_process_of_the_app_once(reports: Reports, app: CommandFor, as_pid_1: bool) -> None:
    with Supervisor(command=app("--deaf", "--children", "2"), as_pid_1=as_pid_1) as supervisor:
        group = [reports.next() for _ in range(3)]
        supervisor.wait_until_ready()
        for number in PASSED_ON:
            supervisor.signal(number)
            # The next line is the next signal's: so there was one of this.
            assert [process.line() for process in group] == [number.name] * 3
        assert status_of(supervisor.port()) == 200


@pytest.mark.parametrize("number", [each for each in PASSED_ON if each != signal.SIGWINCH])
def test_an_app_that_dies_of_it_gives_128_and_its_number(
    reports: Reports, app: CommandFor, number: signal.Signals
) -> None:
    with Supervisor(command=app()) as supervisor:
        reports.app()
        supervisor.wait_until_ready()

        supervisor.signal(number)

        assert supervisor.exit_code() == 128 + number


def test_without_cmd_such_a_signal_has_no_effect(reports: Reports) -> None:
    with Supervisor("--app-socket", reports.path + "-app", command=[]) as supervisor:
        port = supervisor.port()
        for number in PASSED_ON:
            supervisor.signal(number)

        assert status_of(port) == 503
