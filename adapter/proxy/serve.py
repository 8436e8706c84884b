"""The proxy's life: listen, keep the app going, drain when told to end, and exit as the app does.

The app is started before this module is loaded. Requests that come before it is ready get 503. The first SIGTERM or
SIGINT drains: no new connections, the streams under way may finish within the grace, then the app is told to end. A
second one does not wait. Every orphan is reaped, whether this is PID 1 or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from typing import TYPE_CHECKING

from adapter.errors import ConfigurationError
from adapter.http_server import HttpServer, Limits, listen
from adapter.parse import NO_LIMIT
from adapter.port_owner import port_owner
from adapter.ports import split_address
from adapter.proxy.admin import Admin
from adapter.proxy.app_keeper import AppKeeper
from adapter.proxy.metrics import Metrics
from adapter.proxy.readiness import Readiness
from adapter.proxy.relay import Relay
from adapter.proxy.upstream import Upstream
from adapter.supervisor import adopt_orphans, kill_children
from adapter.throttle import MIB

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from adapter.config import Config
    from adapter.logs import Log
    from adapter.supervisor import AppProcess

_ENDING = (signal.SIGTERM, signal.SIGINT)
# Signals that mean something to the app and nothing to the proxy.
_PASSED_ON = (signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2, signal.SIGWINCH)


class Proxy:
    """The proxy at ``listen`` in front of the app at ``port``, which ``start`` starts anew where that is asked for."""

    def __init__(
        self,
        config: Config,
        *,
        listen: tuple[str, int],
        port: int,
        process: AppProcess | None,
        start: Callable[[], AppProcess],
        log: Log,
    ) -> None:
        self._config = config
        self._listen = listen
        self._port = port
        self._process = process
        self._start = start
        self._log = log

    def run(self) -> int:
        """Serve until told to end or until the app is gone; the exit code. Raises ConfigurationError."""
        adopt_orphans()
        try:
            listener = self._bind(self._listen, "listen")
            admin = None if self._config.admin is None else self._bind(split_address(self._config.admin), "admin")
            with asyncio.Runner() as runner:
                return runner.run(self._live(listener, admin))
        finally:
            if self._process is not None:
                self._process.signal(signal.SIGKILL)
            kill_children()

    async def _live(self, listener: socket, admin_listener: socket | None) -> int:
        metrics = Metrics()
        readiness = Readiness(self._config, self._port)
        upstream = Upstream(self._config, self._port)
        keeper = AppKeeper(
            self._config, self._process, start=self._start, readiness=readiness, metrics=metrics, log=self._log
        )
        relay = Relay(self._config, upstream=upstream, metrics=metrics, log=self._log, ready=lambda: keeper.ready)
        ending = _Ending(keeper)
        keeper.reap()
        async with asyncio.TaskGroup() as group:
            limits = Limits(connections=self._config.max_connections)
            server = HttpServer(relay.serve, group, limits=limits)
            admin = HttpServer(Admin(metrics, readiness.problem).serve, group)
            try:
                self._announce(listener.getsockname()[1], str(upstream))
                await server.start(listener)
                if admin_listener is not None:
                    await admin.start(admin_listener)
                keeping = group.create_task(keeper.keep())
                await ending.first(keeping)
                if keeping.done():
                    return keeping.result()
                keeping.cancel()
                await self._drain(server, ending)
                return await keeper.stop(ending.number)
            finally:
                server.close()
                server.abort()
                admin.close()
                admin.abort()
                upstream.close()

    async def _drain(self, server: HttpServer, ending: _Ending) -> None:
        """Let what is under way finish, up to the grace or a second signal."""
        server.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.grace), asyncio.TaskGroup() as group:
                impatience = group.create_task(ending.second(server))
                await server.drained()
                impatience.cancel()

    def _bind(self, address: tuple[str, int], option: str) -> socket:
        host, port = address
        try:
            return listen(host, port)
        except OSError as error:
            owner = port_owner(port)
            by = f" (by {owner})" if owner else ""
            flag = self._config.options[option].flag
            raise ConfigurationError(
                [f"{flag}: cannot listen on {host}:{port}{by}: {error.strerror or error}; give another address"]
            ) from error

    def _announce(self, listening: int, upstream: str) -> None:
        """What is in force and how to change it, in one line that nobody can miss."""
        mode = "buffered"
        if self._config.invoke_mode != "buffered":
            bandwidth, limit = self._config.bandwidth, self._config.stream_limit or NO_LIMIT
            cap = "no cap (--bandwidth)"
            if bandwidth is not None:
                cap = (
                    f"each capped at {bandwidth.rate / MIB:g} MiB/s after {bandwidth.burst / MIB:g} MiB "
                    "(--bandwidth unlimited lifts it)"
                )
            bound = "" if limit == NO_LIMIT else f", at most {limit} bytes (--stream-limit)"
            mode = f"responses are streamed, {cap}{bound}"
        self._log.info(f"proxy on http://{self._listen[0]}:{listening} to the app at {upstream}: {mode}")


class _Ending:
    """Notes the signals that end the proxy, and passes the others on to the app."""

    def __init__(self, keeper: AppKeeper) -> None:
        self.number = int(signal.SIGTERM)
        self._received = 0
        self._changed = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in _ENDING:
            loop.add_signal_handler(number, self._note, int(number))
        for number in _PASSED_ON:
            loop.add_signal_handler(number, keeper.signal, int(number))
        loop.add_signal_handler(signal.SIGCHLD, keeper.reap)

    async def first(self, keeping: asyncio.Task[int]) -> None:
        """Wait for the first signal, or for the app to be gone."""
        keeping.add_done_callback(lambda _: self._changed.set())
        await self._changed.wait()

    async def second(self, server: HttpServer) -> None:
        """Wait for another signal; then nothing under way is waited for."""
        while self._received < 2:
            self._changed.clear()
            await self._changed.wait()
        server.abort()

    def _note(self, number: int) -> None:
        if self._received == 0:
            self.number = number
        self._received += 1
        self._changed.set()
