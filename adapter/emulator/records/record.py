"""The record of one request to the emulator, with its invocation and its response.

Front doors, Invoke APIs, the Lambda function and its environments write to the record while the request is served. The
terminal, the inspector and the summary at the exit read the record. If possible, a record refers to the request's data
instead of copying the data, so writing a record is cheap. ``RecordRing`` bounds the memory of all records together.
"""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import Callable, Iterator, Sized
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT, KIB, MIB
from adapter.errors import bounded

if TYPE_CHECKING:
    from adapter.payload.headers import Headers
    from adapter.payload.messages import ResponseHead

# The size of the kept part of a body that exceeds the limit of buffered responses, in bytes. Up to that limit the whole
# body is kept, since the inspector computes what a buffered front door would do with it.
CUT_BODY = 256 * KIB
# The limits of what is kept for one invocation: the app's output in bytes, and the number of pauses that the bandwidth
# cap causes.
OUTPUT_LIMIT = 64 * KIB
_MOST_PAUSES = 256
# Pauses of the bandwidth cap that are closer together than this are merged into one, in seconds.
_PAUSE_GAP = 0.02
# The maximum memory of a record that is not yet reported to the ring, in bytes.
_UNCOUNTED = 4 * KIB
# The approximate size of a record without its event, body, output and headers, in bytes.
_BASE_SIZE = 4 * KIB
# The number of points after which the curve of a stream is thinned, and the size of a point in bytes.
_MOST_POINTS = 256
_POINT_SIZE = 24
# Points that are closer together than this are merged into one, in seconds.
_RESOLUTION = 0.001


class ReportedFailure(Protocol):
    """The reason why an invocation failed, for example an ``environment.result.Failure``."""

    error_type: str

    @property
    def message(self) -> str:
        """The message that describes the failure. It may be an empty string."""

    @property
    def is_throttling(self) -> bool:
        """Whether the invocation was throttled because no environment was free."""


class Curve:
    """The curve of a stream: the bytes that have arrived from the app and the bytes sent to the client, over time.

    Times are in seconds since the request arrived. The curve of a long stream is thinned: of two neighbouring points,
    the one at which the curve bends less is dropped. So corners, such as the end of a burst, keep their exact place.
    """

    __slots__ = ("_arrivals", "_sent", "_times", "arrived", "sent")

    def __init__(self) -> None:
        self.arrived = 0
        self.sent = 0
        self._times = array("d")
        self._arrivals = array("q")
        self._sent = array("q")

    def __len__(self) -> int:
        return len(self._times)

    def __iter__(self) -> Iterator[tuple[float, int, int]]:
        return zip(self._times, self._arrivals, self._sent, strict=True)

    def add(self, now: float, arrived: int = 0, sent: int = 0) -> None:
        """Count ``arrived`` more bytes from the app and ``sent`` more bytes to the client, at the time ``now``."""
        self.arrived += arrived
        self.sent += sent
        times = self._times
        if len(times) > 1 and now - times[-2] < _RESOLUTION:
            times[-1], self._arrivals[-1], self._sent[-1] = now, self.arrived, self.sent
            return
        times.append(now)
        self._arrivals.append(self.arrived)
        self._sent.append(self.sent)
        if len(times) > _MOST_POINTS:
            self._thin()

    def restart(self, arrived: int) -> None:
        """Subtract the metadata prelude from the counts, so that they count only the body: ``arrived`` bytes so far."""
        excess, self.arrived = self.arrived - arrived, arrived
        for index, total in enumerate(self._arrivals):
            self._arrivals[index] = max(0, total - excess)

    def sample(self, most: int) -> list[tuple[float, int]]:
        """Return up to ``most`` evenly spaced points (time, bytes sent), including the first and the last point."""
        last = len(self._times) - 1
        if last < most:
            chosen: Iterator[int] | range = range(last + 1)
        else:
            chosen = (round(index * last / (most - 1)) for index in range(most))
        return [(self._times[index], self._sent[index]) for index in chosen]

    def _thin(self) -> None:
        """Drop about half of the points, but neither the first nor the last."""
        kept = [0]
        for index in range(1, len(self._times) - 2, 2):
            kept.append(index if self._bend(index) >= self._bend(index + 1) else index + 1)
        kept.append(len(self._times) - 1)
        self._times = array("d", [self._times[index] for index in kept])
        self._arrivals = array("q", [self._arrivals[index] for index in kept])
        self._sent = array("q", [self._sent[index] for index in kept])

    def _bend(self, index: int) -> float:
        """Return how much the curves of the arrived and of the sent bytes bend at a point.

        The bend of a curve is twice the area of the triangle that the point and its two neighbours form. The bends of
        both curves are added.
        """
        before, at, after = self._times[index - 1], self._times[index], self._times[index + 1]
        return sum(
            abs((at - before) * (ys[index + 1] - ys[index - 1]) - (after - before) * (ys[index] - ys[index - 1]))
            for ys in (self._arrivals, self._sent)
        )


def _ignore(_record: RequestRecord) -> None:
    """Do nothing. Used while the record is not in a ring."""


