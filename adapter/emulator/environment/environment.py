"""One execution environment as the emulator sees it: its state, the invocations in it, and what is known of its end.

``lifecycle`` and ``extensions`` decide what may happen; this class keeps what belongs to a state. Two sides use it: the
Runtime and Extensions API, which the processes call, and the function, which hands invocations over. ``sandbox`` adds
the I/O: the servers and the processes.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

import orjson

from adapter.emulator.environment.extensions import INVOKE, READY, SHUTDOWN, Extensions
from adapter.emulator.environment.lifecycle import Event, Lifecycle, Phase, Progress, Step
from adapter.emulator.environment.result import EXTENSION_CRASH, failure

if TYPE_CHECKING:
    from adapter.emulator.environment.condition import Condition
    from adapter.emulator.environment.extensions import Extension
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.environment.result import Answer, Failure
    from adapter.payload.messages import Invocation


class Environment:
    """The state of one environment. ``changes`` is notified of everything that happens in it.

    ``exit_code`` is the runtime's, negative for a signal, None while it runs. ``failure`` is why the environment cannot
    go on, as far as it is not that exit: an init or restore error, or an extension that ended. ``lost_at`` is when
    somebody who waited for an invocation has last hung up, in the loop's time.
    """

    def __init__(self, changes: Condition, *, slots: int = 1, external: Iterable[str] = ()) -> None:
        self.condition = changes
        self.lifecycle = Lifecycle(slots)
        self.extensions = Extensions(external, with_invoke=slots == 1)
        self.failure: Failure | None = None
        self.exit_code: int | None = None
        self.lost_at = 0.0
        self._calls: dict[str, LocalInvocation] = {}
        self._waiting: deque[asyncio.Future[Invocation | None]] = deque()
        self._restored: asyncio.Future[None] | None = None
        self._events: dict[str, asyncio.Future[bytes]] = {}
        self._shutdown_event: bytes | None = None

    # --- for the function ------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the runtime, and every extension that is told of it, wait for an invocation."""
        return (
            self.lifecycle.phase is Phase.SERVING
            and self.lifecycle.waiting > 0
            and self.extensions.waiting
            and not self.ended
        )

    @property
    def initialised(self) -> bool:
        """Whether the init phase has come to its good end."""
        arrived = self.lifecycle.phase is Phase.SNAPSHOT or self.lifecycle.waiting > 0
        return arrived and self.extensions.initialised

    @property
    def ended(self) -> bool:
        """Whether this environment can serve nothing any more."""
        return self.exit_code is not None or self.failure is not None

    def invoke(self, call: LocalInvocation, invocation: Invocation) -> None:
        """Hand an invocation to the runtime, which must be ready, and tell the extensions."""
        assert self.ready, "an invocation needs a runtime that waits for it"
        self.lifecycle.invoke(call.request_id)
        self._calls[call.request_id] = call
        self._waiting.popleft().set_result(invocation)
        for extension in self.extensions:
            if INVOKE in extension.events:
                self._tell(extension, _invoke_event(invocation))

    def is_done_with(self, call: LocalInvocation) -> bool:
        """Whether the invocation is over: with one slot only when everybody waits for the next one."""
        progress = self.lifecycle.progress(call.request_id)
        if self.lifecycle.slots > 1:
            return progress in (Progress.ANSWERED, None)
        return progress is None and self.ready

    def forget(self, call: LocalInvocation) -> None:
        """The invocation is over, or was given up."""
        self._calls.pop(call.request_id, None)
        if self.lifecycle.progress(call.request_id) is not Progress.ANSWERED:
            self.lifecycle.forget(call.request_id)

    def restore(self) -> None:
        """Let the runtime, which waits in its snapshot, go on."""
        assert self._restored is not None, "there is a snapshot"
        self.advance(Event.RESTORE)
        if not self._restored.done():
            self._restored.set_result(None)

    def announce_shutdown(self, reason: str, deadline_ms: int) -> None:
        """Tell the extensions that asked for it that the environment ends."""
        event = {"eventType": SHUTDOWN, "shutdownReason": reason, "deadlineMs": deadline_ms}
        self._shutdown_event = orjson.dumps(event)
        for extension in self.extensions:
            if SHUTDOWN in extension.events and extension.state == READY:
                self._tell(extension, self._shutdown_event)

    # --- for the Runtime API ---------------------------------------------------------------------------------------

    def advance(self, event: Event) -> bool:
        """Let something happen, and tell those who wait for it; False where it may not happen now."""
        happened = self.lifecycle.advance(event)
        self.condition.notify()
        return happened

    def next(self) -> asyncio.Future[Invocation | None] | None:
        """The runtime asks: what it will get, which is None if it is ``lost``; or None where it may not ask now."""
        if not self.lifecycle.allows(Event.NEXT):
            return None
        coming: asyncio.Future[Invocation | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(coming)
        self.advance(Event.NEXT)
        return coming

    def lost(self, coming: asyncio.Future[Invocation | None]) -> None:
        """A runtime that waits for ``coming`` has hung up; it, or nobody, will ask again. No effect where it came."""
        if coming not in self._waiting:
            return
        self._waiting.remove(coming)
        if not coming.done():
            coming.set_result(None)
        self.lifecycle.lose()
        self._hung_up()

    def restore_next(self) -> asyncio.Future[None] | None:
        """The runtime is ready for the snapshot: done when it is restored, None where it may not ask now."""
        if not self.lifecycle.allows(Event.RESTORE_NEXT):
            return None
        self._restored = asyncio.get_running_loop().create_future()
        self.advance(Event.RESTORE_NEXT)
        return self._restored

    def failed(self, event: Event, why: Failure) -> bool:
        """The runtime reports that it cannot go on; False where it is too late for that."""
        if not self.lifecycle.allows(event):
            return False
        self.failure = why
        return self.advance(event)

    def call(self, request_id: str) -> LocalInvocation | None:
        """The invocation of that id, None where it is not in this environment."""
        return self._calls.get(request_id) if self.lifecycle.progress(request_id) is not None else None

    def step(self, request_id: str, step: Step, answer: Answer | None = None) -> bool:
        """Let something happen to an invocation, which may be its answer; False where it may not happen now."""
        happened = self.lifecycle.step(request_id, step)
        if happened and answer is not None:
            self._calls[request_id].reply.settle(answer)
        self.condition.notify()
        return happened

    # --- for the Extensions API ------------------------------------------------------------------------------------

    def extension_waits(self, extension: Extension) -> asyncio.Future[bytes]:
        """The extension asks for its next event: the JSON it will get. Raises RefusedExtension."""
        extension.advance("next")
        coming: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._events[extension.name] = coming
        if self._shutdown_event is not None and SHUTDOWN in extension.events:
            self._tell(extension, self._shutdown_event)
        self.condition.notify()
        return coming

    def extension_lost(self, extension: Extension) -> None:
        """An extension that was waiting has hung up; it, or nobody, will ask again."""
        extension.lose()
        self._hung_up()

    def extension_failed(self, extension: Extension, call: str, error_type: str) -> None:
        """The extension reports that it cannot go on (``init_error`` or ``exit_error``). Raises RefusedExtension."""
        extension.advance(call)
        kind = "Extension.InitError" if call == "init_error" else "Extension.ExitError"
        self._break(failure(kind, f"extension {extension.name} reported {error_type}"))

    def _tell(self, extension: Extension, event: bytes) -> None:
        extension.advance("event")
        coming = self._events[extension.name]
        if not coming.done():
            coming.set_result(event)

    # --- for the sandbox -------------------------------------------------------------------------------------------

    def exited(self, exit_code: int) -> None:
        """The runtime's process has ended, and with it every chance of another call."""
        self.exit_code = exit_code
        self.condition.notify()

    def extension_exited(self, name: str, how: str) -> None:
        """An external extension's process has ended, which ends the environment."""
        self._break(failure(EXTENSION_CRASH, f"extension {name} ended: {how}"))

    def could_not_start(self, error_type: str, message: str) -> None:
        """A process could not be started."""
        self._break(failure(error_type, message))

    def _break(self, why: Failure) -> None:
        self.failure = self.failure or why
        self.condition.notify()

    def _hung_up(self) -> None:
        self.lost_at = asyncio.get_running_loop().time()
        self.condition.notify()


def _invoke_event(invocation: Invocation) -> bytes:
    """What an extension is told of an invocation."""
    return orjson.dumps(
        {
            "eventType": INVOKE,
            "deadlineMs": invocation.deadline_ms,
            "requestId": invocation.request_id,
            "invokedFunctionArn": invocation.invoked_function_arn,
            "tracing": {"type": "X-Amzn-Trace-Id", "value": invocation.trace_id},
        }
    )
