"""The proxy's life: listen, keep the app going, drain when told to end, and exit as the app does.

The app is started before this module is loaded. Requests that come before it is ready get 503. The first SIGTERM or
SIGINT drains: no new connections, the streams under way may finish within the grace, then the app is told to end. A
second one does not wait: it cuts the streams off, or kills an app that has been told to end. Where the app ends by
itself, what it had sent still goes out. Every orphan is reaped, whether this is PID 1 or not.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import signal
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING

from adapter.app.process import ENDING, PASSED_ON, hold_signals, kill_children, release_signals
from adapter.aws.sizes import size_text
from adapter.config.parsers import NO_LIMIT
from adapter.errors import EXIT_INTERRUPTED, ConfigurationError
from adapter.net.address import Address, address_of, listen, next_free_port
from adapter.net.fd_limits import connection_cap, raise_limit
from adapter.net.port_owner import port_owner
from adapter.net.server import HttpServer, Limits
from adapter.proxy.admin import Admin
from adapter.proxy.app_supervisor import APP_GRACE, AppSupervisor
from adapter.proxy.metrics import METRICS_NEED, Metrics
from adapter.proxy.readiness import Readiness
from adapter.proxy.request_relay import RequestRelay
from adapter.proxy.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from adapter.app.process import AppProcess
    from adapter.config.load import Config
    from adapter.logs import Log


class Proxy:
    """The proxy at ``listen`` in front of the app at ``port``, which ``start`` starts anew where that is asked for."""

    def __init__(
        self,
        config: Config,
        *,
        listen: Address,
        port: int,
        process: AppProcess | None,
        start: Callable[[], AppProcess],
        log: Log,
    ) -> None:
        self._config = config
        self._listen = listen
        self._log = log
        self._port = port
        self._draining = False
        self._is_cutting = False
        self._metrics = Metrics()
        self._upstream = Upstream(config, port, config.app_socket)
        self._readiness = Readiness(config, port, has_command=process is not None)
        self._supervisor = AppSupervisor(
            config, process, start=start, readiness=self._readiness, metrics=self._metrics, log=log
        )

    def run(self) -> int:
        """Serve until told to end or until the app is gone; the exit code. Raises ConfigurationError."""
        try:
            listener, admin = self._listeners()
            with asyncio.Runner() as runner:
                return runner.run(self._live(listener, admin))
        finally:
            self._supervisor.kill()
            kill_children()

    async def _live(self, listener: socket, admin_listener: socket | None) -> int:
        supervisor = self._supervisor
        relay = RequestRelay(
            self._config,
            upstream=self._upstream,
            metrics=self._metrics,
            log=self._log,
            ready=lambda: supervisor.ready,
            is_cutting=lambda: self._is_cutting,
        )
        async with asyncio.TaskGroup() as group:
            limits = Limits(
                connections=connection_cap(raise_limit(), self._config.max_connections),
                client_timeout=self._config.client_timeout,
            )
            server = HttpServer(relay.serve, group, limits=limits)
            admin = HttpServer(Admin(self._metrics, self._problem).serve, group)
            ending = _Ending()
            ending.take_signals(supervisor)
            try:
                self._announce(listener, str(self._upstream.address))
                if admin_listener is not None:
                    hint = "" if find_spec("prometheus_client") else f" (for /metrics: {METRICS_NEED})"
                    self._log.info(f"/healthz, /readyz and /metrics on {address_of(admin_listener).url}{hint}")
                keeping = group.create_task(supervisor.keep())
                await server.start(listener)
                if admin_listener is not None:
                    await admin.start(admin_listener)
                await ending.begun(keeping)
                if keeping.done():
                    await self._drain(server, ending, "the app is gone")
                    return keeping.result()
                keeping.cancel()
                return await self._end(server, ending)
            finally:
                # From here on a signal has no handler, and nothing left to say.
                hold_signals()
                for each in (server, admin):
                    each.close()
                    each.abort()
                self._upstream.close()

    async def _problem(self) -> str | None:
        """Why no requests should be sent here, or None."""
        return "the proxy is ending" if self._draining else await self._readiness.problem()

    async def _end(self, server: HttpServer, ending: _Ending) -> int:
        """Drain, then end the app, which has what is left of the time; its exit code."""
        give_up = monotonic() + self._config.grace + APP_GRACE
        hurried = await self._drain(server, ending, signal.Signals(ending.number).name)
        ending.next = self._supervisor.kill
        code = await self._supervisor.stop(ending.number, APP_GRACE if hurried else give_up - monotonic())
        # Ctrl-C is no success to a shell, whatever the app makes of it; a failure of the app's own is told.
        return code or (EXIT_INTERRUPTED if ending.number == signal.SIGINT else code)

    async def _drain(self, server: HttpServer, ending: _Ending, reason: str) -> bool:
        """Let what is under way finish, up to the grace or a second signal; whether there was one."""
        hurry = asyncio.Event()

        def cut_off() -> None:
            hurry.set()
            self._cut(server)

        ending.next = cut_off
        self._draining = True
        server.close()
        under_way = self._metrics.in_flight
        left = f"; requests under way: {under_way}, with {self._config.grace:g} s to finish (--grace)"
        self._log.info(f"{reason}: no new connections{left if under_way else ''}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.grace):
                await server.drained()
        self._cut(server)
        return hurry.is_set()

    def _cut(self, server: HttpServer) -> None:
        """End every connection at once, whatever is under way on it."""
        self._is_cutting = True
        server.abort()

    def _listeners(self) -> tuple[socket, socket | None]:
        """The sockets for requests and for the admin, if that is wanted. Raises ConfigurationError with every clash."""
        wanted = {"listen": self._listen}
        if self._config.admin is not None:
            wanted["admin"] = self._config.admin
        opened: dict[str, socket] = {}
        mistakes: list[str] = []
        given = {address.port for address in wanted.values()} | {self._port}
        for option, address in wanted.items():
            try:
                opened[option] = listen(address.host, address.port)
            except OSError as error:
                flag = str(self._config.options[option].flag)
                reason, other = _hint(error, address, frozenset(given))
                given.add(other.port)
                example = f"{flag} {other}"
                mistakes.append(f"{flag}: {address} {reason}; give another address, for example {example}")
        if mistakes:
            for listener in opened.values():
                listener.close()
            raise ConfigurationError(mistakes)
        return opened["listen"], opened.get("admin")

    def _announce(self, listener: socket, upstream: str) -> None:
        """What is in force and how to change it, in one line that nobody can miss."""
        mode = "buffered"
        if self._config.invoke_mode != "buffered":
            bandwidth, limit = self._config.bandwidth, self._config.stream_limit or NO_LIMIT
            cap = "no cap (--bandwidth)"
            if bandwidth is not None:
                cap = (
                    f"each capped at {size_text(bandwidth.rate)}/s after {size_text(bandwidth.burst)} "
                    "(--bandwidth unlimited lifts it)"
                )
            bound = "" if limit == NO_LIMIT else f", at most {size_text(limit)} (--stream-limit)"
            mode = f"responses are streamed, {cap}{bound}"
        everywhere = " (all addresses of this machine)" if self._listen.is_everywhere else ""
        self._log.info(f"proxy on {address_of(listener).url}{everywhere} to the app at {upstream}: {mode}")


def _hint(error: OSError, address: Address, given: frozenset[int]) -> tuple[str, Address]:
    """Return why ``address`` cannot be listened on, and another one that can."""
    if error.errno != errno.EADDRINUSE:
        # asyncio and socket repeat the address in the error's own text.
        return f"cannot be listened on: {_os_reason(error)}", Address(host="127.0.0.1", port=address.port)
    owner = port_owner(address.port)
    reason = f"is taken by {owner}" if owner else "is taken"
    return reason, Address(host=address.host, port=next_free_port(address, given))


def _os_reason(error: OSError) -> str:
    """Why, in the system's words alone; an unknown host has no number that the system knows."""
    return os.strerror(error.errno) if error.errno is not None and error.errno > 0 else str(error.strerror or error)


class _Ending:
    """Notes the signals that end the proxy, and passes the others on to the app. ``next`` is what the next one does."""

    def __init__(self) -> None:
        self.number = int(signal.SIGTERM)
        self._begun = asyncio.Event()
        self.next: Callable[[], None] = self._begun.set

    def take_signals(self, supervisor: AppSupervisor) -> None:
        """From now on, those that were held back included; likewise children that have ended before."""
        loop = asyncio.get_running_loop()
        for number in ENDING:
            loop.add_signal_handler(number, self._note, int(number))
        for number in PASSED_ON:
            loop.add_signal_handler(number, supervisor.signal, int(number))
        loop.add_signal_handler(signal.SIGCHLD, supervisor.reap)
        supervisor.reap()
        release_signals()

    async def begun(self, keeping: asyncio.Task[int]) -> None:
        """Wait for the first signal, or for the app to be gone."""
        keeping.add_done_callback(lambda _: self._begun.set())
        await self._begun.wait()

    def _note(self, number: int) -> None:
        if not self._begun.is_set():
            self.number = number
        self.next()
