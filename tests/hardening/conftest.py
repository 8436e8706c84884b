"""One recording app behind one proxy and one local Lambda with every front door, shared by the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hardening import figures
from tests.hardening.dev_process import DevProcess
from tests.hardening.recorder import PROBE, Recorder
from tests.proxy.process import ProxyProcess
from tests.unused_port import unused_port


@pytest.fixture(scope="session")
def shared_app() -> Iterator[Recorder]:
    with Recorder() as recorder:
        yield recorder


@pytest.fixture
def app(shared_app: Recorder) -> Recorder:
    """Return the app after clearing its records."""
    shared_app.clear()
    return shared_app


@pytest.fixture(scope="session")
def admin() -> int:
    """Return the port of the admin listener of ``proxy``."""
    return unused_port()


@pytest.fixture(scope="session")
def proxy(shared_app: Recorder, admin: int) -> Iterator[ProxyProcess]:
    flags = ("--bandwidth", "unlimited", "--readiness-path", PROBE, "--admin", f"127.0.0.1:{admin}")
    with ProxyProcess(*flags, app_port=shared_app.port) as process:
        yield process


@pytest.fixture(scope="session")
def dev(shared_app: Recorder) -> Iterator[DevProcess]:
    with DevProcess(shared_app.port, "--bandwidth", "unlimited") as process:
        yield process


def pytest_unconfigure(config: pytest.Config) -> None:
    """Print the figures after pytest's summary, so that they are the last lines of a run."""
    writer = config.get_terminal_writer()
    for line in figures.lines():
        writer.line(line)
