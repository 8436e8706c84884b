"""The responses of the admin listener; those of a running proxy are tested in test_options."""

from __future__ import annotations

import sys

import pytest

from adapter.proxy.admin import Admin
from adapter.proxy.metrics import Metrics
from tests.net.server.serving import serving
from tests.raw_client import ask


@pytest.fixture
def without_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Import fails as without the extra."""
    for name in [each for each in sys.modules if each.partition(".")[0] == "prometheus_client"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "prometheus_client", None)


async def is_ready() -> str | None:
    return None


async def is_broken() -> str | None:
    return "GET / answered 500"


@pytest.mark.parametrize(
    ("target", "status", "body"),
    [
        pytest.param("/healthz", 200, b"ok\n", id="healthz"),
        pytest.param("/healthz?probe=1", 200, b"ok\n", id="query"),
        pytest.param("/readyz", 503, b"GET / answered 500\n", id="not-ready"),
        pytest.param("/metrics", 501, b"prometheus_client is not installed", id="no-library"),
        pytest.param("/elsewhere", 404, b"not found; there are /healthz, /readyz and /metrics\n", id="elsewhere"),
    ],
)
@pytest.mark.usefixtures("without_extra")
async def test_each_path_has_its_response(target: str, status: int, body: bytes) -> None:
    async with serving(Admin(Metrics(), is_broken).serve) as running:
        answer = await ask(running.port, f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert answer.status == status
    assert answer.body.startswith(body)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405)])
async def test_only_get_and_head_are_allowed(method: str, status: int) -> None:
    async with serving(Admin(Metrics(), is_ready).serve) as running:
        request = f"{method} /readyz HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        assert (await ask(running.port, request, method=method)).status == status
