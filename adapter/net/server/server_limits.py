"""The limits of a server: how much memory, time and how many connections clients may use."""

from __future__ import annotations

from typing import Final

# How much of a request body may wait for its reader before the socket is left unread, in bytes.
BODY_HIGH_WATER = 256 * 1024
# How much of a response may wait for the client before its writer waits, in bytes.
WRITE_HIGH_WATER = 64 * 1024
# How many pipelined requests may wait behind the one that is served.
MAX_PIPELINED = 8


class Limits:
    """What one client may use, and how many clients there may be. Times are in seconds.

    - ``head_bytes``: Lambda quotas, "request line + headers: 1 MB in all"; a proxy should not allow less than what it
      stands in for.
    - ``head_timeout``: how long a request head may take, and how long a new client may send nothing.
    - ``keep_alive_timeout``: how long a connection may be idle between two requests.
    - ``linger_timeout``: how long a client may go on sending after the last response, before it is reset.
    - ``flush_timeout``: how long a client may take to receive the last bytes sent to it, at most WRITE_HIGH_WATER.
    - ``client_timeout``: how long a client may neither send nor receive anything while the server waits for it.
    - ``connections``: how many there may be at once.
    """

    def __init__(
        self,
        *,
        head_bytes: int = 1024 * 1024,
        head_timeout: float = 30.0,
        keep_alive_timeout: float = 75.0,
        linger_timeout: float = 5.0,
        flush_timeout: float = 30.0,
        client_timeout: float | None = None,
        connections: int | None = None,
    ) -> None:
        self.head_bytes: Final = head_bytes
        self.head_timeout: Final = head_timeout
        self.keep_alive_timeout: Final = keep_alive_timeout
        self.linger_timeout: Final = linger_timeout
        self.flush_timeout: Final = flush_timeout
        self.client_timeout: Final = client_timeout
        self.connections: Final = connections
