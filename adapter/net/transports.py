"""Socket functions that asyncio lacks: the number of bytes in the send queue, closing with a reset, a safe EOF."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

# ioctl requests for the number of bytes in a socket's send queue: all unacknowledged bytes (tcp(7)), and only the
# unsent ones (linux/sockios.h).
_SIOCOUTQ, _SIOCOUTQNSD = termios.TIOCOUTQ, 0x894B


def reset_on_close(transport: asyncio.Transport) -> None:
    """Make closing the connection send a reset, so that the peer does not mistake it for a regular end."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def end_sending(transport: asyncio.Transport) -> None:
    """Close the sending direction of the connection, if the peer has not reset the connection."""
    if not transport.can_write_eof():
        return
    try:
        transport.write_eof()
    except OSError:
        # asyncio calls ``connection_lost`` later.
        return


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
