"""A request of a client to a front door or an Invoke API, its response, and the record of both for the log.

Lambda does not inform a function when the client disconnects. So writing to a client that has disconnected is not an
error here: the invocation continues, and ``RequestRecord.client_left`` is set.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from adapter.emulator.environment.invocation import new_request_id, new_trace_id
from adapter.emulator.environment.result import THROTTLED, Failure
from adapter.payload.headers import first, forwardable
from adapter.payload.messages import MONTHS
from adapter.payload.request_target import path_alone

if TYPE_CHECKING:
    from collections.abc import Sequence

    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

# The names of the days in a Date header (RFC 9110 section 5.6.7); ``strftime`` would use those of the locale.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Statuses whose responses have no body (RFC 9110 section 6.4.1).
_BODILESS = frozenset({204, 304})


@dataclass(slots=True)
class RequestRecord:
    """The record of one request and its response. Times are in seconds, sizes in bytes.

    ``status`` is the status sent to the client, ``sent`` the number of body bytes sent. ``streamed`` is the number of
    body bytes in a streamed response; they are billed even if the client has disconnected. ``init`` and ``restore`` are
    the durations of the init and the restore for which the invocation waited, or None if it did not wait. ``held`` is
    how long the bandwidth cap delayed the response.
    ``door`` is the name of the front door, empty for the Invoke APIs. ``refused`` is True if the request was refused,
    so that the function did not run. ``broken_off`` is True if the adapter closed the connection in the middle of the
    response. ``mismatch`` is True if the invoke modes of the function and the front door differ. ``decoded`` is the
    Content-Encoding that the front door has decoded. ``warning`` is a problem of the response that does not make the
    invocation fail. ``app_status`` and ``app_path`` are the app's status and path for an event that is not an HTTP
    request. ``answered_by`` names the part of the emulator that answered instead of the function; it is empty if the
    function was invoked or the request refused.
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
    mismatch: bool = False
    decoded: str = ""
    warning: str = ""
    app_status: int = 0
    app_path: str = ""
    answered_by: str = ""

    def add_invocation(self, invocation: LocalInvocation) -> None:
        """Copy the duration of the cold start, and the app's status and path, from an answered invocation."""
        self.init, self.restore = invocation.init_seconds, invocation.restore_seconds
        self.app_status, self.app_path = invocation.app_status, invocation.app_path

    def add_failure(self, failure: Failure) -> None:
        """Add the type and the message of the invocation's failure. Set ``refused`` if Lambda throttled it."""
        self.error_type, self.error_message = failure.error_type, failure.message
        self.refused = failure.error_type == THROTTLED

    def add_truncated_request(self) -> None:
        """Record that the client left before its request was complete, so there is no invocation."""
        self.error_type = "no invocation, the request broke off"
        self.client_left = self.refused = True


class ClientRequest:
    """The request in ``exchange``: its ids, its record, and methods to send its response.

    ``door`` is the name of the front door, empty for an Invoke API. ``id_headers`` are the names of the response's
    headers for the request id; if there are any, the response contains the trace id as well. ``drop_after`` is the
    number of body bytes after which the connection is closed. The injected fault "drop" sets it; without this fault it
    is None.
    """

    def __init__(self, exchange: Exchange, *, door: str = "", id_headers: Sequence[str]) -> None:
        self.exchange = exchange
        self.request_id = new_request_id()
        self.trace_id = new_trace_id(time.time())
        # The query is left out of the log, because it may contain secrets and users copy logs into bug reports.
        path = path_alone(exchange.target)
        self.record = RequestRecord(method=exchange.method, target=path, door=door, request_id=self.request_id)
        self.drop_after: int | None = None
        self._id_headers = [(name, self.request_id) for name in id_headers]
        if id_headers:
            self._id_headers.append(("X-Amzn-Trace-Id", self.trace_id))
        self._arrived = time.monotonic()
        self._bodiless = False

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of a response. Send its body with ``write``, then call ``end`` or ``break_off``."""
        self._set_status(status)
        self._send_head(headers, None, b"")
        await self._flush()

    async def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Send a complete response."""
        self._set_status(status)
        # If the body of a HEAD response is empty, the length of the GET response is not known, so no Content-Length is
        # sent.
        length = len(body) if body or not self._bodiless else None
        if self.drop_after is None and not self._bodiless:
            # Head and body are sent in one packet.
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
        """Send a piece of the body, then wait until the client accepts more data.

        If ``piece`` contains framing, ``size`` is the number of payload bytes in it. Does nothing if the client has
        disconnected, or if the response must not have a body.
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
        """Complete the response after its body."""
        if not self.record.client_left:
            self.exchange.end()
        self.record.duration = time.monotonic() - self._arrived

    def break_off(self) -> None:
        """Close the connection without a last chunk, so that the client can detect that the body is incomplete."""
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
    """Return the Date header for ``second``, a Unix time. Cached, because all responses of a second share the value."""
    at = time.gmtime(second)
    clock = f"{at.tm_hour:02}:{at.tm_min:02}:{at.tm_sec:02}"
    return f"{_DAYS[at.tm_wday]}, {at.tm_mday:02} {MONTHS[at.tm_mon - 1]} {at.tm_year:04} {clock} GMT"
