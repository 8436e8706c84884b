"""The admin listener, apart from the traffic: /healthz (this process), /readyz (the app), /metrics (Prometheus)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.proxy.metrics import CONTENT_TYPE, METRICS_NEED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter.net.server import Exchange
    from adapter.proxy.metrics import Metrics

_TEXT = "text/plain; charset=utf-8"


class Admin:
    """Answers on the admin listener. ``check_readiness`` returns why requests cannot be served, or None."""

    def __init__(self, metrics: Metrics, check_readiness: Callable[[], Awaitable[str | None]]) -> None:
        self._metrics = metrics
        self._check_readiness = check_readiness
        self._resources = {"/healthz": self._health, "/readyz": self._readiness, "/metrics": self._exposition}

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        resource = self._resources.get(exchange.target.partition("?")[0])
        if resource is None:
            status, content_type, body = 404, _TEXT, b"not found; there are /healthz, /readyz and /metrics\n"
        elif exchange.method not in ("GET", "HEAD"):
            status, content_type, body = 405, _TEXT, b"method not allowed; use GET\n"
        else:
            status, content_type, body = await resource()
        exchange.respond(status, [("content-type", content_type)], body)

    async def _health(self) -> tuple[int, str, bytes]:
        return 200, _TEXT, b"ok\n"

    async def _readiness(self) -> tuple[int, str, bytes]:
        problem = await self._check_readiness()
        return (200, _TEXT, b"ok\n") if problem is None else (503, _TEXT, f"{problem}\n".encode())

    async def _exposition(self) -> tuple[int, str, bytes]:
        try:
            return 200, CONTENT_TYPE, self._metrics.exposition()
        except ImportError:
            return 501, _TEXT, f"{METRICS_NEED}\n".encode()
