"""The states of one execution environment, as a table. No I/O and no clock.

    init ──next──► idle ──invoke──► busy ──response──► responding ──end──► answered ──next──► idle
                                      └────────error──────────────────────────┘

A call of the runtime that the table does not have is what Lambda refuses as ``InvalidStateTransition``.
"""

from __future__ import annotations

from enum import Enum


class State(Enum):
    """What the environment is doing. ``ANSWERED``: an invocation is over, the runtime has yet to ask for the next."""

    INIT = "init"
    IDLE = "idle"
    BUSY = "busy"
    RESPONDING = "responding"
    ANSWERED = "answered"
    SHUTDOWN = "shutdown"


class Event(Enum):
    """What happens to an environment: calls of the runtime, and what the emulator does to it."""

    NEXT = "the runtime asks for an invocation"
    LOST = "the runtime's waiting connection is gone"
    INVOKE = "an invocation is handed to the runtime"
    RESPONSE = "the runtime begins to respond"
    RESPONSE_ENDED = "the response is over, complete or not"
    ERROR = "the runtime reports that the invocation failed"
    INIT_ERROR = "the runtime reports that it cannot start"
    SHUTDOWN = "the environment ends"


_TRANSITIONS: dict[State, dict[Event, State]] = {
    State.INIT: {Event.NEXT: State.IDLE, Event.INIT_ERROR: State.SHUTDOWN},
    State.IDLE: {Event.INVOKE: State.BUSY, Event.LOST: State.ANSWERED},
    State.BUSY: {Event.RESPONSE: State.RESPONDING, Event.ERROR: State.ANSWERED},
    State.RESPONDING: {Event.RESPONSE_ENDED: State.ANSWERED},
    State.ANSWERED: {Event.NEXT: State.IDLE},
    State.SHUTDOWN: {},
}


class Lifecycle:
    """One environment's state. It starts in ``INIT`` and never leaves ``SHUTDOWN``."""

    def __init__(self) -> None:
        self.state = State.INIT

    def allows(self, event: Event) -> bool:
        """Whether ``event`` may happen now."""
        return event is Event.SHUTDOWN or event in _TRANSITIONS[self.state]

    def advance(self, event: Event) -> bool:
        """Let ``event`` happen; False, and no change, where it may not."""
        if not self.allows(event):
            return False
        self.state = State.SHUTDOWN if event is Event.SHUTDOWN else _TRANSITIONS[self.state][event]
        return True
