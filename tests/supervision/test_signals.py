"""What the adapter does with each signal: as an init process should, in the proxy and in the runtime."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from adapter.app.process import ACTIONS, FIRST
from tests.events import function_url
from tests.runtime_process import RuntimeProcess
from tests.scripted_runtime_api import ScriptedRuntimeApi
from tests.supervision.conftest import CommandFor
from tests.supervision.reporting_app import name_of
from tests.supervision.supervised import Reporter, Reports, Supervisor, status_of

# Every signal that has another meaning than "for the app's first process".
EXPECTED = {
    "end": {"SIGTERM", "SIGINT"},
    "group": {"SIGQUIT", "SIGCONT"},
    "stop": {"SIGTSTP"},
    "ignore": {"SIGTTIN", "SIGTTOU"},
    "own": {
        *("SIGCHLD", "SIGPIPE", "SIGURG", "SIGXCPU", "SIGXFSZ", "SIGKILL", "SIGSTOP"),
        *("SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGSEGV", "SIGSYS", "SIGTRAP"),
    },
}
ALL = sorted(signal.valid_signals())
PASSED_ON = [number for number in ALL if ACTIONS.get(number, FIRST) in ("first", "group", "ignore")]


def expected(number: int) -> str:
    return next((action for action, names in EXPECTED.items() if name_of(number) in names), "first")


@pytest.mark.parametrize("number", ALL, ids=name_of)
def test_the_table_has_a_decision_for_each_signal(number: int) -> None:
    assert ACTIONS.get(number, FIRST) == expected(number)


def check_dispositions(pid: int) -> None:
    """Check that the process handles what it must, ignores what it must, and leaves the rest to the system."""
    masks = {
        name: int(value, 16)
        for name, _, value in (line.partition(":") for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        if name in ("SigBlk", "SigIgn", "SigCgt")
    }
    # Python ignores the first two.
    ignored = {signal.SIGPIPE, signal.SIGXFSZ, *(n for n in ALL if expected(n) == "ignore")}
    handled = {signal.SIGCHLD, *(n for n in ALL if expected(n) not in ("ignore", "own"))}
    assert masks["SigBlk"] == 0
    assert {number for number in ALL if masks["SigIgn"] >> (number - 1) & 1} == ignored
    assert {number for number in ALL if masks["SigCgt"] >> (number - 1) & 1} == handled


def check_deliveries(send: Callable[[int], None], app: Reporter, children: list[Reporter]) -> None:
    """Send every signal that does not end or stop the adapter. The next line is always that of the next signal."""
    for number in PASSED_ON:
        send(number)
        if expected(number) == "first":
            assert app.line() == name_of(number)
        elif expected(number) == "group":
            assert [process.line() for process in (app, *children)] == [name_of(number)] * 3


def by_role(reports: Reports, count: int) -> list[Reporter]:
    """Return ``count`` reporters: the app first, then its children."""
    return sorted((reports.next() for _ in range(count)), key=lambda reporter: reporter.role)


def test_each_signal_reaches_the_processes_that_it_is_for_once(
    reports: Reports, app: CommandFor, as_pid_1: bool
) -> None:
    with Supervisor(command=app("--deaf", "--children", "2"), as_pid_1=as_pid_1) as supervisor:
        running, *children = by_role(reports, 3)
        supervisor.wait_until_ready()
        check_dispositions(supervisor.pid)
        check_deliveries(lambda number: os.kill(supervisor.pid, number), running, children)
        assert status_of(supervisor.port()) == 200


def test_on_lambda_as_well(reports: Reports, app: CommandFor) -> None:
    with ScriptedRuntimeApi() as api, RuntimeProcess(api, *app("--deaf", "--children", "2")) as runtime:
        running, *children = by_role(reports, 3)
        api.wait_until_waiting()
        check_dispositions(runtime.process.pid)
        check_deliveries(runtime.process.send_signal, running, children)
        assert api.invoke(function_url()).answer().json()["statusCode"] == 200


def test_a_shell_around_the_app_does_not_keep_a_signal_from_it(reports: Reports, app: CommandFor) -> None:
    # Each shell stays, since a command follows.
    command = ["sh", "-c", """sh -c '"$@"; exit $?' sh "$@"; exit $?""", "sh", *app("--deaf", "--children", "2")]
    with Supervisor(command=command) as supervisor:
        running, *children = by_role(reports, 3)
        supervisor.wait_until_ready()
        supervisor.signal(signal.SIGHUP)
        assert running.line() == "SIGHUP"
        supervisor.signal(signal.SIGCONT)
        assert [process.line() for process in (running, *children)] == ["SIGCONT"] * 3
        assert "exec" not in supervisor.log()


def test_of_a_shell_with_several_children_all_get_the_signal_with_one_warning(
    reports: Reports, app: CommandFor
) -> None:
    # The shell ignores them, or it would end; the app does not, since it has handlers.
    script = """trap "" USR1 USR2; sleep 600 & "$@"; exit $?"""
    with Supervisor(command=["sh", "-c", script, "sh", *app("--deaf", "--children", "1")]) as supervisor:
        running, child = by_role(reports, 2)
        supervisor.wait_until_ready()
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            supervisor.signal(number)
            assert [running.line(), child.line()] == [number.name] * 2
        warnings = [line for line in supervisor.log().splitlines() if "exec" in line]
        assert len(warnings) == 1
        assert "SIGUSR1 was sent to all processes of the app, since CMD is a shell with several children" in warnings[0]


def test_a_shell_with_a_trap_gets_the_signal_itself(reports: Reports, app: CommandFor) -> None:
    script = """trap 'echo "the trap" >&2' HUP; "$@" & wait; wait; exit $?"""
    with Supervisor(command=["sh", "-c", script, "sh", *app("--deaf")]) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        supervisor.signal(signal.SIGHUP)
        supervisor.wait_for_line("the trap")
        supervisor.signal(signal.SIGCONT)
        assert running.line() == "SIGCONT"


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGALRM])
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
            os.kill(supervisor.pid, number)

        assert status_of(port) == 503
