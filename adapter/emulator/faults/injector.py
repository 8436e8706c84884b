"""Injects the faults of a plan into invocations and their answers.

A fault of a streamed response (truncate, kill or fill) is implemented as an asynchronous generator. The generator reads
the pieces of the original stream and yields the pieces that the client receives.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias
from weakref import WeakSet

from adapter.aws.limits import KIB, STREAM_LIMIT
from adapter.emulator.environment.result import (
    EXIT_ERROR,
    STOPPED,
    THROTTLED,
    Answer,
    Failure,
    Payload,
    Stream,
    failure,
    too_large,
    truncated,
)
from adapter.emulator.faults.plan import Kind
from adapter.payload.function_response import CONTENT_TYPE as WITH_PRELUDE
from adapter.payload.function_response import DELIMITER

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.faults.plan import Fault, FaultPlan
    from adapter.payload.headers import Headers


_FILLER = b"." * (64 * KIB)

Pieces: TypeAlias = AsyncGenerator[bytes, None]


class FaultInjector:
    """Injects the faults of ``plan``.

    Call ``stop`` when the emulator stops, so that delays and filler end.
    """

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._stopped = asyncio.Event()
        self._streams: WeakSet[FaultStream] = WeakSet()

    def draw(self, invocation: LocalInvocation, headers: Headers) -> InvocationFaults | None:
        """Draw random numbers, and return the faults for ``invocation``, or None if it has no fault.

        ``headers`` are the headers of the invocation's request. Call this once for each invocation, in the order of
        arrival.
        """
        if not self._plan.has_faults:
            return None
        faults = self._plan.for_invocation(headers)
        return InvocationFaults(self, faults, invocation) if faults else None

    def stop(self) -> None:
        """End all delays, and make all faulty streams fail. Later calls of ``sleep`` return at once."""
        self._stopped.set()
        for stream in tuple(self._streams):
            stream.fail(failure(STOPPED, "adapter dev was stopped"))

    def watch(self, stream: FaultStream) -> Stream:
        """Register ``stream`` and return it. ``stop`` makes all registered streams fail."""
        self._streams.add(stream)
        return stream

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``, or until ``stop`` is called."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()


@dataclass(slots=True)
class InvocationFaults:
    """The faults of one invocation, at most one of each kind."""

    injector: FaultInjector
    faults: dict[Kind, Fault]
    invocation: LocalInvocation

    @property
    def drop_after(self) -> int | None:
        """The number of body bytes after which the client's connection is closed; None means never."""
        return int(self.faults[Kind.DROP].amount) if Kind.DROP in self.faults else None

    async def before_invocation(self) -> Failure | None:
        """Wait if the faults contain a delay. Return a failure if the function must not be invoked, else None."""
        if Kind.DELAY in self.faults:
            await self.injector.sleep(self.faults[Kind.DELAY].amount)
        return failure(THROTTLED, "Rate Exceeded.") if Kind.THROTTLE in self.faults else None

    def apply(self, answer: Answer) -> Answer:
        """Return ``answer`` with the faults applied. A fault can replace a payload by a failure, or kill the app."""
        for kind, fault in self.faults.items():
            if isinstance(answer, Stream):
                answer = self._faulty_stream(answer, kind, int(fault.amount))
            elif isinstance(answer, Payload):
                answer = self._faulty_payload(answer, kind)
        return answer

    def _faulty_stream(self, stream: Stream, kind: Kind, amount: int) -> Stream:
        if kind is Kind.TRUNCATE:
            pieces = cut_after(stream, amount, lambda: stream.fail(truncated()))
        elif kind is Kind.KILL:
            pieces = cut_after(stream, amount, self._kill_app)
        elif kind is Kind.FILL:
            pieces = filled_up(stream)
        else:
            return stream
        return self.injector.watch(FaultStream(stream, pieces))

    def _faulty_payload(self, payload: Payload, kind: Kind) -> Answer:
        """Return the failure that replaces ``payload``, or ``payload`` itself if ``kind`` does not affect payloads.

        The kind KILL also kills the app.
        """
        if kind is Kind.TRUNCATE:
            return truncated()
        if kind is Kind.KILL:
            self._kill_app()
            error = f"RequestId: {self.invocation.request_id} Error: Runtime exited with error: signal: killed"
            return failure(EXIT_ERROR, error)
        return too_large() if kind is Kind.FILL else payload

    def _kill_app(self) -> None:
        if self.invocation.kill_app is not None:
            self.invocation.kill_app()


class FaultStream(Stream):
    """A stream that returns ``pieces`` and otherwise behaves like ``original``."""

    def __init__(self, original: Stream, pieces: Pieces) -> None:
        self.content_type = original.content_type
        self.is_buffered = original.is_buffered
        self.failure: Failure | None = None
        self.ended = original.ended
        self._original = original
        self._pieces = pieces
        self._over = False

    async def read(self) -> bytes:
        """Return the next piece, or ``b""`` at the end."""
        if self._over:
            return b""
        piece = await anext(self._pieces, b"")
        if not piece:
            self._over = True
            self.failure = self._original.failure
        return piece

    def fail(self, why: Failure) -> None:
        """End the stream with a failure. This works even if the original stream has ended and filler is being sent."""
        if not self._over:
            self._over = True
            self.failure = why
            self._original.fail(why)


class _PreludeScanner:
    """Finds the end of the metadata prelude in a stream, if the stream has one."""

    def __init__(self, stream: Stream) -> None:
        self._in_prelude = stream.content_type == WITH_PRELUDE
        self._tail = b""

    def body_start(self, piece: bytes) -> int:
        """Return the position in ``piece`` at which the body begins, or ``len(piece)`` if the prelude has not ended.

        Call this with each piece of the stream, in order.
        """
        if not self._in_prelude:
            return 0
        known = len(self._tail)
        joined = self._tail + piece
        end = joined.find(DELIMITER)
        self._tail = joined[1 - len(DELIMITER) :]
        if end < 0:
            return len(piece)
        self._in_prelude = False
        return end + len(DELIMITER) - known


async def cut_after(original: Stream, limit: int, then: Callable[[], None]) -> Pieces:
    """Yield the pieces of ``original`` up to ``limit`` bytes of its body. If the body is longer, call ``then``.

    Then yield the rest of the stream. If ``then`` has failed the stream, yield nothing more.
    """
    scanner = _PreludeScanner(original)
    room = limit
    while piece := await original.read():
        start = scanner.body_start(piece)
        body = len(piece) - start
        if body > room:
            cut = start + room
            if head := piece[:cut]:
                yield head
            then()
            # If the stream has not failed, it continues with exactly the next byte.
            if original.failure is None:
                yield piece[cut:]
            while rest := await original.read():
                yield rest
            return
        room -= body
        yield piece


async def filled_up(original: Stream, size: int = STREAM_LIMIT + 1) -> Pieces:
    """Yield the pieces of ``original``, then filler until ``size`` bytes have been yielded in total."""
    while piece := await original.read():
        size -= len(piece)
        yield piece
    while size > 0 and original.failure is None:
        yield _FILLER[:size]
        size -= len(_FILLER)
