"""``adapter run`` as a job of an interactive shell: who has the terminal, Ctrl-C, Ctrl-Z, ``fg``, ``bg`` and ``&``."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.events import function_url
from tests.logging_process import LoggingProcess
from tests.scripted_runtime_api import ScriptedRuntimeApi
from tests.supervision.conftest import CommandFor
from tests.supervision.supervised import Reporter, Reports, Supervisor, status_of
from tests.supervision.terminal import CTRL_C, CTRL_Z, Terminal, wait_until_stopped


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    with Terminal() as opened:
        yield opened


def group_of(terminal: Terminal) -> list[int]:
    """Return the pids of the shell's job and of the app."""
    terminal.type("jobs -p\n")
    job = int(terminal.wait_for(r"(\d+)\r\n")[1])
    return [job, *map(int, Path(f"/proc/{job}/task/{job}/children").read_text().split())]


def check_reading(terminal: Terminal, word: str) -> None:
    terminal.type(f"{word}\n")
    terminal.wait_for(f"read:{word}")


@pytest.mark.parametrize("options", ["", "--foreground"])
def test_an_app_that_reads_the_terminal_gets_its_lines(terminal: Terminal, options: str) -> None:
    terminal.run(options=options)
    port = terminal.port()
    terminal.wait_for("the app is ready")
    check_reading(terminal, "one")
    check_reading(terminal, "two")
    assert status_of(port) == 200


def test_an_app_may_set_the_terminal(terminal: Terminal) -> None:
    terminal.run("--sets")
    terminal.wait_for("the terminal is set")
    check_reading(terminal, "one")


@pytest.mark.parametrize(("options", "has_it"), [("--foreground", True), ("", False)])
def test_the_app_has_the_terminal_from_its_start_only_on_demand(terminal: Terminal, options: str, has_it: bool) -> None:
    terminal.run("--idle", options=options)
    terminal.wait_for(f"is in the foreground: {has_it}")


@pytest.mark.parametrize("options", ["", "--restart always"])
def test_ctrl_c_ends_the_app_and_then_the_adapter(terminal: Terminal, options: str) -> None:
    terminal.run(options=options)
    terminal.wait_for("the app is ready")
    check_reading(terminal, "one")
    terminal.type(CTRL_C)
    terminal.wait_for("the app ended with exit code 130 \\(SIGINT\\), after Ctrl-C")
    terminal.wait_for("the app has ended: accepting no new connections")
    terminal.type("echo code=$?\n")
    terminal.wait_for("code=130")
    terminal.wait_for_prompt()


def test_ctrl_c_is_the_adapters_if_the_app_does_not_use_the_terminal(terminal: Terminal) -> None:
    terminal.run("--idle")
    terminal.wait_for("the app is ready")
    terminal.type(CTRL_C)
    terminal.wait_for("SIGINT: accepting no new connections")
    terminal.type("echo code=$?\n")
    terminal.wait_for("code=130")


@pytest.mark.parametrize("reads", [True, False], ids=["app has the terminal", "adapter has it"])
def test_ctrl_z_stops_app_and_adapter_and_fg_continues_both(terminal: Terminal, reads: bool) -> None:
    terminal.run(*([] if reads else ["--idle"]))
    port = terminal.port()
    terminal.wait_for("the app is ready")
    for word in ("one", "two"):
        if reads:
            check_reading(terminal, word)
        terminal.type(CTRL_Z)
        terminal.wait_for("Stopped")
        terminal.wait_for_prompt()
        group = group_of(terminal)
        assert len(group) == 2, "the adapter and the app"
        wait_until_stopped(group)
        terminal.type("fg\n")
        terminal.wait_for("adapter run")
        assert status_of(port) == 200
    if reads:
        check_reading(terminal, "three")


def test_in_the_background_the_job_stops_when_the_app_reads(terminal: Terminal) -> None:
    terminal.run()
    terminal.wait_for("the app is ready")
    check_reading(terminal, "one")
    terminal.type(CTRL_Z)
    terminal.wait_for("Stopped")
    # The app still waits for a line, so the kernel stops it again, and with it the job.
    terminal.type("bg\n")
    terminal.wait_for(r"\[1\]\+ .* &")
    terminal.type("wait; jobs\n")
    terminal.wait_for("Stopped")
    terminal.wait_for_prompt()
    terminal.type("fg\n")
    terminal.wait_for("adapter run")
    check_reading(terminal, "two")


