"""Processes that lose their parent: waited for while the proxy runs, gone when it is."""

from __future__ import annotations

import subprocess
from signal import SIGKILL, SIGTERM
from time import monotonic

import pytest

from tests.supervision.conftest import CommandFor
from tests.supervision.supervised import (
    PATIENCE,
    ROOT,
    Reporter,
    Reports,
    Supervisor,
    children_of,
    status_of,
)


def all_by_role(reports: Reports, count: int) -> dict[str, list[Reporter]]:
    """Return ``count`` processes by their role: app, child, orphan."""
    roles: dict[str, list[Reporter]] = {}
    for _ in range(count):
        reporter = reports.next()
        roles.setdefault(reporter.role.partition("-")[0], []).append(reporter)
    return roles


def wait_until_left(supervisor: Supervisor, port: int, count: int) -> None:
    """The ended ones have been waited for after some more turns of the proxy's loop; each request is one."""
    give_up = monotonic() + PATIENCE
    while len(children := children_of(supervisor.pid)) != count:
        assert monotonic() < give_up, f"{len(children)} children are left"
        status_of(port)


def test_every_orphan_that_ends_is_waited_for(reports: Reports, app: CommandFor, as_pid_1: bool) -> None:
    with Supervisor(command=app("--orphans", "200"), as_pid_1=as_pid_1) as supervisor:
        roles = all_by_role(reports, 201)
        supervisor.wait_until_ready()
        port = supervisor.port()
        assert len(children_of(supervisor.pid)) == 201

        for orphan in roles["orphan"]:
            orphan.tell("end")

        wait_until_left(supervisor, port, 1)
        supervisor.signal(SIGTERM)
        assert supervisor.exit_code() == 128 + SIGTERM


@pytest.mark.usefixtures("pid_namespace")
def test_without_cmd_pid_1_waits_for_orphans_all_the_same(reports: Reports, app: CommandFor) -> None:
    with Supervisor("--app-socket", reports.path + "-app", command=[], as_pid_1=True) as supervisor:
        port = supervisor.port()
        # As with `docker exec`: the parent comes from outside, and what it leaves behind is PID 1's.
        enter = ["nsenter", "--target", str(supervisor.pid), "--all", f"--wd={ROOT}"]
        with subprocess.Popen([*enter, *app("--orphans", "3", where=reports.path + "-elsewhere")]) as outsider:
            roles = all_by_role(reports, 4)
            assert len(children_of(supervisor.pid)) == 3

            for orphan in roles["orphan"]:
                orphan.tell("end")

            wait_until_left(supervisor, port, 0)
            outsider.kill()


def test_nothing_of_the_app_outlives_the_proxy(reports: Reports, app: CommandFor, as_pid_1: bool) -> None:
    options = ("--children", "3", "--orphans", "3", "--ends-with", "0")
    with Supervisor(command=app(*options), as_pid_1=as_pid_1) as supervisor:
        processes = [reports.next() for _ in range(7)]
        supervisor.wait_until_ready()

        supervisor.signal(SIGTERM)

        assert supervisor.exit_code() == 0
        # The children are deaf to SIGTERM, and so are the orphans, which are in sessions of their own.
        for process in processes:
            process.wait_until_gone()


def test_nothing_of_an_app_that_ended_by_itself_is_left(reports: Reports, app: CommandFor) -> None:
    with Supervisor(command=app("--children", "3", "--orphans", "3")) as supervisor:
        roles = all_by_role(reports, 7)
        supervisor.wait_until_ready()

        roles["app"][0].tell("exit 5")

        assert supervisor.exit_code() == 5
        for process in roles["child"] + roles["orphan"]:
            process.wait_until_gone()


def test_the_app_is_gone_when_the_proxy_is_killed(reports: Reports, app: CommandFor) -> None:
    with Supervisor(command=app()) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()

        supervisor.signal(SIGKILL)

        running.wait_until_gone()