@dataclass(slots=True, eq=False)
class RequestRecord:
    """The record of one request and its response. Times and durations are in seconds, sizes in bytes.

    Times without "at" in their name count from the arrival of the request. ``began_at`` is the time of the arrival, in
    seconds since the epoch. ``number`` identifies the record within the run; several attempts to process an
    asynchronous event have the same request id.

    ``method`` and ``target`` are for log lines. ``target`` has no query. For an Invoke API, they are the names of the
    action and of the function. ``client_method``, ``client_target`` and ``client_headers`` are the client's own.
    ``mode`` is ``streaming`` if the front door or the API reads the response as a stream, else ``buffered``.

    ``status`` is the status sent to the client, ``sent`` the number of body bytes sent. ``streamed`` is the number of
    body bytes in a streamed response; they are billed even if the client has disconnected. ``init`` and ``restore`` are
    the durations of the init and the restore that delayed the invocation, or None if there was no delay. ``held`` is
    how long the bandwidth cap has delayed the response so far, ``pauses`` has the start and end of each delay. ``door``
    is the name of the front door, empty for the Invoke APIs. ``refused`` is True if the request was refused and the
    Lambda function did not run. ``broken_off`` is True if the emulator closed the connection in the middle of the
    response. ``mismatch`` is True if the invoke modes of the function and the front door differ. ``decoded`` is the
    Content-Encoding that the front door has decoded. ``warning`` is a problem of the response that does not make the
    invocation fail. For an event that is not an HTTP request, ``app_path`` is the path that the app received, and
    ``app_status`` is the app's status. ``answered_by`` names the part of the emulator that answered instead of the
    function. It is empty if the function was invoked or the request was refused.

    ``event`` is the event of the invocation, ``deadline_ms`` the deadline in milliseconds since the epoch.
    ``client_context``, ``tenant_id`` and ``function_arn`` are the invocation's other data. ``environment`` is the
    number of the execution environment, 0 if none has run the invocation. ``queued``, ``begun`` and ``answered`` are
    the times when the invocation entered the queue, when an environment began it, and when the answer began.
    ``concluded`` is the time when the environment had finished the invocation. ``report`` has the figures of the
    invocation's REPORT line. ``is_over`` is True once the client has its response.

    ``head`` is the response head as the function sent it, ``prelude_size`` the size of the metadata prelude.
    ``response_headers`` are the headers sent to the client. ``body`` is the beginning of the body, and ``body_size``
    is the size of the whole body. ``longest_pause`` is the longest time without a piece from the app.

    ``is_counted`` is True once the ``RecordRing`` has called ``on_finished`` for this record.

    ``replay_of`` is the number of the record that this request repeats, 0 if it repeats none. ``is_stored`` is False
    once the ring has dropped the data of the record. ``memory`` is the record's approximate size in bytes, and
    ``counted_memory`` is the part of ``memory`` that the ring has counted. ``watches`` has one function for each open
    page of the inspector. The ring calls these functions after each change.
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

    number: int = 0
    trace_id: str = ""
    client: str = ""
    client_method: str = ""
    # Fields that may contain secrets are not in ``repr``, which may be logged.
    client_target: str = field(default="", repr=False)
    client_headers: Headers = field(default_factory=list, repr=False)
    mode: str = "buffered"
    replay_of: int = 0
    began_at: float = field(default_factory=time.time)
    event: bytes = field(default=b"", repr=False)
    client_context: str = field(default="", repr=False)
    tenant_id: str = ""
    function_arn: str = ""
    deadline_ms: int = 0
    environment: int = 0
    queued: float | None = None
    begun: float | None = None
    answered: float | None = None
    concluded: float | None = None
    is_over: bool = False
    head: ResponseHead | None = field(default=None, repr=False)
    prelude_size: int = 0
    response_headers: Headers = field(default_factory=list, repr=False)
    body: bytearray = field(default_factory=bytearray, repr=False)
    body_size: int = 0
    curve: Curve = field(default_factory=Curve)
    longest_pause: float = 0.0
    pauses: list[list[float]] = field(default_factory=list)
    held_since: float | None = None
    output: list[tuple[float, str, bytes]] = field(default_factory=list, repr=False)
    log_lines: list[str] = field(default_factory=list, repr=False)
    report: dict[str, float] = field(default_factory=dict)
    is_stored: bool = True
    is_counted: bool = False
    keeps_bodies: bool = True
    memory: int = _BASE_SIZE
    counted_memory: int = 0
    on_change: Callable[[RequestRecord], None] = _ignore
    watches: Sized = ()
    clock: Callable[[], float] = time.monotonic
    _started: float = 0.0
    _output_size: int = 0
    _last_arrival: float | None = None

    def __post_init__(self) -> None:
        self._started = self.clock()

    def now(self) -> float:
        """Return the time since the arrival of the request, in seconds."""
        return self.clock() - self._started

    @property
    def held_so_far(self) -> float:
        """Return how long the bandwidth cap has delayed the response, including the delay in progress."""
        return self.held + (self.now() - self.held_since if self.held_since is not None else 0.0)

    def changed(self, grown: int = 0) -> None:
        """Note that the record has changed and that it takes ``grown`` more bytes of memory.

        Inform the ring if a page of the inspector is open, or if the record's memory has changed by more than 4 KB
        since the ring counted it. Otherwise a later call informs the ring.
        """
        self.memory += grown
        if self.watches or abs(self.memory - self.counted_memory) > _UNCOUNTED:
            self.on_change(self)

    def add_failure(self, failure: ReportedFailure) -> None:
        """Add the type and the message of the invocation's failure. Set ``refused`` if the invocation was throttled."""
        self.error_type, self.error_message = failure.error_type, bounded(failure.message)
        self.refused = failure.is_throttling

    def add_truncated_request(self) -> None:
        """Record that the client disconnected before its request was complete, so there is no invocation."""
        self.error_type = "no invocation, because the request was incomplete"
        self.client_left = self.refused = True

    def add_event(self, event: bytes, *, is_streaming: bool) -> None:
        """Record that the event is about to enter the queue."""
        self.queued = self.now()
        self.mode = "streaming" if is_streaming else "buffered"
        if self.is_stored:
            self.event = event
            # The headers of the client, which are in the event as well, have up to 1 MB.
            self.changed(len(event) + min(len(event), MIB))

    def begin(self, environment: int, cold_start: tuple[float | None, float | None], deadline_ms: int) -> None:
        """Record that an environment begins the invocation. ``cold_start`` has the durations of init and restore."""
        self.begun, self.environment, self.deadline_ms = self.now(), environment, deadline_ms
        self.init, self.restore = cold_start
        self.changed()

    def conclude(self, report: dict[str, float]) -> None:
        """Record that the environment has finished the invocation. ``report`` has the figures of the REPORT line."""
        self.concluded, self.report = self.now(), report
        self.on_change(self)

    def add_output(self, line: bytes, stream: str) -> None:
        """Add a line that a process wrote to ``stream`` during the invocation. Drop the output beyond OUTPUT_LIMIT."""
        if self.is_stored and self._output_size < OUTPUT_LIMIT:
            line = line[: OUTPUT_LIMIT - self._output_size]
            self._output_size += len(line) + 64
            self.output.append((self.now(), stream, line))
            self.changed(len(line) + 64)

    # --- the response ----------------------------------------------------------------------------------------------

    def add_arrival(self, size: int) -> None:
        """Record that a piece of ``size`` bytes, or the whole payload, has arrived from the app."""
        now = self.now()
        if self._last_arrival is not None:
            self.longest_pause = max(self.longest_pause, now - self._last_arrival)
        self._last_arrival = now
        self._add_point(now, size, 0)

    def add_head(self, head: ResponseHead, prelude_size: int, body_size: int) -> None:
        """Record the response head, and the size of its prelude. ``body_size`` bytes have arrived after the prelude."""
        self.prelude_size = prelude_size
        self.curve.restart(body_size)
        if self.is_stored:
            self.head = head
            self.changed(prelude_size)

    def add_response(self, status: int, headers: Headers) -> None:
        """Record that the response head is sent to the client."""
        self.status, self.first_byte = status, self.now()
        if self.is_stored:
            self.response_headers = headers
            self.changed(sum([len(name) + len(value) for name, value in headers]))

    def add_piece(self, piece: bytes | memoryview, size: int) -> None:
        """Record that ``piece``, which contains ``size`` bytes of the payload, was sent to the client."""
        self.body_size += size
        grown = 0
        if self.is_stored and self.keeps_bodies:
            before = len(self.body)
            if self.body_size <= BUFFERED_RESPONSE_LIMIT:
                self.body += piece
            elif before < CUT_BODY:
                self.body += piece[: CUT_BODY - before]
            else:
                del self.body[CUT_BODY:]
            grown = len(self.body) - before
        self._add_point(self.now(), 0, size, grown)

    def _add_point(self, now: float, arrived: int, sent: int, grown: int = 0) -> None:
        before = len(self.curve)
        self.curve.add(now, arrived, sent)
        self.changed(grown + _POINT_SIZE * (len(self.curve) - before))

    async def hold(self, seconds: float) -> None:
        """Sleep for ``seconds``, because the bandwidth cap holds the response back."""
        self.held_since = began = self.now()
        try:
            await asyncio.sleep(seconds)
        finally:
            self.held_since, ended = None, self.now()
            self.held += ended - began
            if self.pauses and (began - self.pauses[-1][1] < _PAUSE_GAP or len(self.pauses) >= _MOST_PAUSES):
                self.pauses[-1][1] = ended
            else:
                self.pauses.append([began, ended])

    def drop(self) -> None:
        """Drop the event, the body and the output to free memory. Keep the data that the inspector's list shows."""
        self.is_stored, self.memory = False, _BASE_SIZE + _POINT_SIZE * len(self.curve)
        self.event, self.body, self.head = b"", bytearray(), None
        self.output, self.client_headers, self.response_headers = [], [], []
        self.client_target = self.client_target[:_BASE_SIZE]

    def leave(self, on_change: Callable[[RequestRecord], None]) -> None:
        """Drop the record's data after the ring has removed the record. Report later changes to ``on_change``."""
        self.drop()
        self.on_change = on_change
