"""What a client does while somebody waits for it: whether it makes any progress, and whether it has gone."""

from __future__ import annotations

import asyncio
import fcntl
import select
import struct
import termios
from typing import TYPE_CHECKING

from adapter.net.server.errors import ClientStalledError

if TYPE_CHECKING:
    from collections.abc import Callable

# How often the socket of a client that is not read from is asked whether the client has gone, in seconds: it must be
# known within one.
DISCONNECT_INTERVAL = 0.25
# Bytes in a socket's send queue: all that are not acknowledged (tcp(7)), and those not even sent (linux/sockios.h).
_SIOCOUTQ, _SIOCOUTQNSD = termios.TIOCOUTQ, 0x894B
# Linux tells with POLLRDHUP that the client sends no more, whatever is still unread; elsewhere that is in POLLHUP.
_GONE = getattr(select, "POLLRDHUP", 0) | select.POLLHUP | select.POLLERR


class StallDetector:
    """Counts the bytes that a client has sent, and those that it has taken of what was written to it.

    ``limit`` is how long it may do neither while it is waited for, in seconds; None: as long as it likes.
    """

    __slots__ = ("_limit", "received", "written")

    def __init__(self, limit: float | None) -> None:
        self._limit = limit
        self.received = 0
        self.written = 0

    def taken(self, transport: asyncio.Transport | None) -> int:
        """How much of what was written has arrived at the client's end, as far as the kernel tells."""
        return self.written - (0 if transport is None else undelivered(transport))

    async def wait(self, waiter: asyncio.Future[None], moved: Callable[[], int]) -> None:
        """Wait for ``waiter`` as long as ``moved()`` goes on growing.

        A client that does nothing is noticed after ``limit`` seconds at least and twice that at most. Raises
        ClientStalledError.
        """
        if self._limit is None:
            await asyncio.shield(waiter)
            return
        before = moved()
        while not (await asyncio.wait((waiter,), timeout=self._limit))[0]:
            now = moved()
            if now == before:
                raise ClientStalledError(f"the client did nothing for {self._limit:g} s (--client-timeout)")
            before = now


class Deadline:
    """How long a client is waited for; ``end`` is called once it has taken too long.

    Every request sets limits, and hardly one is ever reached. So a limit is no timer of its own: there is one timer,
    which looks when it fires whether the limit has been put off meanwhile.
    """

    __slots__ = ("_deadline", "_end", "_loop", "_timer")

    def __init__(self, loop: asyncio.AbstractEventLoop, end: Callable[[], None]) -> None:
        self._loop = loop
        self._end = end
        self._deadline: float | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_limited(self) -> bool:
        """Whether there is a limit."""
        return self._deadline is not None

    def limit(self, seconds: float | None) -> None:
        """Wait for so long from now on; None: without a limit."""
        if seconds is None:
            self._deadline = None
            return
        self._deadline = self._loop.time() + seconds
        if self._timer is not None and self._timer.when() > self._deadline:
            self._timer.cancel()
            self._timer = None
        if self._timer is None:
            self._timer = self._loop.call_at(self._deadline, self._look)

    def stop(self) -> None:
        """Nobody waits any more."""
        self._deadline = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        if self._deadline is None:
            return
        if self._deadline <= self._loop.time():
            self._deadline = None
            self._end()
        else:
            self._timer = self._loop.call_at(self._deadline, self._look)


class DisconnectWatcher:
    """Notices that a client has gone while its socket is not read, which is how the event loop would notice."""

    def __init__(self, transport: asyncio.Transport, on_gone: Callable[[], None]) -> None:
        self._loop = asyncio.get_running_loop()
        self._on_gone = on_gone
        self._poll = select.poll()
        self._poll.register(transport.get_extra_info("socket"), _GONE)
        self._timer = self._loop.call_later(DISCONNECT_INTERVAL, self._look)

    def stop(self) -> None:
        """The socket is read again, or closed."""
        self._timer.cancel()

    def _look(self) -> None:
        if self._poll.poll(0):
            self._on_gone()
        else:
            self._timer = self._loop.call_later(DISCONNECT_INTERVAL, self._look)


def undelivered(transport: asyncio.Transport) -> int:
    """How many bytes of what was written have not arrived at the other end, as far as the kernel tells.

    An arrival is told late (delayed acknowledgements), so that for some milliseconds there may be more than is true.
    """
    return transport.get_write_buffer_size() + _in_kernel(transport, _SIOCOUTQ)


def unsent(transport: asyncio.Transport) -> int:
    """How many bytes of what was written wait on this side: the other end has no room for them."""
    return transport.get_write_buffer_size() + _in_kernel(transport, _SIOCOUTQNSD)


def _in_kernel(transport: asyncio.Transport, queue: int) -> int:
    try:
        answer = fcntl.ioctl(transport.get_extra_info("socket").fileno(), queue, bytes(4))
    except OSError:
        # Not every system knows these of sockets.
        answer = bytes(4)
    size: int = struct.unpack("i", answer)[0]
    return size
