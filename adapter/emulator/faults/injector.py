"""Injects the faults of a plan into invocations and their answers."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING
from weakref import WeakSet

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
from adapter.emulator.faults.fault_streams import FaultStream, cut_after, filled_up
from adapter.emulator.faults.plan import Kind

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.faults.plan import Fault, FaultPlan
    from adapter.payload.headers import Headers


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


class InvocationFaults:
    """The faults of one invocation, at most one of each kind."""

    def __init__(self, injector: FaultInjector, faults: dict[Kind, Fault], invocation: LocalInvocation) -> None:
        self._injector = injector
        self._faults = faults
        self._invocation = invocation

    @property
    def drop_after(self) -> int | None:
        """The number of body bytes after which the client loses its connection; None is never."""
        return int(self._faults[Kind.DROP].amount) if Kind.DROP in self._faults else None

    async def before_invocation(self) -> Failure | None:
        """Wait for a delay; return why the function must not be invoked, or None."""
        if Kind.DELAY in self._faults:
            await self._injector.sleep(self._faults[Kind.DELAY].amount)
        return failure(THROTTLED, "Rate Exceeded.") if Kind.THROTTLE in self._faults else None

    def apply(self, answer: Answer) -> Answer:
        """Return ``answer`` with the faults in it."""
        for kind, fault in self._faults.items():
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
        return self._injector.watch(FaultStream(stream, pieces))

    def _faulty_payload(self, payload: Payload, kind: Kind) -> Answer:
        """Return the failure that replaces a payload, since a payload cannot be broken off in its middle."""
        if kind is Kind.TRUNCATE:
            return truncated()
        if kind is Kind.KILL:
            self._kill_app()
            error = f"RequestId: {self._invocation.request_id} Error: Runtime exited with error: signal: killed"
            return failure(EXIT_ERROR, error)
        return too_large() if kind is Kind.FILL else payload

    def _kill_app(self) -> None:
        if self._invocation.kill_app is not None:
            self._invocation.kill_app()
