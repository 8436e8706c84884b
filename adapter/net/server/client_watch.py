"""Checks that a client makes progress while the server waits for it, and that it has not disconnected."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING

from adapter.net.server.errors import ClientStalledError

if TYPE_CHECKING:
    from collections.abc import Callable

# The interval at which an unread socket is checked, in seconds. A disconnect must be noticed within one second.
DISCONNECT_INTERVAL = 0.25
# POLLRDHUP (Linux only) reports that the client has closed its sending side, even if bytes are unread.
_HALF_CLOSED = getattr(select, "POLLRDHUP", 0)
_GONE = select.POLLHUP | select.POLLERR


async def wait_for_progress(waiter: asyncio.Future[None], progress: Callable[[], int], limit: float) -> None:
    """Wait until ``waiter`` is done, as long as the value of ``progress()`` keeps growing.

    The value is checked every ``limit`` seconds. Raises ClientStalledError if it is the same as at the check before.
    """
    before = progress()
    while not (await asyncio.wait((waiter,), timeout=limit))[0]:
        now = progress()
        if now == before:
            raise ClientStalledError(f"the client made no progress for {limit:g} s (--client-timeout)")
        before = now


class DisconnectWatcher:
    """Notices that a client disconnects while its socket is not read. The event loop would not notice.

    Calls ``on_half_close`` at each check while the client has only closed its sending side, and ``on_disconnect`` once
    the connection is gone.
    """

    def __init__(
        self, transport: asyncio.Transport, on_half_close: Callable[[], None], on_disconnect: Callable[[], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_half_close = on_half_close
        self._on_disconnect = on_disconnect
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket"), _HALF_CLOSED | _GONE)
        self._timer = self._loop.call_later(DISCONNECT_INTERVAL, self._check)

    def stop(self) -> None:
        """Stop watching. Call this when the socket is read again or closed."""
        self._timer.cancel()

    def _check(self) -> None:
        found = self._poll.poll(0)
        if found and found[0][1] & _GONE:
            self._on_disconnect()
            return
        self._timer = self._loop.call_later(DISCONNECT_INTERVAL, self._check)
        if found:
            # This may stop the watch.
            self._on_half_close()
