"""The limits of the HTTP server: how much memory, how much time and how many connections clients may use."""

from __future__ import annotations

from typing import Final

# The number of bytes of a request body that may wait for the application. If more wait, the socket is not read.
BODY_HIGH_WATER: Final = 256 * 1024
# The number of bytes of a response that may be buffered for the client. If more are buffered, writers wait.
WRITE_HIGH_WATER: Final = 64 * 1024
# The maximum number of parsed requests that wait behind the request that is being served. A parsed request takes
# 1.4 KB, so further requests are kept as unparsed bytes.
MAX_PIPELINED: Final = 2
# The maximum number of bytes received at once while the body of a request arrives (RECEIVE_BODY), and at other times
# (RECEIVE_HEAD). At other times, all bytes may be pipelined requests, which are kept until the requests before them are
# answered.
RECEIVE_BODY: Final = 256 * 1024
RECEIVE_HEAD: Final = 8 * 1024
# Replaces RECEIVE_HEAD while clients that send tiny chunks wait for their turn, since another such body may begin.
RECEIVE_BUSY: Final = 1024
# If more pieces of a body than this arrive at once, the body is costly to parse. It is then received slowly, so that it
# does not delay other clients.
COSTLY_PIECES: Final = 64
# The maximum size of trailers, and of the extensions of one chunk, in bytes. The limit of a head is ``head_bytes``.
MAX_TRAILER_BYTES: Final = 64 * 1024


class Limits:
    """The limits for each client, and for the number of connections. Times are in seconds. None means no limit.

    - ``head_bytes``: the maximum size of the request line and headers, in bytes. The default is Lambda's quota of
      1 MB for the request line and headers together.
    - ``head_timeout``: the maximum time for a request head to arrive, and for a new client to begin its first head.
    - ``keep_alive_timeout``: the maximum time that a connection may be idle between two requests.
    - ``linger_timeout``: the maximum time that a client may continue to send after the final response. Then the
      client is disconnected.
    - ``late_request_timeout``: the maximum time for a new client to send its request head after the server has stopped
      accepting connections.
    - ``flush_timeout``: the maximum time for a client to receive the remaining data after the server begins to close
      the connection.
    - ``client_timeout``: the maximum time that the server waits for a client to make progress in sending or receiving.
    - ``connections``: the maximum number of open connections.
    """

    def __init__(
        self,
        *,
        head_bytes: int = 1024 * 1024,
        head_timeout: float = 30.0,
        keep_alive_timeout: float = 75.0,
        linger_timeout: float = 5.0,
        late_request_timeout: float = 0.5,
        flush_timeout: float = 30.0,
        client_timeout: float | None = None,
        connections: int | None = None,
    ) -> None:
        self.head_bytes: Final = head_bytes
        self.head_timeout: Final = head_timeout
        self.keep_alive_timeout: Final = keep_alive_timeout
        self.linger_timeout: Final = linger_timeout
        self.late_request_timeout: Final = late_request_timeout
        self.flush_timeout: Final = flush_timeout
        self.client_timeout: Final = client_timeout
        self.connections: Final = connections
