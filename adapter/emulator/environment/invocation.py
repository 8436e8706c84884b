"""One invocation in the emulator: its event, its answer, and functions that generate its ids."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from adapter.emulator.environment.result import Answer, Failure, Stream
from adapter.emulator.environment.state_tables import InvocationState
from adapter.emulator.records.record import RequestRecord


class Reply:
    """The answer to one invocation. Callers can wait for the answer."""

    def __init__(self) -> None:
        self._answer: Answer | None = None
        self._arrived = asyncio.Event()

    @property
    def failure(self) -> Failure | None:
        """The reason why the invocation has failed, or None if it has not failed so far."""
        answer = self._answer
        if isinstance(answer, Stream):
            return answer.failure
        return answer if isinstance(answer, Failure) else None

    @property
    def is_complete(self) -> bool:
        """Whether the answer is complete: a failure, a whole payload, or a stream that has ended."""
        answer = self._answer
        return answer is not None and (not isinstance(answer, Stream) or answer.ended.done())

    def settle(self, answer: Answer) -> None:
        """Set the answer. No effect if the answer is already set."""
        if self._answer is None:
            self._answer = answer
            self._arrived.set()

    def fail(self, why: Failure) -> None:
        """Fail the invocation, even in the middle of a streamed answer. No effect if the answer is complete."""
        self.settle(why)
        if isinstance(self._answer, Stream):
            self._answer.fail(why)

    async def answer(self) -> Answer:
        """Wait for the answer and return it. A streamed answer is returned when it begins."""
        await self._arrived.wait()
        assert self._answer is not None, "it has arrived"
        return self._answer


class LocalInvocation:
    """An event for the function, with its answer and its log.

    ``label`` names the invocation in lines for the user. ``deadline_ms`` is in milliseconds since the epoch; it is set
    when an environment starts the invocation. ``record`` is the record of the request that caused the invocation.

    ``is_streaming`` is True if the caller reads the response as a stream.

    ``log`` is the end of the invocation's log, which consists of Lambda's own lines and the output of the processes
    during the invocation. More lines may be added after the answer, until ``finished`` returns.

    ``kill_app`` kills the app or, if the runtime has not started an app, the runtime. ``kill_app`` is None while no
    environment is running the invocation.
    """

    def __init__(
        self,
        *,
        label: str,
        event: bytes,
        request_id: str,
        trace_id: str,
        invoked_function_arn: str = "",
        client_context: str = "",
        cognito_identity: str = "",
        tenant_id: str = "",
        is_streaming: bool = False,
        record: RequestRecord | None = None,
    ) -> None:
        self.label = label
        self.record = record or RequestRecord(method="", target=label, request_id=request_id)
        self.event = event
        self.request_id = request_id
        self.trace_id = trace_id
        self.invoked_function_arn = invoked_function_arn
        self.client_context = client_context
        self.cognito_identity = cognito_identity
        self.tenant_id = tenant_id
        self.is_streaming = is_streaming
        self.deadline_ms = 0
        self.state = InvocationState.QUEUED
        self.reply = Reply()
        self.log = b""
        self.kill_app: Callable[[], None] | None = None
        self._finished = asyncio.Event()

    def finish(self) -> None:
        """Mark the invocation as finished: its answer and its log are complete."""
        self._finished.set()

    async def finished(self) -> None:
        """Wait until ``finish`` is called: the invocation has ended, timed out or failed."""
        await self._finished.wait()


def new_request_id() -> str:
    """Return a new request id in Lambda's format: a random UUID (RFC 9562, version 4)."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def new_trace_id(now: float) -> str:
    """Return a value for the X-Ray trace header (X-Ray, "Tracing header"); ``now`` is in seconds since the epoch."""
    digits = os.urandom(20).hex()
    return f"Root=1-{int(now):08x}-{digits[:24]};Parent={digits[24:]};Sampled=0"
