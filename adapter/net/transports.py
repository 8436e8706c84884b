"""What asyncio leaves to each protocol: the fill of a socket's send queue, and closing with a reset."""

from __future__ import annotations

import fcntl
import socket
import struct
import termios
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio

# Bytes in a socket's send queue: all that are not acknowledged (tcp(7)), and those not even sent (linux/sockios.h).
_SIOCOUTQ, _SIOCOUTQNSD = termios.TIOCOUTQ, 0x894B


def reset_on_close(transport: asyncio.Transport) -> None:
    """Have the end of the connection be a reset, which the other side cannot take for a regular end."""
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def undelivered(transport: asyncio.Transport) -> int:
    """Return how many of the written bytes have not arrived at the other side, as far as the kernel knows.

    The kernel learns of an arrival late (delayed acknowledgements), so for some milliseconds the number is too high.
    """
    return transport.get_write_buffer_size() + _queued_in_kernel(transport, _SIOCOUTQ)


def unsent(transport: asyncio.Transport) -> int:
    """Return how many of the written bytes are still on this side, since the other side has no room for them."""
    return transport.get_write_buffer_size() + _queued_in_kernel(transport, _SIOCOUTQNSD)


def _queued_in_kernel(transport: asyncio.Transport, request: int) -> int:
    try:
        answer = fcntl.ioctl(transport.get_extra_info("socket").fileno(), request, bytes(4))
    except OSError:
        # Some systems do not support these requests for sockets.
        return 0
    size: int = struct.unpack("i", answer)[0]
    return size
