"""The responses of the admin listener; those of a running proxy are tested in test_options."""

from __future__ import annotations

import pytest

from adapter.proxy.admin import Admin
from adapter.proxy.metrics import Metrics
from tests.net.server.serving import serving
from tests.raw_client import ask


class WithoutLibrary(Metrics):
    """Metrics without the extra installed."""

    def exposition(self) -> bytes:
        raise ImportError("prometheus_client")


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
async def test_each_path_has_its_response(target: str, status: int, body: bytes) -> None:
    async with serving(Admin(WithoutLibrary(), is_broken).serve) as running:
        answer = await ask(running.port, f"GET {target} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
    assert answer.status == status
    assert answer.body.startswith(body)


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 405)])
async def test_only_get_and_head_are_allowed(method: str, status: int) -> None:
    async with serving(Admin(Metrics(), is_ready).serve) as running:
        request = f"{method} /readyz HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        assert (await ask(running.port, request, method=method)).status == status
