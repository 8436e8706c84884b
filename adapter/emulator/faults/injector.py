"""Injects the faults of a plan into invocations and their answers.

A streamed response with a fault in it (truncated, cut by a kill, or filled up) is read like any other stream. Its fault
is an asynchronous generator over the pieces of the original.
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
    """Injects the faults of ``plan``, and ends those in progress when the emulator stops.

    The function does not know of a delay, or of what is added to a stream, so it cannot end them.
    """

    def __init__(self, plan: FaultPlan) -> None:
        self._plan = plan
        self._stopped = asyncio.Event()
        self._streams: WeakSet[FaultStream] = WeakSet()

    def draw(self, invocation: LocalInvocation, headers: Headers) -> InvocationFaults | None:
        """Return the faults of the next invocation, for a request with ``headers``; None if it has none."""
        faults = self._plan.for_invocation(headers)
        return InvocationFaults(self, faults, invocation) if faults else None

    def stop(self) -> None:
        """End all delays and all streams with a fault."""
        self._stopped.set()
        for stream in tuple(self._streams):
            stream.fail(failure(STOPPED, "adapter dev was stopped"))

    def watch(self, stream: FaultStream) -> Stream:
        """Return ``stream``, which will be ended by ``stop``."""
        self._streams.add(stream)
        return stream

    async def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``, or until ``stop``."""
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
        """The number of body bytes after which the client loses its connection; None is never."""
        return int(self.faults[Kind.DROP].amount) if Kind.DROP in self.faults else None

    async def before_invocation(self) -> Failure | None:
        """Wait for a delay; return why the function must not be invoked, or None."""
        if Kind.DELAY in self.faults:
            await self.injector.sleep(self.faults[Kind.DELAY].amount)
        return failure(THROTTLED, "Rate Exceeded.") if Kind.THROTTLE in self.faults else None

    def apply(self, answer: Answer) -> Answer:
        """Return ``answer`` with the faults in it."""
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
        """Return the failure that replaces a payload, since a payload cannot be broken off in its middle."""
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
    """The stream ``original`` with ``pieces`` instead of its own."""

    def __init__(self, original: Stream, pieces: Pieces) -> None:
        self.content_type = original.content_type
        self.failure: Failure | None = None
        self.ended = original.ended
        self._original = original
        self._pieces = pieces
        self._over = False

    async def read(self) -> bytes:
        """Return the next piece; empty at the end."""
        if self._over:
            return b""
        piece = await anext(self._pieces, b"")
        if not piece:
            self._over = True
            self.failure = self._original.failure
        return piece

    def fail(self, why: Failure) -> None:
        """End the stream, even if the original has ended and only added pieces are left."""
        if not self._over:
            self._over = True
            self.failure = why
            self._original.fail(why)


class _PreludeScanner:
    """Finds the end of the metadata prelude in the pieces of a stream that may begin with one."""

    def __init__(self, stream: Stream) -> None:
        self._in_prelude = stream.content_type == WITH_PRELUDE
        self._tail = b""

    def body_start(self, piece: bytes) -> int:
        """Return the position in ``piece``, the next one, at which the body begins."""
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
    """Yield the pieces up to ``limit`` bytes of the body; if there are more, call ``then`` and yield the rest."""
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
            # The client gets no gap: either the stream ends here, or all of it goes on.
            if original.failure is None:
                yield piece[cut:]
            while rest := await original.read():
                yield rest
            return
        room -= body
        yield piece


async def filled_up(original: Stream, size: int = STREAM_LIMIT + 1) -> Pieces:
    """Yield the pieces, and filler behind them up to ``size`` bytes."""
    while piece := await original.read():
        size -= len(piece)
        yield piece
    while size > 0 and original.failure is None:
        yield _FILLER[:size]
        size -= len(_FILLER)
