"""The state tables of an execution environment, its runtime, its extensions and its invocations. No I/O and no clock.

An execution environment:

    starting ──opened──────────────────────────────────────────► idle ──invoked──► busy ──retired──► retiring
       └──snapshot_taken──► snapshot ──restore──► restoring ──opened──┘ ◄─all_concluded─┘
    each of these ──failed, stopped──► closing ──ended──► closed
    some of these ──timed_out, retired, reclaimed──► closing, and retiring ──all_concluded──► closing

The runtime of an environment:

    init ──next──────────────────────────────────────► serving ◄─next─┐
      └───restore_next──► snapshot ──restore──► restoring ──next──┘ └──┘

Each extension of an environment:

    started ──register──► registered ──next──► ready ──event──► running ──next──► ready
                              └── init_error, exit_error            └── exit_error

Each invocation:

    queued ──invoked──► running ──response──► responding ──response_ended──► answered
                           └─────────────────────error─────────────────────────┘

``TABLE[state, event]`` is the next state. If the table has no transition for the pair, the look-up raises
IllegalTransitionError, which means an internal error of the emulator. Processes may send illegal requests, so the APIs
check ``(state, event) in TABLE`` first, and refuse the request as Lambda does.
"""

from __future__ import annotations

from enum import Enum
from typing import Generic, NoReturn, TypeVar


class IllegalTransitionError(Exception):
    """The table has no transition for an event in the current state: an internal error of the emulator."""


class _Word(Enum):
    """A state or an event. Members are hashed by identity: Enum's own hash is slower, since it is a Python function."""

    __hash__ = object.__hash__


State = TypeVar("State", bound=_Word)
Event = TypeVar("Event", bound=_Word)


class Table(dict[tuple[State, Event], State], Generic[State, Event]):
    """Maps pairs of a state and an event to the next state. Looking up any other pair raises IllegalTransitionError."""

    def __missing__(self, pair: tuple[State, Event]) -> NoReturn:
        state, event = pair
        raise IllegalTransitionError(f"{type(state).__name__} {state.name} has no transition for {event.name}")


class EnvironmentState(_Word):
    """The state of an execution environment.

    ``/_adapter/status`` returns these values, with two exceptions. For RETIRING, it returns ``busy``. For IDLE, it
    returns ``busy`` if the runtime is not waiting for an invocation.
    """

    #: The processes are starting; the runtime and the extensions are initializing.
    STARTING = "starting"
    #: Initialized under SnapStart; waits until an invocation needs it.
    SNAPSHOT = "snapshot"
    #: The runtime is running its hooks after the restore.
    RESTORING = "restoring"
    #: Accepts invocations; none is running.
    IDLE = "idle"
    #: At least one invocation is running; accepts more if a slot is free.
    BUSY = "busy"
    #: The running invocations continue; no more are accepted.
    RETIRING = "retiring"
    #: The emulator is ending the environment's processes.
    CLOSING = "closing"
    #: All processes of the environment have ended.
    CLOSED = "closed"


class EnvironmentEvent(_Word):
    """An event that changes the state of an execution environment."""

    OPENED = "init or the restore has succeeded"
    SNAPSHOT_TAKEN = "init has succeeded under SnapStart"
    RESTORE = "an invocation needs the environment"
    INVOKED = "the runtime receives an invocation"
    ALL_CONCLUDED = "all running invocations have ended"
    TIMED_OUT = "init, the restore, or the only running invocation took too long"
    FAILED = "the runtime or an extension ended, reported an error, or could not be started"
    RETIRED = "the function is restarted with new environments"
    RECLAIMED = "the environment was idle for too long, or its runtime did not ask for an invocation in time"
    STOPPED = "the emulator ends the function, or has an internal error"
    ENDED = "all processes of the environment have ended"


class RuntimeState(_Word):
    """The state of a runtime. If a request is refused, the error message contains the value of the state.

    The values are those of the official emulator (core/runtime_state_names).
    """

    INIT = "Started"
    #: Initialized under SnapStart; waits to be restored.
    SNAPSHOT = "RestoreReady"
    RESTORING = "Restoring"
    SERVING = "Running"
    SHUTDOWN = "InitError"


class RuntimeEvent(_Word):
    """An event that changes the state of a runtime: a request of the runtime, or an action of the emulator."""

    NEXT = "the runtime asks for an invocation"
    INIT_ERROR = "the runtime reports that it cannot start"
    RESTORE_NEXT = "the runtime is ready for the snapshot"
    RESTORE = "the snapshot is restored"
    RESTORE_ERROR = "the runtime reports that its restore failed"
    SHUTDOWN = "the emulator ends the environment"


class ExtensionState(_Word):
    """The state of an extension. If a request is refused, the error message contains the value of the state.

    The values are those of the official emulator.
    """

    STARTED = "Started"
    REGISTERED = "Registered"
    READY = "Ready"
    RUNNING = "Running"
    INIT_ERROR = "InitError"
    EXIT_ERROR = "ExitError"


class ExtensionEvent(_Word):
    """An event that changes the state of an extension: a request of the extension, or an action of the emulator."""

    REGISTER = "the extension registers"
    NEXT = "the extension asks for its next event"
    EVENT = "the extension receives an event"
    DISCONNECTED = "the extension closed the connection on which it waited for an event"
    INIT_ERROR = "the extension reports that it cannot start"
    EXIT_ERROR = "the extension reports that it ends"


class InvocationState(_Word):
    """The progress of an invocation."""

    QUEUED = "queued"
    RUNNING = "running"
    RESPONDING = "responding"
    ANSWERED = "answered"


class InvocationEvent(_Word):
    """An event that changes the state of an invocation."""

    INVOKED = "the runtime receives the invocation"
    RESPONSE = "the runtime begins to respond"
    RESPONSE_ENDED = "the response has ended, complete or not"
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

# A runtime with one slot may ask for an invocation once it has answered the previous one. A runtime with more slots
# (Managed Instances) may send one request per free slot. ApiState counts the slots; this table does not.
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
        # The official emulator accepts an init error here too, because runtimes send one if a restore hook fails.
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
        # An extension may repeat its report.
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
