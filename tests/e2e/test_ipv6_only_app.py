"""An app that listens on ``::1`` only, as a server does that binds the first address of ``localhost``."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest

from adapter.cli.check import examine
from adapter.cli.health import find_problem
from tests.emulator.commands.test_dev import serving
from tests.events import function_url
from tests.proxy.process import ProxyProcess
from tests.runtime_process import RuntimeProcess
from tests.scripted_app import ScriptedApp
from tests.scripted_runtime_api import ScriptedRuntimeApi
from tests.supervision.supervised import status_of
from tests.unused_port import unused_port

SERVER = (sys.executable, "-m", "http.server", "--bind", "::1", "{port}")


@pytest.fixture
def app() -> Iterator[ScriptedApp]:
    # No other process listens on this port of 127.0.0.1.
    with ScriptedApp(host="::1", port=unused_port()) as scripted:
        yield scripted


def test_the_proxy_finds_it_and_is_healthy(app: ScriptedApp) -> None:
    admin = unused_port()
    with ProxyProcess("--admin", f"127.0.0.1:{admin}", app_port=app.port) as proxy:
        assert [status_of(proxy.port) for _ in range(3)] == [200] * 3
        assert status_of(admin, "/readyz") == 200
        assert find_problem({"ADAPTER_ADMIN": f"127.0.0.1:{admin}"}) is None
    # The Host of the client is passed on.
    assert app.requests[0].headers["host"] == f"127.0.0.1:{proxy.port}"


def test_the_proxy_starts_it() -> None:
    with ProxyProcess(command=SERVER) as proxy:
        assert status_of(proxy.port) == 200


@pytest.mark.parametrize("slots", ["1", "3"])
def test_the_runtime_finds_it(app: ScriptedApp, slots: str) -> None:
    environ = {"AWS_LAMBDA_MAX_CONCURRENCY": slots, "AWS_LWA_POOL_IDLE_TIMEOUT_SECONDS": "0"}
    with ScriptedRuntimeApi() as api, RuntimeProcess(api, app=app, environ=environ):
        assert [api.invoke(function_url()).answer().json()["statusCode"] for _ in range(4)] == [200] * 4


def test_dev_finds_it() -> None:
    with serving(command=list(SERVER)) as dev:
        assert dev.get("/")[0] == 200


def test_check_finds_it(app: ScriptedApp) -> None:
    report = examine({"AWS_LWA_PORT": str(app.port)}, {}, [], ("app",))
    assert report.app == f"The app on [::1]:{app.port} is ready."


def test_a_host_that_is_set_is_the_only_one(app: ScriptedApp) -> None:
    flags = ("--app-host", "127.0.0.1", "--readiness-timeout", "0.2")
    with ProxyProcess(*flags, app_port=app.port, waits=False) as proxy:
        line = proxy.wait_for_line("the app is not ready after 4 s")
        assert f"no connection to 127.0.0.1:{app.port} ([Errno 111]" in line
        assert f"A process listens on [::1]:{app.port}. If it is the app, set --app-host ::1 (AWS_LWA_HOST)" in line
