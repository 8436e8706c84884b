"""One proxy and one scripted app, with a new script for each test, for all tests that need no special settings."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.proxy.process import ProxyProcess
from tests.scripted_app import OK, ScriptedApp


@pytest.fixture(scope="session")
def shared_app() -> Iterator[ScriptedApp]:
    with ScriptedApp() as scripted:
        yield scripted


@pytest.fixture
def app(shared_app: ScriptedApp) -> ScriptedApp:
    shared_app.replies.clear()
    shared_app.requests.clear()
    shared_app.default = OK
    return shared_app


@pytest.fixture(scope="session")
def shared_proxy(shared_app: ScriptedApp) -> Iterator[ProxyProcess]:
    with ProxyProcess("--bandwidth", "unlimited", app_port=shared_app.port) as process:
        yield process


@pytest.fixture
def proxy(shared_proxy: ProxyProcess) -> int:
    """Return the port of the shared proxy, which has no cap."""
    return shared_proxy.port


@pytest.fixture(scope="session")
def buffering_proxy(shared_app: ScriptedApp) -> Iterator[ProxyProcess]:
    with ProxyProcess("--invoke-mode", "buffered", "--readiness-protocol", "tcp", app_port=shared_app.port) as process:
        yield process


@pytest.fixture
def buffering(buffering_proxy: ProxyProcess) -> int:
    return buffering_proxy.port
