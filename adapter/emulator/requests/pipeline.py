"""The pipeline that every invocation passes through: it injects faults, invokes the function and records the answer.

Front doors and Invoke APIs call this pipeline, so they need not handle faults and recordings themselves.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.emulator.environment.result import Payload, Stream
from adapter.emulator.records.ring import RecordRing

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.environment.result import Answer
    from adapter.emulator.faults.injector import FaultInjector
    from adapter.emulator.function.scheduler import LocalFunction
    from adapter.emulator.recording.recordings import Recorder
    from adapter.emulator.requests.client_request import ClientRequest
    from adapter.payload.headers import Headers


class InvocationPipeline:
    """Invokes ``function``. Without ``injector`` no faults are injected; without ``recorder`` no files are written.

    ``ring`` receives the record of each request.
    """

    def __init__(
        self,
        function: LocalFunction,
        injector: FaultInjector | None = None,
        recorder: Recorder | None = None,
        ring: RecordRing | None = None,
    ) -> None:
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
