"""Starting the app again: only if the policy says so, with growing pauses, and with the gate closed meanwhile."""

from __future__ import annotations

import resource
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from signal import SIGTERM
from time import monotonic

import pytest

from tests.supervision.conftest import CommandFor
from tests.supervision.supervised import (
    PATIENCE,
    Reports,
    Supervisor,
    descriptors_of,
    request,
    shell,
    status_of,
)
from tests.unused_port import unused_port

UVICORN_APP = """
async def app(scope, receive, send):
    if scope["type"] != "http":
        raise NotImplementedError
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
    await send({"type": "http.response.body", "body": b""})
"""


@pytest.mark.parametrize(
    ("policy", "code"),
    [
        pytest.param("on-failure", 3, id="on failure, it failed"),
        pytest.param("always", 3, id="always, it failed"),
        pytest.param("always", 0, id="always, it ended well"),
    ],
)
def test_the_gate_is_closed_until_the_next_life_is_ready(
    reports: Reports, app: CommandFor, policy: str, code: int
) -> None:
    # Requests wait for a restart, but not for longer than for their response.
    options = ("--restart", policy, "--request-timeout", "0.2")
    with Supervisor(*options, command=app("--waits", "--ends-with", "4")) as supervisor:
        running = reports.app()
        port = supervisor.port()
        assert status_of(port) == 503
        running.tell("listen")
        supervisor.wait_until_ready()
        assert status_of(port) == 200

        running.tell(f"exit {code}")
        running = reports.app()

        with request(port, "/") as response:
            response.read()
            assert (response.status, response.headers["retry-after"]) == (503, "1")
        running.tell("listen")
        supervisor.wait_until_ready(2)
        assert status_of(port) == 200
        supervisor.signal(SIGTERM)
        assert supervisor.exit_code() == 4


def test_requests_wait_for_the_next_life(reports: Reports, app: CommandFor) -> None:
    with Supervisor("--restart", "always", command=app("--waits")) as supervisor, ThreadPoolExecutor(10) as pool:
        port = supervisor.port()
        running = reports.app()
        running.tell("listen")
        supervisor.wait_until_ready()

        running.tell("exit 3")
        running = reports.app()
        waiting = [pool.submit(status_of, port) for _ in range(10)]
        assert not wait(waiting, 0.3).done
        running.tell("listen")

        assert {each.result(PATIENCE) for each in waiting} == {200}


def test_a_wait_ends_at_once_if_the_proxy_ends(reports: Reports, app: CommandFor) -> None:
    with Supervisor("--restart", "always", command=app("--waits")) as supervisor, ThreadPoolExecutor(1) as pool:
        port = supervisor.port()
        running = reports.app()
        running.tell("listen")
        supervisor.wait_until_ready()

        running.tell("exit 3")
        reports.app()
        waiting = pool.submit(status_of, port)
        assert not wait([waiting], 0.3).done
        begun = monotonic()
        supervisor.signal(SIGTERM)

        assert waiting.result(PATIENCE) == 503
        assert monotonic() - begun < 3


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_a_request_waits_for_uvicorn_after_its_limit_of_requests(tmp_path: Path, method: str) -> None:
    (tmp_path / "main.py").write_text(UVICORN_APP)
    server = [sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}", "--limit-max-requests", "15"]
    # By the adapter, and by a process manager that the adapter starts.
    for options, command in (
        (("--restart", "always"), server),
        ((), shell(f"while true; do {shlex.join(server)}; done")),
    ):
        with Supervisor("--app-dir", str(tmp_path), *options, command=command) as supervisor:
            port = supervisor.port()
            supervisor.wait_until_ready()
            for _ in range(16):
                status_of(port)
            # From here on connections are refused, until the next life listens.
            supervisor.wait_for_line("Finished server process")
            assert status_of(port, method=method) == 200


@pytest.mark.parametrize(("policy", "code"), [("never", 0), ("never", 3), ("on-failure", 0)])
def test_the_policy_may_be_to_end_as_the_app_does(reports: Reports, app: CommandFor, policy: str, code: int) -> None:
    with Supervisor("--restart", policy, command=app()) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()

        running.tell(f"exit {code}")

        assert supervisor.exit_code() == code


