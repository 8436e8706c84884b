"""The states of an execution environment and of what is in it, as tables. No I/O and no clock.

An execution environment:

    starting ──opened──────────────────────────────────────────► idle ──invoked──► busy ──retired──► retiring
       └──snapshot_taken──► snapshot ──restore──► restoring ──opened──┘ ◄─all_concluded─┘
    each of these ──failed, timed_out, retired, reclaimed, stopped──► closing ──ended──► closed

The runtime in it, which asks for its work:

    init ──next──────────────────────────────────────► serving ◄─next─┐
      └───restore_next──► snapshot ──restore──► restoring ──next──┘ └──┘

Each extension in it:

    started ──register──► registered ──next──► ready ──event──► running ──next──► ready
                              └── init_error, exit_error            └── exit_error

Each invocation in it:

    queued ──invoked──► running ──response──► responding ──response_ended──► answered
                           └─────────────────────error─────────────────────────┘

``TABLE[state, event]`` is the next state. An event that the table does not have for a state is illegal, and the look-up
raises IllegalTransitionError: a fault of the emulator. A process may send any request at any time, so the APIs look
first whether ``(state, event) in TABLE``, and refuse the request as Lambda does if not.
"""

from __future__ import annotations

from enum import Enum
from typing import Generic, NoReturn, TypeVar


class IllegalTransitionError(Exception):
    """An event happened in a state that has no transition for it."""


class _Word(Enum):
    """A word of the tables. Each exists once and is hashed by identity, since the hash of Enum is a call in Python."""

    __hash__ = object.__hash__


State = TypeVar("State", bound=_Word)
Event = TypeVar("Event", bound=_Word)


class Table(dict[tuple[State, Event], State], Generic[State, Event]):
    """The next state for each state and event. Looking up another pair raises IllegalTransitionError."""

    def __missing__(self, pair: tuple[State, Event]) -> NoReturn:
        state, event = pair
        raise IllegalTransitionError(f"{type(state).__name__} {state.name} has no transition for {event.name}")


class EnvironmentState(_Word):
    """What an execution environment as a whole does. The values are those of the status, except ``retiring``."""

    #: The processes start; the runtime and the extensions initialize.
    STARTING = "starting"
    #: Initialized under SnapStart; waits until an invocation needs it.
    SNAPSHOT = "snapshot"
    #: The runtime runs its hooks after the restore.
    RESTORING = "restoring"
    #: Takes invocations and has none.
    IDLE = "idle"
    #: Has invocations, and takes more if a slot is free.
    BUSY = "busy"
    #: Finishes the invocations that it has and takes no more.
    RETIRING = "retiring"
    #: Its processes are ended.
    CLOSING = "closing"
    #: Nothing is left of it.
    CLOSED = "closed"


class EnvironmentEvent(_Word):
    """What happens to an execution environment."""

    OPENED = "init or the restore is done"
    SNAPSHOT_TAKEN = "init is done under SnapStart"
    RESTORE = "an invocation needs the environment"
    INVOKED = "an invocation is handed over"
    ALL_CONCLUDED = "the last of its invocations is over"
    TIMED_OUT = "init, the restore, or its only invocation took too long"
    FAILED = "the runtime or an extension ended, or reported that it cannot go on"
    RETIRED = "new environments are to take its place"
    RECLAIMED = "it was idle, or asked for no invocation, for too long"
    STOPPED = "the function ends, or the emulator has a fault"
    ENDED = "its last process is gone"


class RuntimeState(_Word):
    """What a runtime does. The values are the official emulator's (core/runtime_state_names); refusals quote them."""

    INIT = "Started"
    #: Initialized under SnapStart; waits to be restored.
    SNAPSHOT = "RestoreReady"
    RESTORING = "Restoring"
    SERVING = "Running"
    SHUTDOWN = "InitError"


class RuntimeEvent(_Word):
    """What happens to a runtime: its requests, and what the emulator does to it."""

    NEXT = "it asks for an invocation"
    INIT_ERROR = "it reports that it cannot start"
    RESTORE_NEXT = "it is ready for the snapshot"
    RESTORE = "the snapshot is restored"
    RESTORE_ERROR = "it reports that it cannot go on after the restore"
    SHUTDOWN = "the environment ends"


