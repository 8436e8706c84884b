"""The control API of the emulator, on the port of the Invoke APIs: it returns the state and adds idle time.

    GET  /_adapter/status              return the environments, their states, and counters (invocations, errors, …)
    POST /_adapter/idle?seconds=3600   add 3600 seconds to the idle time of each idle environment

The second path simulates hours without a request: with ``--idle-reclaim`` the environments end, and the next request is
a cold start. (The clocks of the processes do not change.)

Web pages in a browser on this machine must not use this API. So requests of web pages are refused (see ``page_guard``),
the Host header must be a loopback name, and responses have no CORS headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import orjson

from adapter.config.parsers import seconds
from adapter.emulator.page_guard import page_refusal
from adapter.emulator.platform_api.api_server import JSON, refuse
from adapter.payload.headers import excerpt

if TYPE_CHECKING:
    from adapter.emulator.function.scheduler import LocalFunction
    from adapter.emulator.service.listening import Serve
    from adapter.net.server import Exchange

PREFIX = "/_adapter/"
STATUS = f"{PREFIX}status"
_IDLE = f"{PREFIX}idle"
_METHODS = {STATUS: "GET", _IDLE: "POST"}


class Control:
    """Serves the control API for ``function``. Requests with all other paths go to ``serve_others``."""

    def __init__(self, function: LocalFunction, serve_others: Serve) -> None:
        self._function = function
        self._serve_others = serve_others

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. Requests of web pages are refused for every path."""
        if forbidden := page_refusal(exchange.headers):
            refuse(exchange, (403, "ForbiddenException", forbidden))
            return
        if not exchange.target.startswith(PREFIX):
            await self._serve_others(exchange)
            return
        path, _, query = exchange.target.partition("?")
        if exchange.body.refusal is not None:
            _refuse(exchange, exchange.body.refusal.status, str(exchange.body.refusal))
        elif not _is_local(exchange):
            _refuse(exchange, 403, "refused: the Host header is not a loopback name; use localhost")
        elif path not in _METHODS:
            _refuse(exchange, 404, f"{path} is not a path of adapter dev; use {' or '.join(_METHODS)}")
        elif exchange.method != _METHODS[path]:
            _refuse(exchange, 405, f"{path} accepts only {_METHODS[path]}")
        elif path == _IDLE:
            self._add_idle_time(exchange, query)
        else:
            exchange.respond(200, [JSON, ("cache-control", "no-store")], orjson.dumps(self._function.status()))

    def _add_idle_time(self, exchange: Exchange, query: str) -> None:
        text = parse_qs(query).get("seconds", [""])[0]
        try:
            self._function.age(seconds(text))
        except ValueError as error:
            _refuse(exchange, 400, f"seconds: {excerpt(text)} {error}")
        else:
            exchange.respond(200, [JSON], orjson.dumps(self._function.status()))


def _is_local(exchange: Exchange) -> bool:
    hosts = [value for name, value in exchange.headers if name.lower() == "host"]
    try:
        return len(hosts) == 1 and urlsplit(f"//{hosts[0]}").hostname in ("localhost", "127.0.0.1", "::1")
    except ValueError:
        return False


def _refuse(exchange: Exchange, status: int, why: str) -> None:
    exchange.respond(status, [JSON], orjson.dumps({"message": why}))