@pytest.mark.parametrize("options", ["", "--foreground"])
def test_a_job_in_the_background_never_takes_the_terminal(terminal: Terminal, options: str) -> None:
    terminal.run(options=options, end=" &")
    terminal.type("wait; jobs\n")
    terminal.wait_for("Stopped")
    terminal.wait_for_prompt()
    terminal.type("fg\n")
    terminal.wait_for("adapter run")
    check_reading(terminal, "one")


@pytest.mark.parametrize("way", ["exit", "killed"])
def test_an_app_that_ends_leaves_the_terminal_to_the_shell(terminal: Terminal, way: str) -> None:
    terminal.run()
    terminal.wait_for("the app is ready")
    terminal.type("one\n")
    pid = int(terminal.wait_for(r"app (\d+): read:one")[1])
    if way == "exit":
        terminal.type("exit 3\n")
    else:
        os.kill(pid, signal.SIGKILL)
    terminal.wait_for("the app has ended")
    terminal.type("echo code=$?\n")
    terminal.wait_for(f"code={3 if way == 'exit' else 128 + signal.SIGKILL}")
    terminal.wait_for_prompt()


def test_an_app_that_starts_again_gets_the_terminal_again(terminal: Terminal) -> None:
    terminal.run(options="--restart always")
    for word in ("one", "two"):
        terminal.wait_for("the app is ready")
        check_reading(terminal, word)
        terminal.type("exit 3\n")
        terminal.wait_for("it is started again")


def test_a_killed_adapter_leaves_the_terminal_to_the_shell(terminal: Terminal) -> None:
    terminal.run()
    terminal.wait_for("the app is ready")
    terminal.type("one\n")
    pid = int(terminal.wait_for(r"app (\d+): read:one")[1])
    adapter = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(adapter, signal.SIGKILL)
    terminal.wait_for("Killed")
    terminal.wait_for_prompt()


def test_without_the_terminal_as_stdin_a_stopped_app_is_reported(terminal: Terminal) -> None:
    terminal.run("--tty", end=" </dev/null")
    terminal.wait_for(r"the app is suspended \(SIGTTIN\), since it uses a terminal that the adapter cannot pass on")
    terminal.type(CTRL_C)
    terminal.wait_for("SIGINT: accepting no new connections")
    terminal.wait_for_prompt()


def test_sigtstp_stops_app_and_adapter_until_sigcont(terminal: Terminal) -> None:
    terminal.run("--idle", end=" &")
    port = terminal.port()
    terminal.wait_for("the app is ready")
    for _ in range(2):
        terminal.type("kill -TSTP $!; wait; jobs\n")
        terminal.wait_for("Stopped")
        group = group_of(terminal)
        assert len(group) == 2, "the adapter and the app"
        wait_until_stopped(group)
        terminal.type("kill -CONT $!\n")
        assert status_of(port) == 200


def check_continued(app: Reporter) -> None:
    """Check that SIGCONT is the last signal that the app gets. It discards a SIGTSTP that was not delivered yet."""
    line = app.line()
    assert (app.line() if line == "SIGTSTP" else line) == "SIGCONT"


@pytest.mark.parametrize("begin", ["", 'set -- setsid "$@";'], ids=["PID 1", "own session"])
def test_an_adapter_that_cannot_be_stopped_continues_its_app(
    request: pytest.FixtureRequest, reports: Reports, app: CommandFor, begin: str
) -> None:
    """The kernel discards SIGTSTP for a process that no shell could continue."""
    if not begin:
        request.getfixturevalue("pid_namespace")
    with Supervisor(command=app("--deaf"), as_pid_1=not begin, begin=begin) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        supervisor.signal(signal.SIGTSTP)
        check_continued(running)
        assert status_of(supervisor.port()) == 200


def test_nor_does_a_runtime_leave_its_app_stopped(reports: Reports, app: CommandFor) -> None:
    with ScriptedRuntimeApi() as api:
        command = ["setsid", sys.executable, "-I", "-m", "adapter", "run", "--", *app("--deaf")]
        with LoggingProcess(command, {"AWS_LAMBDA_RUNTIME_API": api.address}) as runtime:
            running = reports.app()
            api.wait_until_waiting()
            runtime.process.send_signal(signal.SIGTSTP)
            check_continued(running)
            assert api.invoke(function_url()).answer().json()["statusCode"] == 200
            runtime.process.kill()
