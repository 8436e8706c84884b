"""``adapter health`` against real listeners, and as the process that a HEALTHCHECK starts."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from adapter.cli import health
from tests.runtime_process import app_command
from tests.scripted_app import PATIENCE, ScriptedApp, response
from tests.unused_port import unused_port

# What `adapter health` must do without: it runs every few seconds.
SLOW = ("click", "asyncio", "ssl", "aiohttp")


def run_health(environ: dict[str, str], *flags: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-I", "-m", "adapter", "health", *flags],
        env={"PATH": os.environ["PATH"], **environ},
        capture_output=True,
        encoding="utf-8",
        timeout=PATIENCE,
        check=False,
    )


def test_the_admin_listener_says_that_all_is_well() -> None:
    with ScriptedApp() as admin:
        problem = health.find_problem({"ADAPTER_ADMIN": f"0.0.0.0:{admin.port}"})

        assert problem is None
        assert [(request.method, request.target) for request in admin.requests] == [("GET", "/readyz")]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        pytest.param(response(b"not\nready yet\n", status=503), "answered 503: not ready yet", id="503-with-a-reason"),
        pytest.param(response(b"", status=503), "answered 503", id="503"),
        pytest.param(response(b"x" * 10_000, status=503), "answered 503", id="503-and-too-much-to-show"),
        pytest.param(response(b"", status=404), "answered 404", id="not-the-admin-listener"),
        pytest.param(b"220 mail.example ESMTP\r\n\r\n", "no answer from 127.0.0.1:", id="not-http"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok", "", id="truncated"),
    ],
)
def test_an_answer_that_is_not_well_is_the_problem(reply: bytes, reason: str) -> None:
    with ScriptedApp(default=reply) as admin:
        problem = health.find_problem({"ADAPTER_ADMIN": f"127.0.0.1:{admin.port}"})

    assert problem is not None
    assert reason in problem
    assert "\n" not in problem


def test_a_listener_that_stays_silent_is_not_waited_for_for_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "TIMEOUT", 0.05)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"127.0.0.1:{silent.getsockname()[1]}"
        problem = health.find_problem({"ADAPTER_ADMIN": address})

    assert problem == f"no answer from {address} within 0.05 s"


@pytest.mark.parametrize("variable", ["ADAPTER_ADMIN", "ADAPTER_LISTEN"])
def test_a_missing_listener_is_unhealthy(variable: str) -> None:
    port = unused_port()

    assert f"nothing answers on 127.0.0.1:{port}" in str(health.find_problem({variable: f"127.0.0.1:{port}"}))


@pytest.mark.parametrize(
    "environ",
    [
        pytest.param({"ADAPTER_LISTEN": "0.0.0.0:{}"}, id="ADAPTER_LISTEN"),
        pytest.param({"PORT": "{}", "AWS_LWA_PORT": "1"}, id="PORT"),
    ],
)
def test_without_an_admin_listener_a_connection_is_enough(environ: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        port = proxy.getsockname()[1]

        assert health.find_problem({name: value.format(port) for name, value in environ.items()}) is None


@pytest.mark.parametrize(
    ("environ", "part"),
    [
        pytest.param({"PORT": "8000"}, "set ADAPTER_LISTEN or ADAPTER_ADMIN", id="PORT-is-the-app's-or-the-proxy's"),
        pytest.param({"ADAPTER_LISTEN": "127.0.0.1:0"}, "ADAPTER_LISTEN: port 0", id="any-port-to-listen-on"),
        pytest.param({"ADAPTER_ADMIN": "127.0.0.1:0"}, "ADAPTER_ADMIN: port 0", id="any-admin-port"),
        pytest.param({"ADAPTER_LISTENS": "1"}, "ADAPTER_LISTENS: no option has this name", id="a-mistake"),
    ],
)
def test_settings_that_do_not_tell_are_the_problem(environ: dict[str, str], part: str) -> None:
    assert part in str(health.find_problem(environ))


@pytest.mark.parametrize(
    ("reply", "code", "line"),
    [
        pytest.param(response(b"ok\n"), 0, "", id="healthy"),
        pytest.param(response(b"no\n", status=503), 1, "adapter: unhealthy: /readyz on", id="unhealthy"),
    ],
)
@pytest.mark.parametrize("by_flag", [True, False], ids=["flag", "variable"])
def test_the_exit_code_is_for_docker(reply: bytes, code: int, line: str, by_flag: bool) -> None:
    with ScriptedApp(default=reply) as admin:
        address = f"127.0.0.1:{admin.port}"
        result = run_health({}, "--admin", address) if by_flag else run_health({"ADAPTER_ADMIN": address})

    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr.startswith(line)
    assert len(result.stderr.splitlines()) == code


def test_a_mistake_has_the_exit_code_of_unhealthy_too() -> None:
    assert run_health({"ADAPTER_ADMIN": "nowhere"}).returncode == 1


def test_nothing_slow_is_imported() -> None:
    program = (
        "import json, sys; sys.argv = ['adapter', 'health']; from adapter.__main__ import main; code = main();"
        "print(json.dumps([code, list(sys.modules)]))"
    )
    with ScriptedApp() as admin:
        result = subprocess.run(
            [sys.executable, "-I", "-c", program],
            env={"ADAPTER_ADMIN": f"127.0.0.1:{admin.port}"},
            stdout=subprocess.PIPE,
            timeout=PATIENCE,
            check=True,
        )
    code, modules = json.loads(result.stdout)

    assert code == 0
    assert set(SLOW).isdisjoint(modules)


def test_a_real_proxy_is_healthy_once_its_app_is_ready() -> None:
    environ = {"ADAPTER_LISTEN": f"127.0.0.1:{unused_port()}", "ADAPTER_ADMIN": f"127.0.0.1:{unused_port()}"}
    with subprocess.Popen(
        [sys.executable, "-I", "-m", "adapter", "run", "--", *app_command()],
        env={"PATH": os.environ["PATH"], **environ},
        stderr=subprocess.PIPE,
        encoding="utf-8",
    ) as proxy:
        assert proxy.stderr is not None
        try:
            assert any("the app is ready" in line for line in proxy.stderr)
            result = run_health(environ)
        finally:
            proxy.terminate()
            proxy.communicate(timeout=PATIENCE)

    assert (result.returncode, result.stderr) == (0, "")
