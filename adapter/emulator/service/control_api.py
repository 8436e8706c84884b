"""The emulator's own paths, on the port of the Invoke APIs: its state, and a way to skip idle time.

    GET  /_adapter/status              environments, their states, counts
    POST /_adapter/idle?seconds=3600   add this time to the idle time of idle environments

The second one shows at once what happens after hours without a request: with ``--idle-reclaim`` the environments are
ended, and the next request is a cold start. (The clocks of the processes do not change.)

A web page in a browser on this machine must not read or do any of this: its requests are refused (see ``page_guard``),
only loopback names are accepted as Host, and there are no CORS headers.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import orjson

from adapter.config.parsers import seconds
from adapter.emulator.page_guard import page_refusal
from adapter.emulator.platform_api.api_server import JSON, refuse

if TYPE_CHECKING:
    from adapter.emulator.function.scheduler import LocalFunction
    from adapter.emulator.service.listening import Serve
    from adapter.net.server import Exchange

PREFIX = "/_adapter/"
STATUS = f"{PREFIX}status"
_IDLE = f"{PREFIX}idle"
_METHODS = {STATUS: "GET", _IDLE: "POST"}


class Control:
    """Serves these paths for ``function``; ``serve_others`` serves all others."""

    def __init__(self, function: LocalFunction, serve_others: Serve) -> None:
        self._function = function
        self._serve_others = serve_others

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        if forbidden := page_refusal(exchange.headers):
            refuse(exchange, (403, "ForbiddenException", forbidden))
            return
        if not exchange.target.startswith(PREFIX):
            await self._serve_others(exchange)
            return
        path, _, query = exchange.target.partition("?")
        if not _is_local(exchange):
            _refuse(exchange, 403, "only clients on this machine are answered")
        elif path not in _METHODS:
            _refuse(exchange, 404, f"{path} is not a path of adapter dev; use {' or '.join(_METHODS)}")
        elif exchange.method != _METHODS[path]:
            _refuse(exchange, 405, f"{path} takes {_METHODS[path]}")
        elif path == _IDLE:
            self._add_idle_time(exchange, query)
        else:
            exchange.respond(200, [JSON, ("cache-control", "no-store")], orjson.dumps(self._function.status()))

    def _add_idle_time(self, exchange: Exchange, query: str) -> None:
        text = parse_qs(query).get("seconds", [""])[0]
        try:
            self._function.age(seconds(text))
        except ValueError as error:
            _refuse(exchange, 400, f"seconds: {text!r} {error}")
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
