"""One request of a client to a front door or an Invoke API, the response to it, and the record for its line in the log.

Lambda does not tell a function that its client has left. So writing to a client that left is not an error here: the
invocation goes on at the same pace, and the record says that the client left.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from email.utils import formatdate
from functools import lru_cache
from typing import TYPE_CHECKING

from adapter.emulator.environment.invocation import new_request_id, new_trace_id
from adapter.emulator.environment.result import THROTTLED, Failure
from adapter.payload.headers import first, forwardable
from adapter.payload.request_target import path_alone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

# Statuses whose responses have no body (RFC 9110 section 6.4.1).
_BODILESS = frozenset({204, 304})


@dataclass(slots=True)
class RequestRecord:
    """One request and its response. Times are in seconds, sizes in bytes; None is what did not happen.

    ``status`` and ``sent`` (bytes of the body) are what the client was sent. ``streamed`` are the body bytes of a
    streamed response, which are billed even if the client has left. ``door`` names the front door; it is empty for the
    Invoke APIs. ``held`` is how long the bandwidth cap delayed the response. ``refused`` is True if there was no
    invocation. ``broken_off`` is True if the response was begun and then ended early on purpose. ``mismatch`` says how
    the invoke modes of the function and the front door differ.
    """

    method: str
    target: str
    status: int = 0
    sent: int = 0
    streamed: int = 0
    first_byte: float | None = None
    duration: float = 0.0
    init: float | None = None
    restore: float | None = None
    held: float = 0.0
    error_type: str = ""
    error_message: str = ""
    client_left: bool = False
    door: str = ""
    request_id: str = ""
    refused: bool = False
    broken_off: bool = False
    mismatch: str = ""

    def add_failure(self, failure: Failure) -> None:
        """Add why the invocation failed."""
        self.error_type, self.error_message = failure.error_type, failure.message
        self.refused = failure.error_type == THROTTLED

    def add_truncated_request(self) -> None:
        """Add that the client left before its request was complete, so that there was no invocation."""
        self.error_type = "no invocation, the request broke off"
        self.client_left = True


class ClientRequest:
    """The request in ``exchange``: its ids, the record of what happens to it, and its response.

    ``door`` is the name of the front door, empty for an Invoke API. ``id_headers`` are the response headers that carry
    the request id; if there are any, the response has the trace id as well. ``drop_after`` is the number of body bytes
    after which the client loses its connection on purpose; None is never.
    """

    def __init__(self, exchange: Exchange, *, door: str = "", id_headers: Sequence[str]) -> None:
        self.exchange = exchange
        self.request_id = new_request_id()
        self.trace_id = new_trace_id(time.time())
        # Without the query, which may have secrets in it: lines of the log are copied into bug reports.
        path = path_alone(exchange.target)
        self.record = RequestRecord(method=exchange.method, target=path, door=door, request_id=self.request_id)
        self.drop_after: int | None = None
        self._id_headers = [(name, self.request_id) for name in id_headers]
        if id_headers:
            self._id_headers.append(("X-Amzn-Trace-Id", self.trace_id))
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
            self.record.sent += len(body)
        else:
            self._send_head(headers, length, b"")
            await self.write(body)
        await self._flush()
        self.end()

    def _set_status(self, status: int) -> None:
        self.record.status = status
        self._bodiless = self.exchange.method == "HEAD" or status in _BODILESS

    def _send_head(self, headers: Headers, length: int | None, body: bytes) -> None:
        lines = forwardable(headers) + self._id_headers
        if not first(lines, "date"):
            lines.append(("date", _http_date(int(time.time()))))
        if not self.record.client_left:
            self.exchange.begin(self.record.status, lines, length=length, pieces=(body,))
        self.record.first_byte = time.monotonic() - self._arrived

    async def write(self, piece: bytes | memoryview, *, size: int | None = None) -> None:
        """Send a piece of the body; wait if the client is slow.

        ``size`` is the number of bytes of the function's payload in ``piece`` if there is framing around them.
        """
        if self._bodiless or self.record.client_left:
            return
        size = len(piece) if size is None else size
        room = size if self.drop_after is None else self.drop_after - self.record.sent
        if size <= room:
            await self._flush(piece, size)
        else:
            await self._flush(piece[:room], room)
            self.exchange.cut()
            self.record.client_left = True

    def end(self) -> None:
        """End the response: its body is complete."""
        if not self.record.client_left:
            self.exchange.end()
        self.record.duration = time.monotonic() - self._arrived

    def break_off(self) -> None:
        """Close the connection without a last chunk, so that the client knows that the body is not complete."""
        self.exchange.cut()
        self.record.broken_off = not self.record.client_left
        self.record.duration = time.monotonic() - self._arrived

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
    """Return a Date header for ``second``; all responses within one second share it."""
    return formatdate(second, usegmt=True)
