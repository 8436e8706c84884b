"""The response to one client: what is written to it, and what happens if the client leaves.

Lambda does not tell a function that its client has left. So writing to a client that left is not an error here: the
invocation goes on at the same pace, and the record says that the client left.
"""

from __future__ import annotations

import time
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING

from adapter.payload.headers import first, forwardable

if TYPE_CHECKING:
    from adapter.emulator.requests.request_record import RequestRecord
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

# Statuses whose responses have no body (RFC 9110 section 6.4.1).
_BODILESS = frozenset({204, 304})


class ClientResponse:
    """Writes the response to ``exchange`` and updates ``record``. ``request_id_headers`` are added to its headers.

    ``drop_after`` is the number of body bytes after which the client loses its connection on purpose; None is never.
    """

    def __init__(self, exchange: Exchange, record: RequestRecord, request_id_headers: Headers) -> None:
        self.drop_after: int | None = None
        self._exchange = exchange
        self._record = record
        self._request_id_headers = request_id_headers
        self._arrived = time.monotonic()
        self._bodiless = False

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of a response whose body follows in pieces."""
        self._set_status(status)
        self._send_head(headers, None, b"")
        await self._flush()

    async def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response."""
        self._set_status(status)
        # An empty body does not show the length of the body that a GET would have returned.
        length = len(body) if body or not self._bodiless else None
        if self.drop_after is None and not self._bodiless:
            # Head and body leave in one packet.
            self._send_head(headers, length, body)
            self._record.sent += len(body)
        else:
            self._send_head(headers, length, b"")
            await self.write(body)
        await self._flush()
        self.end()

    def _set_status(self, status: int) -> None:
        self._record.status = status
        self._bodiless = self._exchange.method == "HEAD" or status in _BODILESS

    def _send_head(self, headers: Headers, length: int | None, body: bytes) -> None:
        lines = forwardable(headers) + self._request_id_headers
        if not first(lines, "date"):
            lines.append(("date", _http_date(int(time.time()))))
        if not self._record.client_left:
            self._exchange.begin(self._record.status, lines, length=length, pieces=(body,))
        self._record.first_byte = time.monotonic() - self._arrived

    def close_connection_after(self) -> None:
        """Close the connection after this response, because the server still works for the request by then."""
        self._exchange.keep_alive = False

    async def write(self, piece: bytes | memoryview, *, size: int | None = None) -> None:
        """Send a piece of the body; wait if the client is slow.

        ``size`` is the number of bytes of the function's payload in ``piece`` if there is framing around them.
        """
        if self._bodiless or self._record.client_left:
            return
        size = len(piece) if size is None else size
        room = size if self.drop_after is None else self.drop_after - self._record.sent
        if size <= room:
            await self._flush(piece, size)
        else:
            await self._flush(piece[:room], room)
            self._exchange.cut()
            self._record.client_left = True

    def end(self) -> None:
        """End the response: its body is complete."""
        if not self._record.client_left:
            self._exchange.end()
        self._record.duration = time.monotonic() - self._arrived

    def break_off(self) -> None:
        """Close the connection without a last chunk, so that the client knows that the body is not complete."""
        self._exchange.cut()
        self._record.broken_off = not self._record.client_left
        self._record.duration = time.monotonic() - self._arrived

    async def _flush(self, piece: bytes | memoryview = b"", size: int = 0) -> None:
        if self._record.client_left:
            return
        try:
            await self._exchange.write((piece,))
        except ConnectionError:
            self._record.client_left = True
        else:
            self._record.sent += size


@lru_cache(maxsize=1)
def _http_date(second: int) -> str:
    """Return a Date header for ``second``; all responses within one second share it."""
    return formatdate(second, usegmt=True)
