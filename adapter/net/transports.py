"""Socket functions that asyncio lacks. They set options before connecting, measure the send queue, and end connections.

The peer may disconnect at any moment. So the functions that end a connection raise no error if the peer has gone.
"""

from __future__ import annotations

import asyncio
import fcntl
import socket
import struct
import termios
from contextlib import suppress
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    # The type of the result of ``socket.getaddrinfo``.
    Resolved = Sequence[tuple[int, int, int, str, tuple[object, ...]]]

# This option, set before connecting, makes the kernel send the last packet of the handshake together with the first
# data. So a server never sees a connection without a request; some servers close such a connection at once (hypercorn
# --keep-alive 0). Linux only.
_DEFER_ACCEPT = getattr(socket, "TCP_DEFER_ACCEPT", None)
# ioctl requests for the number of bytes in a socket's send queue: all unacknowledged bytes (tcp(7)), and only the
# unsent ones (linux/sockios.h).
_SIOCOUTQ, _SIOCOUTQNSD = termios.TIOCOUTQ, 0x894B


@lru_cache(maxsize=8)
def resolve_number(host: str, port: int) -> Resolved:
    """Return a list with one socket address if ``host`` is an IP address, else an empty list. Does not block."""
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except OSError:
        return []


async def connect(addresses: Resolved) -> socket.socket:
    """Connect to the first of ``addresses`` that accepts, and return the socket. Raises OSError if none accepts.

    On Linux, the socket has the option TCP_DEFER_ACCEPT. So the server does not see the connection until the first
    bytes arrive, and the caller must send at once.
    """
    loop = asyncio.get_running_loop()
    failure = OSError("the host has no address")
    for family, kind, protocol, _, address in addresses:
        connecting = socket.socket(family, kind, protocol)
        try:
            connecting.setblocking(False)
            if _DEFER_ACCEPT is not None:
                connecting.setsockopt(socket.IPPROTO_TCP, _DEFER_ACCEPT, 1)
            await loop.sock_connect(connecting, address)
        except OSError as error:
            connecting.close()
            failure = error
        except BaseException:
            connecting.close()
            raise
        else:
            return connecting
    try:
        raise failure
    finally:
        # Break the reference cycle: the error's traceback refers to this frame, and the frame refers to the error.
        del failure


def reset_on_close(transport: asyncio.Transport) -> None:
    """Make ``close`` end the connection with a reset, so that the peer does not mistake this end for a regular one."""
    with suppress(OSError):  # macOS raises it if the peer has gone
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def end_sending(transport: asyncio.Transport) -> None:
    """Close the sending side of the connection once all written data is sent.

    The protocol must call this function again in ``resume_writing``, which asyncio calls when the last byte is sent.
    asyncio's own ``write_eof`` needs no second call, but it raises or logs an OSError if the peer has gone.
    """
    transport.set_write_buffer_limits(high=0)
    if not transport.get_write_buffer_size() and not transport.is_closing():
        with suppress(OSError):
            transport.get_extra_info("socket").shutdown(socket.SHUT_WR)


def undelivered(transport: asyncio.Transport) -> int:
    """Return how many of the written bytes the peer has not acknowledged.

    The peer may delay its acknowledgements, so the number can be too high for some milliseconds.
    """
    return transport.get_write_buffer_size() + _queued_in_kernel(transport, _SIOCOUTQ)


def unsent(transport: asyncio.Transport) -> int:
    """Return how many of the written bytes have not been sent, for example because the peer has no room for them."""
    return transport.get_write_buffer_size() + _queued_in_kernel(transport, _SIOCOUTQNSD)


def _queued_in_kernel(transport: asyncio.Transport, request: int) -> int:
    try:
        answer = fcntl.ioctl(transport.get_extra_info("socket").fileno(), request, bytes(4))
    except OSError:
        # Some systems do not support these ioctl requests for sockets.
        return 0
    size: int = struct.unpack("i", answer)[0]
    return size
