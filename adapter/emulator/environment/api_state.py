"""The state behind the APIs of one execution environment: what its runtime and its extensions have reported."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import orjson

from adapter.emulator.environment.condition import Condition
from adapter.emulator.environment.extensions import INVOKE, SHUTDOWN, Extensions
from adapter.emulator.environment.result import failure
from adapter.emulator.environment.state_tables import (
    INVOCATION,
    RUNTIME,
    ExtensionEvent,
    ExtensionState,
    InvocationEvent,
    InvocationState,
    RuntimeEvent,
    RuntimeState,
)

if TYPE_CHECKING:
    from adapter.emulator.environment.extensions import Extension
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.environment.result import Failure


class ApiState:
    """The state behind the APIs of one execution environment.

    The Runtime API and the Extensions API, which the processes call, report changes to ApiState. The
    ExecutionEnvironment hands invocations to ApiState. After every change, ApiState calls ``on_change``, then wakes the
    tasks that wait for ``condition``.

    ``slots`` is the number of invocations that the runtime can process at the same time. ``unanswered`` is the number
    of invocations that the runtime has received but not answered. ``exit_code`` is the runtime's exit code: negative
    for a signal, None while the runtime runs. ``failure`` is any other reason to end the environment: an init or
    restore error, a process that could not be started, or an extension that failed or ended. ``has_ended`` is True once
    ``exit_code`` or ``failure`` is set. ``disconnected_at`` is the event loop's time of the latest disconnection: the
    runtime or an extension closed the connection on which it was waiting for an invocation or event.
    """

    def __init__(self, *, slots: int = 1, external: Iterable[str] = ()) -> None:
        self.condition = Condition()
        self.on_change: Callable[[], None] | None = None
        self.runtime = RuntimeState.INIT
        self.extensions = Extensions(external, with_invoke=slots == 1)
        self.slots = slots
        self.unanswered = 0
        self.exit_code: int | None = None
        self.failure: Failure | None = None
        self.has_ended = False
        self.disconnected_at = 0.0
        # The invocations for which the runtime may still send a response or an error, by request id.
        self._invocations: dict[str, LocalInvocation] = {}
        # One future for each slot that waits for an invocation, in the order in which the runtime asked.
        self._polls: deque[asyncio.Future[LocalInvocation | None]] = deque()
        self._restored: asyncio.Future[None] | None = None
        self._shutdown_event: bytes | None = None

    # --- for the execution environment -----------------------------------------------------------------------------

    @property
    def waiting_slots(self) -> int:
        """The number of the runtime's slots that are waiting for an invocation."""
        return len(self._polls)

    @property
    def is_ready(self) -> bool:
        """Whether the runtime and all extensions that registered for INVOKE events are waiting for an invocation."""
        if not self._polls or self.has_ended or self.runtime is not RuntimeState.SERVING:
            return False
        return all(extension.state is ExtensionState.READY for extension in self.extensions.invoked)

    @property
    def is_initialized(self) -> bool:
        """Whether the runtime and all extensions have completed their init."""
        runtime_is = self.runtime is RuntimeState.SNAPSHOT or bool(self._polls)
        return runtime_is and self.extensions.are_initialized

    def invoke(self, invocation: LocalInvocation) -> None:
        """Hand an invocation to the runtime and send INVOKE events to the extensions. ``is_ready`` must be True."""
        invocation.state = INVOCATION[invocation.state, InvocationEvent.INVOKED]
        self.unanswered += 1
        self._invocations[invocation.request_id] = invocation
        self._polls.popleft().set_result(invocation)
        for extension in self.extensions.invoked:
            extension.send(_invoke_event(invocation))

    def is_done_with(self, invocation: LocalInvocation) -> bool:
        """Return whether the invocation has ended.

        If there is one slot, an invocation ends only when the runtime and the extensions are waiting for the next one.
        """
        is_known = invocation.request_id in self._invocations
        if self.slots > 1:
            return not is_known or invocation.state is InvocationState.ANSWERED
        return not is_known and self.is_ready

    def forget(self, invocation: LocalInvocation) -> None:
        """Remove an invocation that has ended or timed out. If the runtime still answers it, the answer is refused."""
        if (
            self._invocations.pop(invocation.request_id, None) is not None
            and invocation.state is not InvocationState.ANSWERED
        ):
            self.unanswered -= 1

    def restore(self) -> None:
        """Answer the runtime's request to ``/restore/next``. Call this only if the runtime has sent this request."""
        assert self._restored is not None, "there is a snapshot"
        self.advance(RuntimeEvent.RESTORE)
        if not self._restored.done():
            self._restored.set_result(None)

    def announce_shutdown(self, reason: str, deadline_ms: int) -> None:
        """Send the SHUTDOWN event to the extensions that registered for it.

        An extension that is not waiting for an event receives it when it next asks for one. ``deadline_ms`` is in
        milliseconds since the epoch.
        """
        event = {"eventType": SHUTDOWN, "shutdownReason": reason, "deadlineMs": deadline_ms}
        self._shutdown_event = orjson.dumps(event)
        for extension in self.extensions:
            if SHUTDOWN in extension.events and extension.state is ExtensionState.READY:
                extension.send(self._shutdown_event)

    def advance(self, event: RuntimeEvent) -> None:
        """Change the runtime's state by ``event``. Raises IllegalTransitionError if ``event`` is illegal now."""
        self.runtime = RUNTIME[self.runtime, event]
        self._changed()

    # --- for the Runtime API ---------------------------------------------------------------------------------------

    def next(self) -> asyncio.Future[LocalInvocation | None] | None:
        """Record that the runtime asks for an invocation for a free slot. Return a future of this invocation.

        After ``disconnect``, the future's result is None. If the request is illegal, return None and change nothing.
        """
        if (self.runtime, RuntimeEvent.NEXT) not in RUNTIME or len(self._polls) + self.unanswered >= self.slots:
            return None
        if len(self._invocations) > self.unanswered:
            # An answered invocation is kept until the runtime's next request. Until then, a second answer to it is
            # refused because of the invocation's state, not because of an unknown request id.
            self._invocations = {
                request_id: invocation
                for request_id, invocation in self._invocations.items()
                if invocation.state is not InvocationState.ANSWERED
            }
        poll: asyncio.Future[LocalInvocation | None] = asyncio.get_running_loop().create_future()
        self._polls.append(poll)
        self.advance(RuntimeEvent.NEXT)
        return poll

    def disconnect(self, poll: asyncio.Future[LocalInvocation | None]) -> None:
        """Remove ``poll``, which ``next`` returned, because the runtime has closed the connection on which it waited.

        No effect if ``poll`` has received an invocation.
        """
        if poll not in self._polls:
            return
        self._polls.remove(poll)
        if not poll.done():
            poll.set_result(None)
        self._note_disconnection()

    def restore_next(self) -> asyncio.Future[None] | None:
        """Record that the runtime is ready for the snapshot. Return a future that is done after the restore.

        Returns None, and changes nothing, if the request is illegal now.
        """
        if (self.runtime, RuntimeEvent.RESTORE_NEXT) not in RUNTIME:
            return None
        self._restored = asyncio.get_running_loop().create_future()
        self.advance(RuntimeEvent.RESTORE_NEXT)
        return self._restored

    def fail(self, event: RuntimeEvent, why: Failure) -> bool:
        """Record that the runtime reported an init or restore error, and return True.

        Returns False, and changes nothing, if the report is illegal now.
        """
        if (self.runtime, event) not in RUNTIME:
            return False
        self.failure = why
        self.has_ended = True
        self.advance(event)
        return True

    def find(self, request_id: str) -> LocalInvocation | None:
        """Return the invocation with ``request_id``, or None if the id is unknown, for example after ``forget``."""
        return self._invocations.get(request_id)

    def may_report(self, invocation: LocalInvocation, event: InvocationEvent) -> bool:
        """Return whether ``event``, which the runtime reports, is legal for ``invocation`` now."""
        return invocation.request_id in self._invocations and (invocation.state, event) in INVOCATION

    def advance_invocation(self, invocation: LocalInvocation, event: InvocationEvent) -> None:
        """Change an invocation's state by ``event``. Raises IllegalTransitionError if ``event`` is illegal now."""
        invocation.state = INVOCATION[invocation.state, event]
        if invocation.state is InvocationState.ANSWERED:
            # If ``forget`` removed the invocation while its response was still arriving, it also updated the count.
            self.unanswered -= invocation.request_id in self._invocations
            self._changed()

    # --- for the Extensions API ------------------------------------------------------------------------------------

    def register_extension(self, name: str, events: Iterable[object]) -> Extension:
        """Register an extension for ``events`` and return it.

        Raises RefusedExtension if Lambda would refuse the registration.
        """
        extension = self.extensions.register(name, events)
        self._changed()
        return extension

    def next_event(self, extension: Extension) -> asyncio.Future[bytes]:
        """Record that the extension asks for its next event. Return a future of this event, as JSON.

        Raises RefusedExtension if the request is illegal now.
        """
        extension.request(ExtensionEvent.NEXT)
        extension.poll = asyncio.get_running_loop().create_future()
        if self._shutdown_event is not None and SHUTDOWN in extension.events:
            extension.send(self._shutdown_event)
        self._changed()
        return extension.poll

    def disconnect_extension(self, extension: Extension) -> None:
        """Record that the extension closed the connection on which it waited for an event."""
        extension.disconnect()
        self._note_disconnection()

    def fail_extension(self, extension: Extension, event: ExtensionEvent, error_type: str) -> None:
        """Record that the extension reported ``event`` (INIT_ERROR or EXIT_ERROR). This ends the environment.

        Raises RefusedExtension if the report is illegal now.
        """
        extension.request(event)
        # The name of the new state is also the error type that Lambda reports.
        self.break_off(f"Extension.{extension.state.value}", f"extension {extension.name} reported {error_type}")

    # --- for the sandbox -------------------------------------------------------------------------------------------

    def note_exit(self, exit_code: int) -> None:
        """Record that the runtime's process has ended. Call this only after serving all requests of the process."""
        self.exit_code = exit_code
        self.has_ended = True
        self._changed()

    def break_off(self, error_type: str, message: str) -> None:
        """Record that a process failed, ended or could not be started. If ``self.failure`` is already set, keep it."""
        self.failure = self.failure or failure(error_type, message)
        self.has_ended = True
        self._changed()

    def _note_disconnection(self) -> None:
        self.disconnected_at = asyncio.get_running_loop().time()
        self._changed()

    def _changed(self) -> None:
        if self.on_change is not None:
            self.on_change()
        if self.condition.waiters:
            self.condition.notify()


def _invoke_event(invocation: LocalInvocation) -> bytes:
    """Return the INVOKE event of an invocation."""
    return orjson.dumps(
        {
            "eventType": INVOKE,
            "deadlineMs": invocation.deadline_ms,
            "requestId": invocation.request_id,
            "invokedFunctionArn": invocation.invoked_function_arn,
            "tracing": {"type": "X-Amzn-Trace-Id", "value": invocation.trace_id},
        }
    )
