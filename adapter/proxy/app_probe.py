"""The readiness probe of the proxy, with asyncio. It runs until the app is ready, and later for requests to /readyz."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapter.app.readiness import PROBE_TIMEOUT, ReadinessCheck, ReadinessWait
from adapter.errors import AppUnreachable, InvalidAppResponse
from adapter.net.http1 import encode_request_head
from adapter.proxy.upstream import Upstream

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from adapter.app.process import AppProcess
    from adapter.config.load import Config


# The time for which /readyz uses the result of a probe, in seconds. So several load balancers cost no more than one.
_VALIDITY = 1.0


class Readiness:
    """Probes the app at the readiness port if that is set, else at ``port``.

    ``has_command`` is True if CMD starts the app. ``last_problem`` is the result of the latest probe of ``wait`` or
    ``recent_problem``: a problem, or None if the app was ready. Before the first result it is None.
    """

    def __init__(self, config: Config, port: int, *, has_command: bool) -> None:
        self.last_problem: str | None = None
        self._valid_until = 0.0
        self._probing = asyncio.Lock()
        self._check = ReadinessCheck(config, port, has_command=has_command)
        self._upstream = Upstream(config, self._check.address)

    def watch(self, process: AppProcess) -> None:
        """Set the app's process to ``process``, which has just been started."""
        self._check.watch(process.pid, process.command)

    async def problem(self, seconds: float = PROBE_TIMEOUT) -> str | None:
        """Probe the app once, for at most ``seconds``. Return None if the app is ready, else the problem."""
        try:
            async with asyncio.timeout(seconds):
                return await self._probe()
        except TimeoutError:
            return self._check.no_answer(seconds)

    async def recent_problem(self) -> str | None:
        """Return the result of a probe that is at most a second old: the problem, or None if the app was ready.

        All callers share one probe. Call this only after ``wait`` has returned.
        """
        now = asyncio.get_running_loop().time
        async with self._probing:
            if now() >= self._valid_until:
                self.last_problem = await self.problem()
                self._valid_until = now() + _VALIDITY
        return self.last_problem

    async def wait(
        self, limit: float | None, pause: Callable[[float], Awaitable[None]], warn: Callable[[str], None]
    ) -> None:
        """Probe the app until it is ready. Raises AppNotReady after ``limit`` seconds; None means no limit.

        ``pause(seconds)`` waits between two probes, and raises an error if the app has ended. ``warn`` logs a line.
        """
        now = asyncio.get_running_loop().time
        wait = ReadinessWait(self._check, limit, now())
        while (problem := await self.problem(wait.begin_probe(now())) or self._check.foreign_answer()) is not None:
            self.last_problem = problem
            seconds = wait.end_probe(problem, now())
            if wait.warning:
                warn(wait.warning)
            await pause(seconds)
        self.last_problem = None

    async def _probe(self) -> str | None:
        check = self._check
        try:
            connection = await self._upstream.acquire()
        except AppUnreachable as error:
            return check.no_connection(error.connect_error or error)
        try:
            if check.request is None:
                return None
            connection.begin(check.request.method, encode_request_head(check.request, check.address.host_header))
            while (head := await connection.next_head()).status < 200:
                pass
            return check.problem_of(head.status)
        except (AppUnreachable, InvalidAppResponse) as error:
            return check.no_response(error)
        finally:
            connection.close()
