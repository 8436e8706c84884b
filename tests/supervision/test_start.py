"""Apps that do not come up: the exit code, and a reason that can be found."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.supervision.conftest import CommandFor
from tests.supervision.supervised import Reports, Supervisor, shell, status_of


@pytest.mark.parametrize(("options", "code"), [(("--ends-with", "0"), 1), ((), 1), (("--deaf",), 1)])
def test_an_app_that_is_never_ready_ends_the_proxy_with_the_reason(
    reports: Reports, app: CommandFor, options: tuple[str, ...], code: int
) -> None:
    with Supervisor("--readiness-timeout", "0.2", command=app("--waits", *options)) as supervisor:
        running = reports.app()

        assert supervisor.exit_code() == code
        running.wait_until_gone()
        assert "Adapter.AppNotReady: the app was not ready after 0.2 s: " in supervisor.log()


@pytest.mark.parametrize(
    ("script", "code"),
    [
        pytest.param("exit 3", 3, id="3"),
        # Not a success: it never served.
        pytest.param("exit 0", 1, id="0"),
        pytest.param("kill -KILL $$", 128 + signal.SIGKILL, id="a signal"),
    ],
)
def test_an_app_that_ends_before_it_is_ready_ends_the_proxy(script: str, code: int) -> None:
    with Supervisor(command=shell(f"echo the last words >&2; {script}")) as supervisor:
        assert supervisor.exit_code() == code
        assert "the last words\n" in supervisor.log()
        assert "before it was ready" in supervisor.log()


def test_all_of_what_a_dying_app_wrote_is_passed_on() -> None:
    # As much as fits into the pipe, so that it is there when the app is gone.
    with Supervisor(command=shell("head -c 65000 /dev/zero | tr '\\0' x >&2; exit 3")) as supervisor:
        assert supervisor.exit_code() == 3
        assert "x" * 65000 in supervisor.log()


def test_a_command_that_is_not_there_is_127() -> None:
    with Supervisor(command=["/no/such/command", "{port}"]) as supervisor:
        assert supervisor.exit_code() == 127
        assert "cannot start '/no/such/command': No such file or directory" in supervisor.log()


def test_a_command_that_cannot_be_run_is_126(tmp_path: Path) -> None:
    (tmp_path / "command").write_text("not executable")

    with Supervisor(command=[str(tmp_path / "command"), "{port}"]) as supervisor:
        assert supervisor.exit_code() == 126
        assert "Permission denied" in supervisor.log()


def test_an_exit_code_is_not_lost_where_the_adapter_was_started_with_sigchld_ignored() -> None:
    begin = 'set -- env --ignore-signal=CHLD "$@";'
    with Supervisor(command=shell("exit 3"), begin=begin) as supervisor:
        assert supervisor.exit_code() == 3


def test_an_app_slow_to_start_is_waited_for(reports: Reports, app: CommandFor) -> None:
    with Supervisor(command=app("--waits")) as supervisor:
        running = reports.app()
        port = supervisor.port()
        assert status_of(port) == 503

        running.tell("listen")

        supervisor.wait_until_ready()
        assert status_of(port) == 200
