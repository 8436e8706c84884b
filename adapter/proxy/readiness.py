"""Whether the app is ready, asked without blocking: once for /readyz, again and again until it is at start."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapter.config.ports import WARN_AFTER, slow_start_line, unhealthy_text, unready_text
from adapter.errors import AdapterError, AppNotReady
from adapter.net.http1 import encode_request_head
from adapter.payload.messages import Request
from adapter.proxy.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter.config.load import Config

# How long to pause between two probes, in seconds: little at first, since somebody is waiting, more when it takes long.
_FIRST_PAUSE, _LAST_PAUSE, _PAUSE_GROWTH = 0.005, 0.25, 1.3
# How long one probe may take, in seconds.
_PROBE_TIMEOUT = 5.0


class Readiness:
    """Probes the app at ``port``, or at the port that the options name for it. ``has_command``: CMD starts it."""

    def __init__(self, config: Config, port: int, *, has_command: bool) -> None:
        self._has_command = has_command
        if config.readiness_port is None:
            self._upstream = Upstream(config, port, config.app_socket)
        else:
            self._upstream = Upstream(config, config.readiness_port, None)
        self._speaks_http = config.readiness_protocol == "http"
        self._path = config.readiness_path
        self._healthy = config.readiness_status

    async def problem(self) -> str | None:
        """None when the app is ready, else why not."""
        try:
            async with asyncio.timeout(_PROBE_TIMEOUT):
                return await self._probe()
        except TimeoutError:
            return f"{self._upstream.address} did not answer within {_PROBE_TIMEOUT:g} s"
        except AdapterError as error:
            return str(error)

    async def wait(
        self, limit: float | None, pause: Callable[[float], Awaitable[None]], warn: Callable[[str], None]
    ) -> None:
        """Return once the app is ready. Raises AppNotReady after ``limit`` seconds; None waits for ever.

        ``pause(seconds)`` waits between two probes; it may raise when there is nothing more to wait for. ``warn`` is
        given one line if it takes long.
        """
        loop = asyncio.get_running_loop()
        begun = loop.time()
        warned = False
        give_up = None if limit is None else begun + limit
        seconds = _FIRST_PAUSE
        while (problem := await self.problem()) is not None:
            if give_up is not None and loop.time() + seconds >= give_up:
                reason = unready_text(problem, self._upstream.address, has_command=self._has_command)
                raise AppNotReady(f"the app was not ready after {limit:g} s: {reason}")
            if not warned and loop.time() - begun >= WARN_AFTER:
                warned = True
                warn(slow_start_line(WARN_AFTER, limit, problem, self._upstream.address, has_command=self._has_command))
            await pause(seconds)
            seconds = min(seconds * _PAUSE_GROWTH, _LAST_PAUSE)

    async def _probe(self) -> str | None:
        connection = await self._upstream.acquire()
        try:
            if not self._speaks_http:
                return None
            request = Request(method="GET", target=self._path, headers=[("connection", "close")])
            connection.begin(request.method, encode_request_head(request, self._upstream.address.host_header))
            while (head := await connection.next_head()).status < 200:
                pass
            return None if head.status in self._healthy else unhealthy_text(self._path, head.status)
        finally:
            connection.close()
