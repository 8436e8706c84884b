"""A request of a client to a front door or an Invoke API, its response, and the record of both for the log.

Lambda does not inform a function when the client disconnects. So writing to a client that has disconnected is not an
error here: the invocation continues, and ``RequestRecord.client_left`` is set.
"""

from __future__ import annotations

import asyncio
import time
from functools import lru_cache
from typing import TYPE_CHECKING

from adapter.emulator.environment.invocation import new_request_id, new_trace_id
from adapter.emulator.records.record import RequestRecord
from adapter.errors import bounded
from adapter.payload.headers import first, forwardable
from adapter.payload.messages import MONTHS
from adapter.payload.request_target import path_alone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.emulator.records.ring import RecordRing
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

# The names of the days in a Date header (RFC 9110 section 5.6.7); ``strftime`` would use those of the locale.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Statuses whose responses have no body (RFC 9110 section 6.4.1).
_BODILESS = frozenset({204, 304})


class ClientRequest:
    """A client's request: its ids, its record, and methods to send its response. The record is added to ``ring``.

    ``door`` is the name of the front door, empty for an Invoke API. ``id_headers`` are the names of the response's
    headers for the request id; if there are any, the response contains the trace id as well. ``drop_after`` is the
    number of body bytes after which the connection is closed. The injected fault "drop" sets it; without this fault it
    is None.
    """

    def __init__(self, exchange: Exchange, ring: RecordRing, *, door: str = "", id_headers: Sequence[str]) -> None:
        self.exchange = exchange
        self.request_id = new_request_id()
        self.trace_id = new_trace_id(time.time())
        # The query is left out of the log, because it may contain secrets and users copy logs into bug reports.
        path = bounded(path_alone(exchange.target))
        self.record = record = RequestRecord(
            method=exchange.method,
            target=path,
            door=door,
            request_id=self.request_id,
            trace_id=self.trace_id,
            client=exchange.client,
            client_method=exchange.method,
            client_target=exchange.target,
            client_headers=exchange.headers,
            clock=asyncio.get_running_loop().time,
        )
        self.drop_after: int | None = None
        self._id_headers = [(name, self.request_id) for name in id_headers]
        if id_headers:
            self._id_headers.append(("X-Amzn-Trace-Id", self.trace_id))
        self._bodiless = False
        ring.begin(record)

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of a response. Send its body with ``write``, then call ``end`` or ``break_off``."""
        self._bodiless = self._is_bodiless(status)
        self._send_head(status, headers, None, b"")
        await self._flush()

    async def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a complete response."""
        self._bodiless = self._is_bodiless(status)
        # If the body of a HEAD response is empty, the length of the GET response is not known, so no Content-Length is
        # sent.
        length = len(body) if body or not self._bodiless else None
        if self.drop_after is None and not self._bodiless:
            # Head and body are sent in one packet.
            self._send_head(status, headers, length, body)
            self.record.sent += len(body)
            self.record.add_piece(body, len(body))
        else:
            self._send_head(status, headers, length, b"")
            await self.write(body)
        await self._flush()
        self.end()

    def _is_bodiless(self, status: int) -> bool:
        return self.exchange.method == "HEAD" or status in _BODILESS

    def _send_head(self, status: int, headers: Headers, length: int | None, body: bytes) -> None:
        lines = forwardable(headers) + self._id_headers
        if not first(lines, "date"):
            lines.append(("date", _http_date(int(time.time()))))
        if not self.record.client_left:
            self.exchange.begin(status, lines, length=length, pieces=(body,))
        self.record.add_response(status, lines)

    async def write(self, piece: bytes | memoryview, *, payload: bytes | memoryview | None = None) -> None:
        """Send a piece of the body, then wait until the client accepts more data.

        If ``piece`` contains framing, ``payload`` is the piece without it. Does nothing if the client has disconnected,
        or if the response must not have a body.
        """
        if self._bodiless or self.record.client_left:
            return
        payload = piece if payload is None else payload
        size = len(payload)
        room = size if self.drop_after is None else self.drop_after - self.record.sent
        if size <= room:
            await self._flush(piece, size)
            self.record.add_piece(payload, size)
        else:
            await self._flush(piece[:room], room)
            self.record.add_piece(payload[:room], room)
            self.exchange.cut()
            self.record.client_left = True

    def end(self) -> None:
        """Complete the response after its body."""
        if not self.record.client_left:
            self.exchange.end()
        self.record.duration = self.record.now()

    def break_off(self) -> None:
        """Close the connection without a last chunk, so that the client can detect that the body is incomplete."""
        self.exchange.cut()
        self.record.broken_off = not self.record.client_left
        self.record.duration = self.record.now()

    async def _flush(self, piece: bytes | memoryview = b"", size: int = 0) -> None:
        if self.record.client_left:
            return
        try:
            await self.exchange.write((piece,))
        except ConnectionError:
            self.record.client_left = True
        else:
            self.record.sent += size


@lru_cache(maxsize=1)
def _http_date(second: int) -> str:
    """Return the Date header for ``second``, a Unix time. Cached, because all responses of a second share the value."""
    at = time.gmtime(second)
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {MONTHS[at.tm_mon - 1]} {at.tm_year:04} {clock} GMT"
