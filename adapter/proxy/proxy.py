"""The proxy's life: listen, keep the app running, drain on a signal, and exit with the app's exit code.

The app is started before this module is imported. Until the app is ready, the proxy answers requests with 503; with
--listen-when-ready, it refuses connections instead.

After the first SIGTERM or SIGINT, the proxy ends in these steps. Another signal ends the current step early.

1. The drain delay: the proxy still serves requests, but /readyz answers 503, and each connection is closed after its
   next response.
2. The drain: the proxy accepts no new connections, and open requests may finish within the grace period. Requests that
   take longer are cut off.
3. The app gets the first signal. If the app does not end in time, it is killed.

If the app ends by itself, the responses that it has sent are still delivered. The proxy reaps orphans even if it is not
PID 1.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import signal
from importlib.util import find_spec
from time import monotonic
from typing import TYPE_CHECKING

from adapter.app.process import ENDING, HANDLED, hold_signals, kill_children, release_signals
from adapter.config.parsers import NO_LIMIT
from adapter.config.ports import app_address
from adapter.errors import EXIT_INTERRUPTED, EXIT_USAGE, ConfigurationError
from adapter.library_lines import report_loop_errors
from adapter.net.address import Address, address_of, listen, next_free_port, reserve
from adapter.net.descriptor_limits import connection_cap, raise_limit
from adapter.net.http1 import lossless_text
from adapter.net.port_owner import listen_problem
from adapter.net.server import HttpServer, Limits
from adapter.output import STDERR
from adapter.proxy.admin import Admin
from adapter.proxy.app_probe import Readiness
from adapter.proxy.app_supervisor import APP_GRACE, AppSupervisor
from adapter.proxy.metrics import METRICS_NEED, Metrics
from adapter.proxy.request_relay import RequestRelay
from adapter.proxy.upstream import Upstream
from adapter.quantities import size_text

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from adapter.app.process import AppProcess
    from adapter.config.load import Config
    from adapter.logs import Log


class Proxy:
    """The proxy at ``listen`` in front of the app at ``port``. ``start`` starts the app again after it has ended."""

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
        self._port = port
        self._log = log
        self._signals = _ShutdownSignals()
        self._is_ending = False
        self._metrics = Metrics()
        self._upstream = Upstream(config, app_address(config, port, config.app_socket))
        self._readiness = Readiness(config, port, has_command=process is not None)
        self._supervisor = AppSupervisor(
            config,
            process,
            start=start,
            before_ready=self._listen_now,
            readiness=self._readiness,
            metrics=self._metrics,
            log=log,
        )
        self._relay = RequestRelay(
            config, upstream=self._upstream, supervisor=self._supervisor, metrics=self._metrics, log=log
        )
        self._server: HttpServer
        # The listener until it accepts connections.
        self._reserved: socket | None = None
        # True if the address was lost to another process before the app was ready.
        self._has_lost_address = False

    def run(self) -> int:
        """Serve until a signal arrives or the app ends. Return the exit code.

        Raises ConfigurationError if a listener cannot be opened.
        """
        try:
            listener, admin_listener = self._open_listeners()
            with asyncio.Runner() as runner:
                return runner.run(self._serve(listener, admin_listener))
        finally:
            STDERR.flush()
            self._supervisor.kill()
            kill_children()

    async def _serve(self, listener: socket, admin_listener: socket | None) -> int:
        report_loop_errors(asyncio.get_running_loop(), self._log.error)
        limits = Limits(
            connections=connection_cap(raise_limit(), self._config.max_connections),
            client_timeout=self._config.client_timeout,
        )
        async with asyncio.TaskGroup() as group:
            self._server = HttpServer(self._relay.serve, group, limits=limits, decode=lossless_text)
            # Admin requests are short, so they are not cancelled if a client disconnects or only closes its side.
            admin_server = HttpServer(Admin(self._metrics, self._check_readiness).serve, group, cancels=False)
            try:
                self._signals.install(self._supervisor)
                self._announce(listener, admin_listener)
                self._reserved = listener
                app = group.create_task(self._supervisor.run())
                if not self._config.listen_when_ready:
                    await self._listen_now()
                if admin_listener is not None:
                    await admin_server.start(admin_listener)
                await self._signals.wait(app)
                return await self._shut_down(app)
            finally:
                # The signal handlers need the loop, which is about to close. Signals that arrive now must not end the
                # process before its cleanup is done.
                hold_signals()
                for server in (self._server, admin_server):
                    server.close()
                    server.abort(cancel=True)
                listener.close()
                self._upstream.close()

    async def _listen_now(self) -> None:
        """Begin to accept connections, unless the proxy already accepts them or is ending."""
        listener, self._reserved = self._reserved, None
        if listener is None or self._is_ending:
            return
        address = address_of(listener)
        try:
            await self._server.start(listener)
        except OSError as error:
            # Two processes can reserve an address, but only one can listen on it.
            self._log.error(f"--listen: {address} {listen_problem(error, address.port)}; give another address")
            self._has_lost_address = True
            self._signals.begin()

    async def _shut_down(self, app: asyncio.Task[int]) -> int:
        """Serve for the drain delay, let open requests finish, and end the app. Return the exit code."""
        self._is_ending = True
        self._server.wind_down()
        if not app.done() and not self._has_lost_address:
            await self._delay_drain(app)
        if app.done():
            await self._drain("the app has ended")
            return app.result()
        app.cancel()
        number = self._signals.number
        deadline = monotonic() + self._config.grace + APP_GRACE
        is_hurried = await self._drain(signal.Signals(number).name)
        self._signals.on_next = self._supervisor.kill
        code = await self._supervisor.stop(number, APP_GRACE if is_hurried else deadline - monotonic())
        if self._has_lost_address:
            return EXIT_USAGE
        # After Ctrl-C a shell expects a failure, even if the app has exited with 0.
        return EXIT_INTERRUPTED if code == 0 and number == signal.SIGINT else code

    async def _delay_drain(self, app: asyncio.Task[int]) -> None:
        """Return after the drain delay, or earlier if another signal arrives or ``app`` is done."""
        delay = self._config.drain_delay
        if not delay:
            return
        ended = asyncio.Event()
        self._signals.on_next = ended.set
        app.add_done_callback(lambda _: ended.set())
        name = signal.Signals(self._signals.number).name
        self._log.info(
            f"{name}: requests are still served for {delay:g} s (set by --drain-delay); another signal ends this delay"
        )
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay):
                await ended.wait()

    async def _drain(self, reason: str) -> bool:
        """Let requests finish in the grace period, then cut off the rest. Return whether a signal ended that period."""
        self._signals.on_next = self._cut_off
        await self._server.close_gently()
        in_flight = self._metrics.in_flight
        left = (
            f"; requests under way: {in_flight}; they have {self._config.grace:g} s to finish (set by --grace), and "
            "another Ctrl-C or SIGTERM ends them at once"
        )
        self._log.info(f"{reason}: accepting no new connections{left if in_flight else ''}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(self._config.grace):
                await self._server.wait_until_drained()
        is_hurried = self._relay.is_cutting_off
        self._cut_off()
        return is_hurried

    def _cut_off(self) -> None:
        """Close all connections immediately, which ends the requests on them."""
        self._relay.is_cutting_off = True
        self._server.abort()

    async def _check_readiness(self) -> str | None:
        """Return None if this proxy serves requests and the app is healthy, else the reason why not."""
        if self._is_ending:
            return "the proxy is ending"
        # Until the app is ready, only the supervisor probes it. So /readyz never answers 200 while requests get 503.
        problem = await self._readiness.recent_problem() if self._supervisor.ready else self._readiness.last_problem
        return problem if problem or self._supervisor.ready else "the app is not ready"

    def _open_listeners(self) -> tuple[socket, socket | None]:
        """Open and return the listener for requests and the admin listener. The latter is None if it is off.

        Raises ConfigurationError if a listener cannot be opened.
        """
        addresses = {"listen": self._listen}
        if self._config.admin is not None:
            addresses["admin"] = self._config.admin
        listeners: dict[str, socket] = {}
        mistakes: list[str] = []
        given = {address.port for address in addresses.values()} | {self._port}
        for option, address in addresses.items():
            try:
                open_listener = reserve if option == "listen" and self._config.listen_when_ready else listen
                listeners[option] = open_listener(address.host, address.port)
            except OSError as error:
                flag = str(self._config.options[option].flag)
                other = Address(host="127.0.0.1", port=address.port)
                if error.errno == errno.EADDRINUSE:
                    other = Address(host=address.host, port=next_free_port(address, frozenset(given)))
                given.add(other.port)
                reason = listen_problem(error, address.port)
                mistakes.append(f"{flag}: {address} {reason}; give another address, for example {flag} {other}")
        if mistakes:
            for listener in listeners.values():
                listener.close()
            raise ConfigurationError(mistakes)
        return listeners["listen"], listeners.get("admin")

    def _announce(self, listener: socket, admin_listener: socket | None) -> None:
        """Log the addresses, the limits on responses, and the options that change these limits."""
        address = address_of(listener)
        reach = ""
        if address.is_everywhere:
            reach = " (all addresses of this machine)"
        elif address.host in ("127.0.0.1", "::1"):
            reach = f" (this machine only; --listen {address.port} listens on all addresses)"
        url = f"{address.url}{reach}"
        app = f"the app at {self._upstream.address.current}"
        wait = "; connections are refused while the app starts" if self._config.listen_when_ready else ""
        self._log.info(f"proxy on {url} to {app}: {self._response_mode()}{wait}")
        if admin_listener is not None:
            hint = "" if find_spec("prometheus_client") else f" (/metrics answers 501: {METRICS_NEED})"
            self._log.info(f"/healthz, /readyz and /metrics on {address_of(admin_listener).url}{hint}")

    def _response_mode(self) -> str:
        if self._config.invoke_mode == "buffered":
            return "responses are buffered"
        bandwidth, limit = self._config.bandwidth, self._config.stream_limit or NO_LIMIT
        cap = "without a cap (--bandwidth sets one)"
        if bandwidth is not None:
            cap = (
                f"each capped at {size_text(bandwidth.rate)}/s after the first {size_text(bandwidth.burst)} "
                "(--bandwidth unlimited removes the cap)"
            )
        bound = "" if limit == NO_LIMIT else f", with at most {size_text(limit)} each (set by --stream-limit)"
        return f"responses are streamed, {cap}{bound}"


class _ShutdownSignals:
    """Handles the signals that end the proxy. ``number`` is the first signal. Each signal calls ``on_next``."""

    def __init__(self) -> None:
        self.number = int(signal.SIGTERM)
        self._begun = asyncio.Event()
        self.on_next: Callable[[], None] = self._begun.set

    def install(self, supervisor: AppSupervisor) -> None:
        """Install the signal handlers. Then deliver blocked signals, and reap children that have already ended."""
        loop = asyncio.get_running_loop()

        def on_signal(number: int, _frame: object) -> None:
            loop.call_soon_threadsafe(self._handle if number in ENDING else supervisor.signal, number)

        for number in HANDLED:
            # Handlers of the event loop would take milliseconds for all these signals.
            signal.signal(number, on_signal)
            signal.siginterrupt(number, False)
        loop.add_signal_handler(signal.SIGCHLD, supervisor.reap)
        supervisor.reap()
        release_signals()

    def begin(self) -> None:
        """End the proxy as if SIGTERM had arrived."""
        self._begun.set()

    async def wait(self, app: asyncio.Task[int]) -> None:
        """Wait for the first signal, or until ``app`` is done."""
        app.add_done_callback(lambda _: self._begun.set())
        await self._begun.wait()

    def _handle(self, number: int) -> None:
        if not self._begun.is_set():
            self.number = number
        self.on_next()