class ExtensionState(_Word):
    """What an extension does. The values are the official emulator's; refusals quote them."""

    STARTED = "Started"
    REGISTERED = "Registered"
    READY = "Ready"
    RUNNING = "Running"
    INIT_ERROR = "InitError"
    EXIT_ERROR = "ExitError"


class ExtensionEvent(_Word):
    """What happens to an extension: its requests, and what the emulator does to it."""

    REGISTER = "it registers"
    NEXT = "it asks for its next event"
    EVENT = "it receives an event"
    DISCONNECTED = "it closed the connection on which it waited for an event"
    INIT_ERROR = "it reports that it cannot start"
    EXIT_ERROR = "it reports that it ends"


class InvocationState(_Word):
    """How far an invocation is."""

    QUEUED = "queued"
    RUNNING = "running"
    RESPONDING = "responding"
    ANSWERED = "answered"


class InvocationEvent(_Word):
    """What happens to an invocation."""

    INVOKED = "it is handed to the runtime"
    RESPONSE = "the runtime begins to respond"
    RESPONSE_ENDED = "the response is over, complete or not"
    ERROR = "the runtime reports that the invocation failed"


ENVIRONMENT = Table(
    {
        (EnvironmentState.STARTING, EnvironmentEvent.OPENED): EnvironmentState.IDLE,
        (EnvironmentState.STARTING, EnvironmentEvent.SNAPSHOT_TAKEN): EnvironmentState.SNAPSHOT,
        (EnvironmentState.STARTING, EnvironmentEvent.TIMED_OUT): EnvironmentState.CLOSING,
        (EnvironmentState.STARTING, EnvironmentEvent.FAILED): EnvironmentState.CLOSING,
        (EnvironmentState.STARTING, EnvironmentEvent.RETIRED): EnvironmentState.CLOSING,
        (EnvironmentState.STARTING, EnvironmentEvent.STOPPED): EnvironmentState.CLOSING,
        (EnvironmentState.SNAPSHOT, EnvironmentEvent.RESTORE): EnvironmentState.RESTORING,
        (EnvironmentState.SNAPSHOT, EnvironmentEvent.FAILED): EnvironmentState.CLOSING,
        (EnvironmentState.SNAPSHOT, EnvironmentEvent.RETIRED): EnvironmentState.CLOSING,
        (EnvironmentState.SNAPSHOT, EnvironmentEvent.STOPPED): EnvironmentState.CLOSING,
        (EnvironmentState.RESTORING, EnvironmentEvent.OPENED): EnvironmentState.IDLE,
        (EnvironmentState.RESTORING, EnvironmentEvent.TIMED_OUT): EnvironmentState.CLOSING,
        (EnvironmentState.RESTORING, EnvironmentEvent.FAILED): EnvironmentState.CLOSING,
        (EnvironmentState.RESTORING, EnvironmentEvent.RETIRED): EnvironmentState.CLOSING,
        (EnvironmentState.RESTORING, EnvironmentEvent.STOPPED): EnvironmentState.CLOSING,
        (EnvironmentState.IDLE, EnvironmentEvent.INVOKED): EnvironmentState.BUSY,
        (EnvironmentState.IDLE, EnvironmentEvent.FAILED): EnvironmentState.CLOSING,
        (EnvironmentState.IDLE, EnvironmentEvent.RETIRED): EnvironmentState.CLOSING,
        (EnvironmentState.IDLE, EnvironmentEvent.RECLAIMED): EnvironmentState.CLOSING,
        (EnvironmentState.IDLE, EnvironmentEvent.STOPPED): EnvironmentState.CLOSING,
        (EnvironmentState.BUSY, EnvironmentEvent.INVOKED): EnvironmentState.BUSY,
        (EnvironmentState.BUSY, EnvironmentEvent.ALL_CONCLUDED): EnvironmentState.IDLE,
        (EnvironmentState.BUSY, EnvironmentEvent.TIMED_OUT): EnvironmentState.CLOSING,
        (EnvironmentState.BUSY, EnvironmentEvent.FAILED): EnvironmentState.CLOSING,
        (EnvironmentState.BUSY, EnvironmentEvent.RETIRED): EnvironmentState.RETIRING,
        (EnvironmentState.BUSY, EnvironmentEvent.STOPPED): EnvironmentState.CLOSING,
        (EnvironmentState.RETIRING, EnvironmentEvent.ALL_CONCLUDED): EnvironmentState.CLOSING,
        (EnvironmentState.RETIRING, EnvironmentEvent.TIMED_OUT): EnvironmentState.CLOSING,
        (EnvironmentState.RETIRING, EnvironmentEvent.FAILED): EnvironmentState.CLOSING,
        (EnvironmentState.RETIRING, EnvironmentEvent.STOPPED): EnvironmentState.CLOSING,
        (EnvironmentState.CLOSING, EnvironmentEvent.ENDED): EnvironmentState.CLOSED,
    }
)

