"""How the proxy ends: by signals, or because its app has ended; as PID 1 and as another process."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from time import monotonic

import pytest

from tests.runtime_process import RuntimeProcess, app_command
from tests.scripted_runtime_api import ScriptedRuntimeApi
from tests.supervision.conftest import CommandFor
from tests.supervision.reporting_app import FAREWELL, FIRST_PIECE, LAST_PIECE
from tests.supervision.supervised import (
    PATIENCE,
    Reports,
    Supervisor,
    children_of,
    request,
    shell,
    status_of,
)
from tests.unused_port import unused_port

ENDING = [signal.SIGTERM, signal.SIGINT]
#: Of an app that dies of a signal, as a shell has it.
KILLED = 128 + signal.SIGKILL
# The time that `docker stop` leaves between SIGTERM and SIGKILL, in seconds.
DOCKER_STOP = 10.0


@pytest.mark.parametrize("number", ENDING)
def test_a_stream_under_way_finishes_while_nothing_new_is_accepted(
    reports: Reports, app: CommandFor, as_pid_1: bool, number: signal.Signals
) -> None:
    with Supervisor(command=app("--ends-with", "3"), as_pid_1=as_pid_1) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        port = supervisor.port()
        with request(port, "/stream") as response:
            assert response.readline() == FIRST_PIECE
            assert running.line() == "streaming"

            supervisor.signal(number)
            supervisor.wait_for_line("no new connections; requests under way: 1")
            with pytest.raises(ConnectionRefusedError):
                socket.create_connection(("127.0.0.1", port), PATIENCE)
            running.tell("go")

            assert response.read() == LAST_PIECE
        running.wait_until_gone()
        assert supervisor.exit_code() == 3


def test_a_proxy_that_drains_is_alive_and_not_ready(reports: Reports, app: CommandFor) -> None:
    admin = unused_port()
    with Supervisor("--admin", f"127.0.0.1:{admin}", command=app("--ends-with", "0")) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        assert (status_of(admin, "/healthz"), status_of(admin, "/readyz")) == (200, 200)
        with request(supervisor.port(), "/stream") as response:
            assert response.readline() == FIRST_PIECE

            supervisor.signal(signal.SIGTERM)
            supervisor.wait_for_line("no new connections")

            assert (status_of(admin, "/healthz"), status_of(admin, "/readyz")) == (200, 503)
            running.tell("go")
            assert response.read() == LAST_PIECE
        assert supervisor.exit_code() == 0


@pytest.mark.parametrize(
    ("number", "options", "code"),
    [
        pytest.param(signal.SIGTERM, ("--ends-with", "0"), 0, id="SIGTERM, 0"),
        pytest.param(signal.SIGTERM, ("--ends-with", "3"), 3, id="SIGTERM, 3"),
        pytest.param(signal.SIGINT, ("--ends-with", "3"), 3, id="SIGINT, 3"),
        pytest.param(signal.SIGINT, ("--ends-with", "0"), 128 + signal.SIGINT, id="SIGINT, 0"),
        pytest.param(signal.SIGTERM, (), 128 + signal.SIGTERM, id="dies of SIGTERM"),
        pytest.param(signal.SIGINT, (), 128 + signal.SIGINT, id="dies of SIGINT"),
    ],
)
def test_an_idle_proxy_ends_at_once_with_the_exit_code_of_its_app(
    reports: Reports, app: CommandFor, as_pid_1: bool, number: signal.Signals, options: tuple[str, ...], code: int
) -> None:
    # A grace that the test does not outlast: nothing here may wait for it.
    with Supervisor("--grace", "600", command=app(*options), as_pid_1=as_pid_1) as supervisor:
        reports.app()
        supervisor.wait_until_ready()

        supervisor.signal(number)

        assert supervisor.exit_code() == code


def test_a_kept_connection_does_not_hold_up_the_end(reports: Reports, app: CommandFor) -> None:
    with Supervisor("--grace", "600", command=app("--ends-with", "0")) as supervisor:
        reports.app()
        supervisor.wait_until_ready()
        with request(supervisor.port(), "/") as response:
            response.read()

            supervisor.signal(signal.SIGTERM)

            assert supervisor.exit_code() == 0


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_during_init_ends_the_app(
    reports: Reports, app: CommandFor, as_pid_1: bool, number: signal.Signals
) -> None:
    with Supervisor("--grace", "600", command=app("--waits", "--ends-with", "3"), as_pid_1=as_pid_1) as supervisor:
        running = reports.app()
        supervisor.port()

        supervisor.signal(number)

        running.wait_until_gone()
        assert supervisor.exit_code() == 3


@pytest.mark.parametrize("number", ENDING)
def test_a_signal_before_anything_is_set_up_is_not_lost(as_pid_1: bool, number: signal.Signals) -> None:
    # The shell is there long before the proxy is.
    command = shell(f"kill -{int(number)} $PPID && exec sleep 600")
    with Supervisor("--grace", "600", command=command, as_pid_1=as_pid_1) as supervisor:
        assert supervisor.exit_code() == 128 + number
        assert f"{number.name}: accepting no new connections" in supervisor.log()


def test_a_signal_before_the_runtime_is_set_up_is_not_lost_either() -> None:
    command = ["sh", "-c", 'kill -TERM $PPID && exec "$@"', "sh", *app_command()]
    with ScriptedRuntimeApi() as api, RuntimeProcess(api, *command) as process:
        # The app's own, or of the shell.
        assert process.exit_code() in (7, 128 + signal.SIGTERM)


def test_an_app_deaf_to_signals_is_killed_at_the_end_of_the_grace(
    reports: Reports, app: CommandFor, as_pid_1: bool
) -> None:
    with Supervisor("--grace", "0.1", command=app("--deaf"), as_pid_1=as_pid_1) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()

        supervisor.signal(signal.SIGTERM)

        assert running.line() == "SIGTERM"
        assert supervisor.exit_code() == KILLED
        assert "the app did not end within 1.6 s and is killed" in supervisor.log()
        # It could have been stopped. Then it is killed.
        assert [running.line(), running.line()] == ["SIGCONT", ""]


def test_a_stream_that_outlasts_the_grace_is_cut_off(reports: Reports, app: CommandFor) -> None:
    with Supervisor("--grace", "0.1", command=app("--ends-with", "0")) as supervisor:
        reports.app()
        supervisor.wait_until_ready()
        with request(supervisor.port(), "/stream") as response:
            assert response.readline() == FIRST_PIECE

            supervisor.signal(signal.SIGTERM)

            with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
                response.read()
        assert supervisor.exit_code() == 0


@pytest.mark.parametrize("second", ENDING)
def test_a_second_signal_does_not_wait_for_streams(reports: Reports, app: CommandFor, second: signal.Signals) -> None:
    with Supervisor("--grace", "600", command=app("--ends-with", "3")) as supervisor:
        reports.app()
        supervisor.wait_until_ready()
        with request(supervisor.port(), "/stream") as response:
            assert response.readline() == FIRST_PIECE
            supervisor.signal(signal.SIGTERM)
            supervisor.wait_for_line("no new connections")

            supervisor.signal(second)

            with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
                response.read()
        assert supervisor.exit_code() == 3
        # It was not the client that left.
        assert "path=/stream status=200" in supervisor.log()
        assert 'error="cut off because the proxy ends"' in supervisor.log()


def test_without_an_app_of_its_own_ctrl_c_is_what_it_is_to_a_shell() -> None:
    with Supervisor(command=[]) as supervisor:
        supervisor.port()
        supervisor.signal(signal.SIGINT)
        assert supervisor.exit_code() == 128 + signal.SIGINT


def test_a_second_signal_does_not_wait_for_the_app(reports: Reports, app: CommandFor) -> None:
    with Supervisor("--grace", "600", command=app("--deaf")) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        supervisor.signal(signal.SIGTERM)
        assert running.line() == "SIGTERM"

        supervisor.signal(signal.SIGTERM)

        assert supervisor.exit_code() == KILLED


@pytest.mark.parametrize(
    ("options", "code"),
    [pytest.param(("--ends-with", "3"), 3, id="in order"), pytest.param(("--deaf",), KILLED, id="by force")],
)
def test_a_stopped_app_is_ended(reports: Reports, app: CommandFor, options: tuple[str, ...], code: int) -> None:
    with Supervisor("--grace", "0.1", command=app(*options)) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        os.kill(running.pid, signal.SIGSTOP)

        supervisor.signal(signal.SIGTERM)

        assert supervisor.exit_code() == code


@pytest.mark.parametrize("code", [0, 3])
def test_the_proxy_ends_when_its_app_does_and_its_clients_can_tell(
    reports: Reports, app: CommandFor, as_pid_1: bool, code: int
) -> None:
    with Supervisor("--grace", "600", command=app(), as_pid_1=as_pid_1) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        with request(supervisor.port(), "/stream") as response:
            assert response.readline() == FIRST_PIECE

            running.tell(f"exit {code}")

            with pytest.raises((http.client.IncompleteRead, ConnectionResetError)):
                response.read()
        assert supervisor.exit_code() == code


def test_what_the_app_sent_before_it_ended_still_reaches_a_slow_client(reports: Reports, app: CommandFor) -> None:
    with Supervisor("--grace", "600", command=app()) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        with request(supervisor.port(), "/final_grace", receive_buffer=1024) as response:
            running.wait_until_gone()
            supervisor.wait_for_line("the app has ended")

            assert response.read() == FAREWELL
        assert supervisor.exit_code() == 0


def test_an_app_killed_by_a_signal_gives_128_and_its_number(reports: Reports, app: CommandFor) -> None:
    with Supervisor(command=app()) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()

        os.kill(running.pid, signal.SIGKILL)

        assert supervisor.exit_code() == KILLED


@pytest.mark.usefixtures("pid_namespace")
def test_docker_stop_ends_the_worst_of_apps_within_its_ten_seconds(reports: Reports, app: CommandFor) -> None:
    with Supervisor(command=app("--deaf", "--children", "2", "--orphans", "2"), as_pid_1=True) as supervisor:
        processes = [reports.next() for _ in range(5)]
        supervisor.wait_until_ready()
        with request(supervisor.port(), "/stream") as response:
            assert response.readline() == FIRST_PIECE
            told = monotonic()

            supervisor.signal(signal.SIGTERM)

            assert supervisor.exit_code() == KILLED
            assert monotonic() - told < DOCKER_STOP
        for process in processes:
            process.wait_until_gone()


def test_without_cmd_the_app_may_come_later_and_outlives_the_proxy(reports: Reports, app: CommandFor) -> None:
    path = reports.path + "-app"
    with Supervisor("--app-socket", path, command=[]) as supervisor:
        port = supervisor.port()
        with request(port, "/") as response:
            response.read()
            assert (response.status, response.headers["retry-after"]) == (503, "1")

        with Supervisor(command=app(where=path)) as elsewhere:
            running = reports.app()
            supervisor.wait_until_ready()
            assert status_of(port) == 200

            supervisor.signal(signal.SIGTERM)

            assert supervisor.exit_code() == 0
            assert children_of(elsewhere.pid) == [running.pid]
