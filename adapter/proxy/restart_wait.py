"""Lets requests wait for a restart of the app if the app has ended or refuses connections.

No part of such a request was sent yet, so it can still be served once the app listens. Only one waiting request at a
time tries to connect, once per RESTART_INTERVAL. So the rate of attempts does not depend on the number of requests.
Requests also wait if the adapter did not start the app, since another process may restart the app.
"""

from __future__ import annotations

import asyncio
import contextlib
from time import monotonic
from typing import TYPE_CHECKING

from adapter.app.readiness import RESTART_INTERVAL, RESTART_WAIT, is_refused
from adapter.errors import AppNotServing, AppUnreachable

if TYPE_CHECKING:
    from adapter.proxy.app_supervisor import AppSupervisor
    from adapter.proxy.upstream import Upstream, UpstreamConnection


class RestartWait:
    """Connects requests to ``upstream`` after they have waited for a restart of the app."""

    def __init__(self, upstream: Upstream, supervisor: AppSupervisor) -> None:
        self._upstream = upstream
        self._supervisor = supervisor
        # Held by the request that tries to connect.
        self._turn = asyncio.Lock()

    async def connect(self, problem: AppUnreachable | AppNotServing, limit: float | None) -> UpstreamConnection:
        """Wait up to RESTART_WAIT seconds until the app accepts a connection, and return the connection.

        ``limit`` is None, or a time of the monotonic clock that ends the wait earlier. ``problem`` is the error that
        caused the wait. If the app accepts no connection in time, raise a new error of the class of ``problem``, with a
        message that says how long the request has waited.
        """
        began = monotonic()
        end = began + RESTART_WAIT
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout_at(end if limit is None else min(end, limit)), self._turn:
                while self._supervisor.ready or self._supervisor.is_restarting:
                    connection = await self._try_to_connect()
                    if connection is not None:
                        return connection
                    await asyncio.sleep(RESTART_INTERVAL)
        waited = monotonic() - began
        if isinstance(problem, AppNotServing):
            raise AppNotServing(f"{problem}; it was not ready within {waited:.1f} s")
        raise AppUnreachable(f"{problem}; waited {waited:.1f} s for a restart", waited=waited)

    async def _try_to_connect(self) -> UpstreamConnection | None:
        if not self._supervisor.ready:
            return None
        try:
            return await self._upstream.acquire(reuse=False)
        except AppUnreachable as error:
            if not is_refused(error.connect_error):
                raise
            return None