def test_the_pauses_between_short_lives_grow(reports: Reports, app: CommandFor) -> None:
    with Supervisor("--restart", "on-failure", command=app("--waits", "--ends-with", "0")) as supervisor:
        for life, seconds in enumerate(["0.1", "0.2", "0.4"]):
            running = reports.app()
            if life == 1:
                # One that was ready counts no less, if it is a short one.
                running.tell("listen")
                supervisor.wait_until_ready()
            running.tell("exit 7")
            supervisor.wait_for_line(f"the app ended with exit code 7; it is started again in {seconds} s")
        running = reports.app()
        supervisor.signal(SIGTERM)
        assert supervisor.exit_code() == 0


def test_a_signal_in_a_pause_ends_the_proxy_with_the_last_exit_code(reports: Reports) -> None:
    with Supervisor("--restart", "always", command=shell("exit 7")) as supervisor:
        supervisor.wait_for_line("it is started again in 0.8 s")

        supervisor.signal(SIGTERM)

        assert supervisor.exit_code() == 7


def test_what_a_life_left_behind_in_its_group_does_not_hold_the_port_of_the_next(
    reports: Reports, app: CommandFor
) -> None:
    with Supervisor("--restart", "always", command=app("--children", "2")) as supervisor:
        first_life = {reporter.role: reporter for reporter in (reports.next() for _ in range(3))}
        supervisor.wait_until_ready()

        first_life.pop("app").tell("exit 1")

        for child in first_life.values():
            child.wait_until_gone()
        supervisor.wait_until_ready(2)
        supervisor.signal(SIGTERM)
        assert supervisor.exit_code() == 128 + SIGTERM


def test_lives_leave_no_descriptors_behind(reports: Reports, app: CommandFor) -> None:
    with Supervisor("--restart", "always", command=app()) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        port = supervisor.port()
        assert status_of(port) == 200
        before = descriptors_of(supervisor.pid)

        for life in range(2, 8):
            running.tell("exit 0")
            running = reports.app()
            supervisor.wait_until_ready(life)
        assert status_of(port) == 200

        # Connections come and go; one descriptor left by each of the six lives would show.
        assert descriptors_of(supervisor.pid) < before + 4


def test_a_start_that_fails_for_want_of_descriptors_is_tried_again(reports: Reports, app: CommandFor) -> None:
    with Supervisor("--restart", "always", command=app("--ends-with", "0")) as supervisor:
        running = reports.app()
        supervisor.wait_until_ready()
        limits = resource.prlimit(supervisor.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(supervisor.pid, resource.RLIMIT_NOFILE, (3, limits[1]))

        running.tell("exit 0")
        supervisor.wait_for_line("the app cannot be started: Too many open files; the next attempt is in 0.2 s")
        resource.prlimit(supervisor.pid, resource.RLIMIT_NOFILE, limits)

        reports.app()
        supervisor.wait_until_ready(2)
        supervisor.signal(SIGTERM)
        assert supervisor.exit_code() == 0


def test_every_life_gets_as_many_descriptors_as_the_first_although_the_proxy_allows_itself_more() -> None:
    command = shell("echo descriptors: $(ulimit -S -n) >&2; exit 1")
    with Supervisor("--restart", "always", command=command, begin="ulimit -S -n 123;") as supervisor:
        supervisor.wait_for_line("descriptors: 123", count=2)


def test_readyz_follows_the_gate_and_not_the_last_probe(reports: Reports, app: CommandFor) -> None:
    admin = unused_port()
    with Supervisor("--restart", "always", "--admin", f"127.0.0.1:{admin}", command=app("--waits")) as supervisor:
        running = reports.app()
        running.tell("listen")
        supervisor.wait_until_ready()
        assert status_of(admin, "/readyz") == 200

        running.tell("exit 3")
        running = reports.app()

        assert status_of(admin, "/readyz") == 503
        running.tell("listen")
        while status_of(admin, "/readyz") != 200:
            assert status_of(admin, "/healthz") == 200
        assert status_of(supervisor.port()) == 200
