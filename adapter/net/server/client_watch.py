"""Watching a client: whether it makes progress while the server waits for it, and whether it has disconnected."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

from adapter.net.server.errors import ClientStalledError

if TYPE_CHECKING:
    from collections.abc import Callable

# How often an unread socket is checked, in seconds: a disconnect must be noticed within one second.
DISCONNECT_INTERVAL = 0.25
# On Linux, POLLRDHUP reports that the client sends no more, even if bytes are still unread; elsewhere POLLHUP does.
_DISCONNECTED = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


async def wait_for_progress(waiter: asyncio.Future[None], progress: Callable[[], int], limit: float) -> None:
    """Wait for ``waiter`` as long as ``progress()`` keeps growing.

    Raises ClientStalledError once it has not grown for ``limit`` seconds, or for twice that at most.
    """
    before = progress()
    while not (await asyncio.wait((waiter,), timeout=limit))[0]:
        now = progress()
        if now == before:
            raise ClientStalledError(f"the client did nothing for {limit:g} s (--client-timeout)")
        before = now


class DisconnectWatcher:
    """Notices that a client disconnects while its socket is not read, when the event loop does not notice."""

    def __init__(self, transport: asyncio.Transport, on_disconnect: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_disconnect = on_disconnect
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket"), _DISCONNECTED)
        self._timer = self._loop.call_later(DISCONNECT_INTERVAL, self._check)

    def stop(self) -> None:
        """Stop watching, because the socket is read again or closed."""
        self._timer.cancel()

    def _check(self) -> None:
        if self._poll.poll(0):
            self._on_disconnect()
        else:
            self._timer = self._loop.call_later(DISCONNECT_INTERVAL, self._check)
