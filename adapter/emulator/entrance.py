"""The one way from every caller into the function: here faults strike on purpose, and invocations are recorded.

Front doors and Invoke APIs hand over a call and get an answer. What is done to an answer is done here, so that they
need not know.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING

from adapter.emulator.faults import Fault, FaultPlan, Kind
from adapter.emulator.reply import EXIT_ERROR, THROTTLED, Answer, Payload, Stream, failure, too_large, truncated
from adapter.emulator.tampering import TamperedStream, cut_after, filled_up, truncated_after

if TYPE_CHECKING:
    from adapter.emulator.call import Call
    from adapter.emulator.function import LocalFunction
    from adapter.emulator.recording import Recorder
    from adapter.payload.headers import Headers


class Entrance:
    """The way into ``function``. ``recorder`` None: nothing is recorded."""

    def __init__(
        self, function: LocalFunction, faults: FaultPlan | None = None, recorder: Recorder | None = None
    ) -> None:
        self._submit = function.submit
        self._faults = faults or FaultPlan()
        self._recorder = recorder

    def admit(self, call: Call, headers: Headers, *, source: str) -> Admission:
        """Take a call that a request with ``headers`` made; ``source`` names the front door, or the API's action."""
        return Admission(call, self._submit, self._faults.for_invocation(headers), self._recorder, source)


class Admission:
    """A call that was taken. It runs when its answer is asked for."""

    def __init__(
        self,
        call: Call,
        submit: Callable[[Call], None],
        faults: dict[Kind, Fault],
        recorder: Recorder | None,
        source: str,
    ) -> None:
        self._call = call
        self._submit = submit
        self._faults = faults
        self._recorder = recorder
        self._source = source

    @property
    def drop_after(self) -> int | None:
        """After how many bytes of the body the client is to lose its connection; None: never."""
        return int(self._faults[Kind.DROP].amount) if Kind.DROP in self._faults else None

    async def answer(self) -> Answer:
        """Have the function invoked; wait for its answer, or for the beginning of a streamed one."""
        call = self._call
        if Kind.DELAY in self._faults:
            await asyncio.sleep(self._faults[Kind.DELAY].amount)
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
            return truncated_after(stream, amount)
        if kind is Kind.KILL:
            return TamperedStream(stream, cut_after(stream, amount, self._kill_app))
        return filled_up(stream) if kind is Kind.FILL else stream

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
