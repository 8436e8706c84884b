"""One invocation in the emulator, from the front door to its answer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from adapter.emulator.environment.result import Answer, Failure, Stream
from adapter.emulator.environment.state_tables import InvocationState


class Reply:
    """The place where the answer of one invocation arrives."""

    def __init__(self) -> None:
        self._answer: Answer | None = None
        self._arrived = asyncio.Event()

    @property
    def failure(self) -> Failure | None:
        """How the invocation failed, as far as is known; None if it did not."""
        answer = self._answer
        if isinstance(answer, Stream):
            return answer.failure
        return answer if isinstance(answer, Failure) else None

    @property
    def is_complete(self) -> bool:
        """Whether the whole answer has been read, or none will come."""
        answer = self._answer
        return answer is not None and (not isinstance(answer, Stream) or answer.ended.done())

    def settle(self, answer: Answer) -> None:
        """Set the answer; only the first one counts."""
        if self._answer is None:
            self._answer = answer
            self._arrived.set()

    def fail(self, why: Failure) -> None:
        """Let the invocation fail. Without effect if its answer is complete."""
        self.settle(why)
        if isinstance(self._answer, Stream):
            self._answer.fail(why)

    async def answer(self) -> Answer:
        """Wait for the answer, or for the beginning of a streamed one."""
        await self._arrived.wait()
        assert self._answer is not None, "it has arrived"
        return self._answer


class LocalInvocation:
    """An event on its way to the function, and the place where its answer arrives.

    ``label`` names it in lines for the user. ``deadline_ms``, in milliseconds since the epoch, is known once it runs.
    ``init_seconds`` is how long it waited for the cold start of its environment, None if that was warm;
    ``restore_seconds`` the same for the restore of a snapshot. ``log`` is the end of its log: what Lambda writes, and
    what the function wrote meanwhile. It is complete when the environment is ready for the next invocation, which is
    after the answer: wait for ``finished``. ``kill_app`` kills the app, or the runtime if it has no app; None while the
    invocation is in no environment.
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
    ) -> None:
        self.label = label
        self.event = event
        self.request_id = request_id
        self.trace_id = trace_id
        self.invoked_function_arn = invoked_function_arn
        self.client_context = client_context
        self.cognito_identity = cognito_identity
        self.tenant_id = tenant_id
        self.deadline_ms = 0
        self.state = InvocationState.QUEUED
        self.reply = Reply()
        self.init_seconds: float | None = None
        self.restore_seconds: float | None = None
        self.log = b""
        self.kill_app: Callable[[], None] | None = None
        self._finished = asyncio.Event()

    def finish(self) -> None:
        """Note that nothing more happens in this invocation."""
        self._finished.set()

    async def finished(self) -> None:
        """Wait until the environment is done with this invocation, or until it is clear that it gets none."""
        await self._finished.wait()


def new_request_id() -> str:
    """Return a request id as Lambda makes them: a random UUID (RFC 9562, version 4)."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def new_trace_id(now: float) -> str:
    """Return a value for the X-Ray trace header (X-Ray, "Tracing header"); ``now`` in seconds since the epoch."""
    digits = os.urandom(20).hex()
    return f"Root=1-{int(now):08x}-{digits[:24]};Parent={digits[24:]};Sampled=0"