# With one slot a runtime may ask for an invocation once the one before is answered; with more (Managed Instances) as
# often as slots are free. ApiState counts them.
RUNTIME = Table(
    {
        (RuntimeState.INIT, RuntimeEvent.NEXT): RuntimeState.SERVING,
        (RuntimeState.INIT, RuntimeEvent.INIT_ERROR): RuntimeState.SHUTDOWN,
        (RuntimeState.INIT, RuntimeEvent.RESTORE_NEXT): RuntimeState.SNAPSHOT,
        (RuntimeState.INIT, RuntimeEvent.SHUTDOWN): RuntimeState.SHUTDOWN,
        (RuntimeState.SNAPSHOT, RuntimeEvent.RESTORE): RuntimeState.RESTORING,
        (RuntimeState.SNAPSHOT, RuntimeEvent.SHUTDOWN): RuntimeState.SHUTDOWN,
        (RuntimeState.RESTORING, RuntimeEvent.NEXT): RuntimeState.SERVING,
        (RuntimeState.RESTORING, RuntimeEvent.RESTORE_ERROR): RuntimeState.SHUTDOWN,
        # The official emulator takes an init error here as well, since runtimes send one when a restore hook fails.
        (RuntimeState.RESTORING, RuntimeEvent.INIT_ERROR): RuntimeState.SHUTDOWN,
        (RuntimeState.RESTORING, RuntimeEvent.SHUTDOWN): RuntimeState.SHUTDOWN,
        (RuntimeState.SERVING, RuntimeEvent.NEXT): RuntimeState.SERVING,
        (RuntimeState.SERVING, RuntimeEvent.SHUTDOWN): RuntimeState.SHUTDOWN,
        (RuntimeState.SHUTDOWN, RuntimeEvent.SHUTDOWN): RuntimeState.SHUTDOWN,
    }
)

EXTENSION = Table(
    {
        (ExtensionState.STARTED, ExtensionEvent.REGISTER): ExtensionState.REGISTERED,
        (ExtensionState.REGISTERED, ExtensionEvent.NEXT): ExtensionState.READY,
        (ExtensionState.REGISTERED, ExtensionEvent.INIT_ERROR): ExtensionState.INIT_ERROR,
        (ExtensionState.REGISTERED, ExtensionEvent.EXIT_ERROR): ExtensionState.EXIT_ERROR,
        (ExtensionState.READY, ExtensionEvent.EVENT): ExtensionState.RUNNING,
        (ExtensionState.READY, ExtensionEvent.DISCONNECTED): ExtensionState.RUNNING,
        (ExtensionState.READY, ExtensionEvent.EXIT_ERROR): ExtensionState.EXIT_ERROR,
        (ExtensionState.RUNNING, ExtensionEvent.NEXT): ExtensionState.READY,
        (ExtensionState.RUNNING, ExtensionEvent.EXIT_ERROR): ExtensionState.EXIT_ERROR,
        # A report may be repeated.
        (ExtensionState.INIT_ERROR, ExtensionEvent.INIT_ERROR): ExtensionState.INIT_ERROR,
        (ExtensionState.EXIT_ERROR, ExtensionEvent.EXIT_ERROR): ExtensionState.EXIT_ERROR,
    }
)

INVOCATION = Table(
    {
        (InvocationState.QUEUED, InvocationEvent.INVOKED): InvocationState.RUNNING,
        (InvocationState.RUNNING, InvocationEvent.RESPONSE): InvocationState.RESPONDING,
        (InvocationState.RUNNING, InvocationEvent.ERROR): InvocationState.ANSWERED,
        (InvocationState.RESPONDING, InvocationEvent.RESPONSE_ENDED): InvocationState.ANSWERED,
    }
)
