"""Detects clients that make no progress while the server waits for them, and clients that have disconnected."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Protocol

from adapter.net.server.errors import ClientStalledError

if TYPE_CHECKING:
    from collections.abc import Callable

# The interval at which unread sockets are checked, in seconds. A disconnect must be noticed within one second.
DISCONNECT_INTERVAL = 0.25
# POLLRDHUP (Linux only) reports that the client has closed its sending side, even if bytes are unread.
_HALF_CLOSED = getattr(select, "POLLRDHUP", 0)
_GONE = select.POLLHUP | select.POLLERR


async def wait_for_progress(waiter: asyncio.Future[None], progress: Callable[[], int], limit: float) -> None:
    """Wait until ``waiter`` is done.

    Calls ``progress()`` at the start and then every ``limit`` seconds. Raises ClientStalledError if two
    calls in a row return the same number.
    """
    before = progress()
    while not (await asyncio.wait((waiter,), timeout=limit))[0]:
        now = progress()
        if now == before:
            raise ClientStalledError(f"the client made no progress for {limit:g} s; --client-timeout sets this limit")
        before = now


class UnreadClient(Protocol):
    """A connection whose socket is not being read."""

    def end_unread_input(self) -> None:
        """Handle the end of the client's input. Called at every check after the client has closed its sending side."""

    def abort(self) -> None:
        """Close the connection. Called if the client has disconnected."""


class DisconnectWatcher:
    """Detects when clients disconnect while their sockets are not being read. The event loop does not detect this.

    One system call checks all these clients. A timer for each client would be too costly: the server stops reading from
    clients that pipeline requests, and the timers of a few thousand such clients would take a fifth of the CPU time.
    """

    def __init__(self) -> None:
        # The keys are file descriptors.
        self._clients: dict[int, UnreadClient] = {}
        self._poll = select.poll()
        self._is_scheduled = False

    def watch(self, client: UnreadClient, transport: asyncio.Transport) -> int:
        """Check ``client`` regularly until ``stop`` is called. Return the argument for ``stop``."""
        descriptor: int = transport.get_extra_info("socket").fileno()
        self._clients[descriptor] = client
        self._poll.register(descriptor, _HALF_CLOSED | _GONE)
        self._schedule()
        return descriptor

    def stop(self, descriptor: int) -> None:
        """Stop checking the client for which ``watch`` returned ``descriptor``.

        Call this before the client's socket is read again or closed.
        """
        del self._clients[descriptor]
        self._poll.unregister(descriptor)

    def _schedule(self) -> None:
        if self._clients and not self._is_scheduled:
            self._is_scheduled = True
            asyncio.get_running_loop().call_later(DISCONNECT_INTERVAL, self._check)

    def _check(self) -> None:
        self._is_scheduled = False
        for descriptor, events in self._poll.poll(0):
            client = self._clients.get(descriptor)
            if client is None:
                # Handling another client in this loop has stopped the watch of this one.
                continue
            if events & _GONE:
                client.abort()
            else:
                client.end_unread_input()
        self._schedule()
