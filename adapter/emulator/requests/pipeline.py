"""The one way from every caller into the function: here faults strike on purpose, and invocations are recorded.

Front doors and Invoke APIs hand over a call and get an answer. What is done to an answer is done here, so that they
need not know.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from typing import TYPE_CHECKING
from weakref import WeakSet

from adapter.emulator.environment.result import (
    EXIT_ERROR,
    STOPPED,
    THROTTLED,
    Answer,
    Payload,
    Stream,
    failure,
    too_large,
    truncated,
)
from adapter.emulator.faults.fault_streams import FaultStream, cut_after, filled_up, truncated_after
from adapter.emulator.faults.plan import Fault, FaultPlan, Kind
from adapter.emulator.recording.recorder import REPLAY_HEADER
from adapter.payload.headers import first_values

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.function.scheduler import LocalFunction
    from adapter.emulator.recording.recorder import Recorder
    from adapter.payload.headers import Headers


class InvocationPipeline:
    """The way into ``function``. ``recorder`` None: nothing is recorded."""

    def __init__(
        self, function: LocalFunction, faults: FaultPlan | None = None, recorder: Recorder | None = None
    ) -> None:
        self._submit = function.submit
        self._faults = faults or FaultPlan()
        self._recorder = recorder
        self._ending = Ending()

    def admit(self, call: LocalInvocation, headers: Headers, *, source: str) -> PendingInvocation:
        """Take a call that a request with ``headers`` made; ``source`` names the front door, or the API's action."""
        faults = self._faults.for_invocation(headers)
        recorder = self._recorder
        if recorder is not None and recorder.has(first_values(headers).get(REPLAY_HEADER, "")):
            recorder = None
        return PendingInvocation(call, self._submit, faults, recorder, source=source, ending=self._ending)

    def end(self) -> None:
        """The emulator ends, and with it every delay, and every stream that something is done to."""
        self._ending.begin()


class Ending:
    """What faults have under way and the function does not know of: delays, and what is added to streams."""

    def __init__(self) -> None:
        self._begun = asyncio.Event()
        self._streams: WeakSet[FaultStream] = WeakSet()

    def begin(self) -> None:
        """End all of it."""
        self._begun.set()
        for stream in tuple(self._streams):
            stream.fail(failure(STOPPED, "adapter dev was stopped"))

    def watch(self, stream: FaultStream) -> FaultStream:
        """``stream``, which is to end, too."""
        self._streams.add(stream)
        return stream

    async def wait(self, seconds: float) -> None:
        """Wait for ``seconds``, or until the end has begun."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._begun.wait()


class PendingInvocation:
    """A call that was taken. It runs when its answer is asked for."""

    def __init__(
        self,
        call: LocalInvocation,
        submit: Callable[[LocalInvocation], None],
        faults: dict[Kind, Fault],
        recorder: Recorder | None,
        *,
        source: str,
        ending: Ending,
    ) -> None:
        self._call = call
        self._submit = submit
        self._faults = faults
        self._recorder = recorder
        self._source = source
        self._ending = ending

    @property
    def drop_after(self) -> int | None:
        """After how many bytes of the body the client is to lose its connection; None: never."""
        return int(self._faults[Kind.DROP].amount) if Kind.DROP in self._faults else None

    async def answer(self) -> Answer:
        """Have the function invoked; wait for its answer, or for the beginning of a streamed one."""
        call = self._call
        if Kind.DELAY in self._faults:
            await self._ending.wait(self._faults[Kind.DELAY].amount)
        if Kind.THROTTLE in self._faults:
            call.reply.settle(failure(THROTTLED, "Rate Exceeded."))
            call.finish()
        else:
            self._submit(call)
        answer = self._tampered(await call.reply.answer())
        return self._recorder.observe(call, self._source, answer) if self._recorder else answer

    def _tampered(self, answer: Answer) -> Answer:
        for kind, fault in self._faults.items():
            if isinstance(answer, Stream):
                answer = self._tampered_stream(answer, kind, int(fault.amount))
            elif isinstance(answer, Payload):
                answer = self._tampered_payload(answer, kind)
        return answer

    def _tampered_stream(self, stream: Stream, kind: Kind, amount: int) -> Stream:
        if kind is Kind.TRUNCATE:
            return self._ending.watch(truncated_after(stream, amount))
        if kind is Kind.KILL:
            return self._ending.watch(FaultStream(stream, cut_after(stream, amount, self._kill_app)))
        return self._ending.watch(filled_up(stream)) if kind is Kind.FILL else stream

    def _tampered_payload(self, payload: Payload, kind: Kind) -> Answer:
        """A payload has no middle: what would have broken it off comes in its place."""
        if kind is Kind.TRUNCATE:
            return truncated()
        if kind is Kind.KILL:
            self._kill_app()
            error = f"RequestId: {self._call.request_id} Error: Runtime exited with error: signal: killed"
            return failure(EXIT_ERROR, error)
        return too_large() if kind is Kind.FILL else payload

    def _kill_app(self) -> None:
        if self._call.kill_app is not None:
            self._call.kill_app()
