"""The client's half of one request at a front door: what is written to it, and what becomes of it when it leaves.

Lambda does not tell a function that its client is gone. So writing to a client that left is no error here: the
invocation runs on at the same pace, and the visit's line says that nobody saw the end of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING

from adapter.emulator.requests.request_record import RequestRecord
from adapter.payload.headers import first, forwardable

if TYPE_CHECKING:
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

# Statuses whose responses have no body (RFC 9110 section 6.4.1).
_BODILESS = frozenset({204, 304})


class ClientSide:
    """Writes one response and keeps ``visit`` up to date. ``clock`` is in seconds, every response has ``marks``.

    ``drop_after`` is after how many body bytes the client is to lose its connection on purpose; None: never.
    """

    def __init__(
        self, exchange: Exchange, visit: RequestRecord, clock: Callable[[], float], request_id_headers: Headers
    ) -> None:
        self.drop_after: int | None = None
        self._exchange = exchange
        self._visit = visit
        self._clock = clock
        self._request_id_headers = request_id_headers
        self._arrived = clock()
        self._bodiless = False

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of a body that will be sent in pieces, at once."""
        self._send_head(status, headers, None, ())
        await self._flush()

    async def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a whole response."""
        bodiless = self._exchange.method == "HEAD" or status in _BODILESS
        # An empty body says nothing about the length that a response with a body would have had.
        length = len(body) if body or not bodiless else None
        if self.drop_after is not None or bodiless:
            self._send_head(status, headers, length, ())
            await self.write(body)
        else:
            self._send_head(status, headers, length, (body,))
            self._visit.sent += len(body)
        await self._flush()
        await self.end()

    def _send_head(self, status: int, headers: Headers, length: int | None, pieces: tuple[bytes, ...]) -> None:
        self._bodiless = self._exchange.method == "HEAD" or status in _BODILESS
        lines = forwardable(headers) + self._request_id_headers
        if not first(lines, "date"):
            lines.append(("date", _date(int(time.time()))))
        self._visit.status = status
        if not self._visit.client_left:
            self._exchange.begin(status, lines, length=length, pieces=pieces)
        self._visit.first_byte = self._clock() - self._arrived

    def end_connection(self) -> None:
        """This response is the last one of its connection: more is to be done for it than the client waits for."""
        self._exchange.keep_alive = False

    async def write(self, piece: bytes | memoryview, *, size: int | None = None) -> None:
        """Send a piece of the body, at once; waits while the client does not keep up.

        ``size`` is how many bytes of the function's payload are in it, where it has a framing around them.
        """
        if self._bodiless or self._visit.client_left:
            return
        size = len(piece) if size is None else size
        if self.drop_after is not None and self._visit.sent + size > self.drop_after:
            room = self.drop_after - self._visit.sent
            await self._flush((piece[:room],), room)
            self._exchange.cut()
            self._visit.client_left = True
        else:
            await self._flush((piece,), size)

    async def end(self) -> None:
        """The body is complete."""
        if not self._visit.client_left:
            self._exchange.end()
        self._visit.duration = self._clock() - self._arrived

    def cut(self) -> None:
        """The body will not be complete: close the connection without a last chunk, so that the client can tell."""
        self._exchange.cut()
        self._visit.broken_off = not self._visit.client_left
        self._visit.duration = self._clock() - self._arrived

    async def _flush(self, pieces: tuple[bytes | memoryview, ...] = (), size: int = 0) -> None:
        if self._visit.client_left:
            return
        try:
            await self._exchange.write(pieces)
        except ConnectionError:
            self._visit.client_left = True
        else:
            self._visit.sent += size


@lru_cache(maxsize=1)
def _date(second: int) -> str:
    """A second as the Date header has it; all responses of that second share the text."""
    return formatdate(second, usegmt=True)
