"""The one way from every client to the function. Faults are injected and invocations are recorded here.

Front doors and Invoke APIs pass an invocation in and get an answer; they know nothing about faults and recordings.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.emulator.recording.recorder import REPLAY_HEADER
from adapter.payload.headers import first_values

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.environment.result import Answer
    from adapter.emulator.faults.injector import FaultInjector, InvocationFaults
    from adapter.emulator.function.scheduler import LocalFunction
    from adapter.emulator.recording.recorder import Recorder
    from adapter.payload.headers import Headers


class InvocationPipeline:
    """Invokes ``function``. Without ``faults`` none are injected; without ``recorder`` nothing is recorded."""

    def __init__(
        self, function: LocalFunction, faults: FaultInjector | None = None, recorder: Recorder | None = None
    ) -> None:
        self._submit = function.submit
        self._faults = faults
        self._recorder = recorder

    def prepare(self, invocation: LocalInvocation, headers: Headers, *, source: str) -> PendingInvocation:
        """Prepare the invocation for a request with ``headers``; ``source`` is the front door or the API's action."""
        faults = None if self._faults is None else self._faults.draw(invocation, headers)
        recorder = self._recorder
        # The replay of a recording is not recorded again.
        if recorder is not None and recorder.has_recording(first_values(headers).get(REPLAY_HEADER, "")):
            recorder = None
        return PendingInvocation(invocation, self._submit, faults, recorder, source=source)


class PendingInvocation:
    """An invocation that starts when its answer is asked for."""

    def __init__(
        self,
        invocation: LocalInvocation,
        submit: Callable[[LocalInvocation], None],
        faults: InvocationFaults | None,
        recorder: Recorder | None,
        *,
        source: str,
    ) -> None:
        self._invocation = invocation
        self._submit = submit
        self._faults = faults
        self._recorder = recorder
        self._source = source

    @property
    def drop_after(self) -> int | None:
        """The number of body bytes after which the client loses its connection; None is never."""
        return None if self._faults is None else self._faults.drop_after

    async def answer(self) -> Answer:
        """Invoke the function; return its answer, or the beginning of a streamed one."""
        invocation = self._invocation
        refusal = None if self._faults is None else await self._faults.before_invocation()
        if refusal is None:
            self._submit(invocation)
        else:
            invocation.reply.settle(refusal)
            invocation.finish()
        answer = await invocation.reply.answer()
        if self._faults is not None:
            answer = self._faults.apply(answer)
        if self._recorder is not None:
            answer = self._recorder.record(invocation, self._source, answer)
        return answer
