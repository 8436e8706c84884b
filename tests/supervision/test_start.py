"""Apps that do not come up: the exit code, and a reason that can be found."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.supervision.conftest import CommandFor
from tests.supervision.supervised import Reports, Supervisor, shell, status_of
from tests.unused_port import unused_port


@pytest.mark.parametrize(("options", "code"), [(("--ends-with", "0"), 1), ((), 1), (("--deaf",), 1)])
def test_an_app_that_is_never_ready_ends_the_proxy_with_the_reason(
    reports: Reports, app: CommandFor, options: tuple[str, ...], code: int
) -> None:
    with Supervisor("--readiness-timeout", "0.2", command=app("--waits", *options)) as supervisor:
        running = reports.app()

        assert supervisor.exit_code() == code
        running.wait_until_gone()
        assert "Adapter.AppNotReady (docs/errors.md): the app was not ready after 0.2 s: " in supervisor.log()
        assert ", since CMD names this port; the app does not listen on any port yet" in supervisor.log()


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
        assert ": the last words\n" in supervisor.log(), "the adapter's line quotes the cause"


def test_an_app_that_needs_another_runtime_is_told_the_page_about_it() -> None:
    with Supervisor(command=shell("echo 'ReferenceError: awslambda is not defined' >&2; exit 1")) as supervisor:
        assert supervisor.exit_code() == 1
        assert "before it was ready (awslambda exists only in" in supervisor.log()
        assert "docs/plain-handlers.md" in supervisor.log()


def test_an_app_that_is_not_there_is_reported_after_some_seconds() -> None:
    with Supervisor("--app-port", "1", command=[]) as supervisor:
        line = supervisor.wait_for_line("the app is not ready after 4 s")
        assert "The app must listen on 127.0.0.1:1 or [::1]:1; start the app there, or set its port with" in line
        supervisor.signal(signal.SIGTERM)
        assert supervisor.exit_code() == 0


def test_all_of_what_a_dying_app_wrote_is_passed_on() -> None:
    # As much as fits into the pipe, so that it is there when the app is gone.
    with Supervisor(command=shell("head -c 65000 /dev/zero | tr '\\0' x >&2; exit 3")) as supervisor:
        assert supervisor.exit_code() == 3
        assert "x" * 65000 in supervisor.log()


@pytest.mark.parametrize("name", ["nothing", "data"], ids=["not-there", "not-executable"])
def test_a_command_that_cannot_be_run_is_a_mistake_at_once(tmp_path: Path, name: str) -> None:
    (tmp_path / "data").write_text("not executable")

    with Supervisor("--restart", "always", command=[str(tmp_path / name), "{port}"]) as supervisor:
        assert supervisor.exit_code() == 2
        [line] = supervisor.log().splitlines()
        assert line.startswith(f"adapter: CMD: '{tmp_path / name}' is not a program that can be run (")


def test_a_folder_that_is_not_there_is_a_mistake_at_once() -> None:
    with Supervisor("--app-dir", "/no/such/folder", command=["true"]) as supervisor:
        assert supervisor.exit_code() == 2
        assert supervisor.log() == "adapter: --app-dir: '/no/such/folder' is not a folder\n"


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


def test_an_app_on_the_port_of_a_platform_is_a_warning() -> None:
    # The warning comes before the proxy listens on its default port, which another process may have.
    done = subprocess.run(
        [sys.executable, "-m", "adapter", "run", "--", "false"],
        env={"PATH": os.environ["PATH"], "PORT": str(unused_port())},
        stderr=subprocess.PIPE,
        text=True,
        timeout=20,
        check=False,
    )

    assert "WARN PORT: requests to port " in done.stderr
