"""The requests of clients to front doors and Invoke APIs, and the pipeline that their invocations pass through.

The pipeline injects faults and records answers in files, so front doors and Invoke APIs do neither.
Lambda does not inform a function when the client disconnects. So writing to a client that has disconnected is not an
error here: the invocation continues, and ``RequestRecord.client_left`` is set.
"""

from __future__ import annotations

import time
from functools import lru_cache
from typing import TYPE_CHECKING

from adapter.emulator.environment.invocation import new_request_id, new_trace_id
from adapter.emulator.environment.result import Payload, Stream
from adapter.emulator.records.record import RequestRecord
from adapter.emulator.records.ring import RecordRing
from adapter.errors import bounded
from adapter.payload.headers import first, forwardable
from adapter.payload.messages import MONTHS
from adapter.payload.request_target import path_alone

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import TracebackType
    from typing import Self

    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.environment.result import Answer
    from adapter.emulator.faults.injector import FaultInjector
    from adapter.emulator.function.scheduler import LocalFunction
    from adapter.emulator.recording.recordings import Recorder
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

# The names of the days in a Date header (RFC 9110 section 5.6.7); ``strftime`` would use those of the locale.
_DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
# Statuses whose responses have no body (RFC 9110 section 6.4.1).
_BODILESS = frozenset({204, 304})


class InvocationPipeline:
    """Invokes ``function``. Without ``injector`` no faults are injected; without ``recorder`` no files are written.

    ``ring`` receives the record of each request. ``report`` is called with the record when the request has ended.
    """

    def __init__(
        self,
        function: LocalFunction,
        injector: FaultInjector | None = None,
        recorder: Recorder | None = None,
        ring: RecordRing | None = None,
        report: Callable[[RequestRecord], None] = lambda _: None,
    ) -> None:
        self.report = report
        self.ring = RecordRing() if ring is None else ring
        self._submit = function.submit
        self._injector = injector
        self._recorder = recorder

    async def invoke(
        self, invocation: LocalInvocation, headers: Headers, *, source: str, client: ClientRequest | None = None
    ) -> Answer:
        """Invoke the function and return its answer. A streamed answer is returned as soon as it begins.

        ``headers`` are those of the request that caused the invocation. ``source`` is the name of the front door or of
        the API's action, for the recording. ``client`` is the request of the client that waits for the answer; it is
        None for an asynchronous invocation.
        """
        faults = self._injector.draw(invocation, headers) if self._injector is not None else None
        if faults is not None and client is not None:
            client.drop_after = faults.drop_after
        record = invocation.record
        record.client_context, record.tenant_id = invocation.client_context, invocation.tenant_id
        record.function_arn = invocation.invoked_function_arn
        record.add_event(invocation.event, is_streaming=invocation.is_streaming)
        refusal = await faults.before_invocation() if faults is not None else None
        if refusal is None:
            self._submit(invocation)
        else:
            invocation.reply.settle(refusal)
            invocation.finish()
        answer = await invocation.reply.answer()
        record.answered = record.now()
        if isinstance(answer, Stream):
            answer.on_piece = record.add_arrival
        elif isinstance(answer, Payload):
            record.add_arrival(len(answer.body))
        if faults is not None:
            answer = faults.apply(answer)
        if self._recorder is not None:
            answer = self._recorder.record(invocation, headers, source, answer)
        return answer


class ClientRequest:
    """A client's request: its ids, its record, and methods to send its response.

    The record is added to the ring of ``pipeline``. Answer the request in ``with client:``; at the end of this block,
    the record is completed and reported.

    ``door`` is the name of the front door, empty for an Invoke API. ``id_headers`` are the names of the response
    headers that contain the request id; if there are any, the response contains the trace id as well. ``drop_after`` is
    the number of body bytes after which the connection is closed. The injected fault "drop" sets it; without this
    fault it is None.
    """

    def __init__(
        self, exchange: Exchange, pipeline: InvocationPipeline, *, door: str = "", id_headers: Sequence[str]
    ) -> None:
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
        )
        self.drop_after: int | None = None
        self._id_headers = [(name, self.request_id) for name in id_headers]
        if id_headers:
            self._id_headers.append(("X-Amzn-Trace-Id", self.trace_id))
        self._bodiless = False
        self._pipeline = pipeline
        pipeline.ring.begin(record)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._pipeline.ring.end(self.record)
        if error is None:
            self._pipeline.report(self.record)

    async def begin(self, status: int, headers: Headers) -> None:
        """Send the head of a response. The caller then calls ``write`` for the body, and ``end`` or ``break_off``."""
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

        If ``piece`` contains framing, ``payload`` is the piece without the framing. Do nothing if the client has
        disconnected, or if the response must not have a body.
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
