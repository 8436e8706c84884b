"""The admin listener, on a separate address: /healthz (this process), /readyz (the app), /metrics (Prometheus)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.proxy.metrics import CONTENT_TYPE, METRICS_NEED

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter.net.server import Exchange
    from adapter.proxy.metrics import Metrics

_TEXT = "text/plain; charset=utf-8"


class Admin:
    """Answers requests on the admin listener. ``check_readiness`` returns a problem, or None if the proxy is ready."""

    def __init__(self, metrics: Metrics, check_readiness: Callable[[], Awaitable[str | None]]) -> None:
        self._metrics = metrics
        self._check_readiness = check_readiness

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        resource = exchange.target.partition("?")[0]
        status, content_type, body = 200, _TEXT, b"ok\n"
        if exchange.body.refusal is not None:
            status, body = exchange.body.refusal.status, f"{exchange.body.refusal}\n".encode()
        elif resource not in ("/healthz", "/readyz", "/metrics"):
            status, body = 404, b"not found; there are /healthz, /readyz and /metrics\n"
        elif exchange.method not in ("GET", "HEAD"):
            status, body = 405, b"method not allowed; use GET\n"
        elif resource == "/readyz" and (problem := await self._check_readiness()) is not None:
            status, body = 503, f"{problem}\n".encode()
        elif resource == "/metrics":
            try:
                content_type, body = CONTENT_TYPE, self._metrics.exposition()
            except ImportError:
                status, content_type, body = 501, _TEXT, f"{METRICS_NEED}\n".encode()
        exchange.respond(status, [("content-type", content_type)], body)
