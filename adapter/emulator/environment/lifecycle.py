"""The states of one execution environment, as tables. No I/O and no clock.

The environment:

    init ──next──────────────────────────────────────► serving ◄─next─┐
      └───restore_next──► snapshot ──restore──► restoring ──next──┘ └──┘

and each invocation in it:

    busy ──response──► responding ──response_ended──► answered
      └──────────────────────error──────────────────────┘

With one slot a runtime may ask for an invocation when the one before is answered; with more (Managed Instances) as
often as there are free slots. What the tables do not have is what Lambda refuses as ``InvalidStateTransition``.
"""

from __future__ import annotations

from enum import Enum


class _State(Enum):
    """A word of the tables. Each is there once, so it is hashed by identity: the hash of Enum is a call in Python."""

    __hash__ = object.__hash__


class Phase(_State):
    """What the environment is doing. ``SNAPSHOT``: initialised under SnapStart and waiting to be restored."""

    INIT = "init"
    SNAPSHOT = "snapshot"
    RESTORING = "restoring"
    SERVING = "serving"
    SHUTDOWN = "shutdown"


class Event(_State):
    """What happens to an environment: calls of the runtime, and what the emulator does to it."""

    NEXT = "the runtime asks for an invocation"
    INIT_ERROR = "the runtime reports that it cannot start"
    RESTORE_NEXT = "the runtime is ready for the snapshot"
    RESTORE = "the snapshot is restored"
    RESTORE_ERROR = "the runtime reports that it cannot go on after the restore"
    SHUTDOWN = "the environment ends"


class Progress(_State):
    """How far an invocation is."""

    BUSY = "busy"
    RESPONDING = "responding"
    ANSWERED = "answered"


class Step(_State):
    """What happens to an invocation."""

    RESPONSE = "the runtime begins to respond"
    RESPONSE_ENDED = "the response is over, complete or not"
    ERROR = "the runtime reports that the invocation failed"


_PHASES: dict[Phase, dict[Event, Phase]] = {
    Phase.INIT: {
        Event.NEXT: Phase.SERVING,
        Event.INIT_ERROR: Phase.SHUTDOWN,
        Event.RESTORE_NEXT: Phase.SNAPSHOT,
    },
    Phase.SNAPSHOT: {Event.RESTORE: Phase.RESTORING},
    # The official emulator takes an init error here as well, since runtimes send one when a restore hook fails.
    Phase.RESTORING: {
        Event.NEXT: Phase.SERVING,
        Event.RESTORE_ERROR: Phase.SHUTDOWN,
        Event.INIT_ERROR: Phase.SHUTDOWN,
    },
    Phase.SERVING: {Event.NEXT: Phase.SERVING},
    Phase.SHUTDOWN: {},
}
_STEPS: dict[Progress, dict[Step, Progress]] = {
    Progress.BUSY: {Step.RESPONSE: Progress.RESPONDING, Step.ERROR: Progress.ANSWERED},
    Progress.RESPONDING: {Step.RESPONSE_ENDED: Progress.ANSWERED},
    Progress.ANSWERED: {},
}


class Lifecycle:
    """One environment's state. It starts in ``INIT`` and never leaves ``SHUTDOWN``.

    ``waiting`` is how many slots of the runtime wait for an invocation, ``unanswered`` how many invocations have yet to
    be answered.
    """

    def __init__(self, slots: int = 1) -> None:
        self.phase = Phase.INIT
        self.slots = slots
        self.waiting = 0
        self.unanswered = 0
        self._invocations: dict[str, Progress] = {}

    @property
    def state(self) -> str:
        """The state in one word, for people: as the phase, or ``idle`` and ``busy`` while it serves."""
        if self.phase is not Phase.SERVING:
            return str(self.phase.value)
        return "busy" if self.unanswered or not self.waiting else "idle"

    def allows(self, event: Event) -> bool:
        """Whether ``event`` may happen now."""
        if event is Event.SHUTDOWN:
            return True
        if event is Event.NEXT and self.waiting + self.unanswered >= self.slots:
            return False
        return event in _PHASES[self.phase]

    def advance(self, event: Event) -> bool:
        """Let ``event`` happen; False, and no change, where it may not."""
        if not self.allows(event):
            return False
        self.phase = Phase.SHUTDOWN if event is Event.SHUTDOWN else _PHASES[self.phase][event]
        if event is Event.NEXT:
            self.waiting += 1
        if event is Event.NEXT and len(self._invocations) > self.unanswered:
            # Only now is an answered invocation over: before this its id was known, and refused.
            self._invocations = {
                request_id: progress
                for request_id, progress in self._invocations.items()
                if progress is not Progress.ANSWERED
            }
        return True

    def lose(self) -> None:
        """A waiting slot's connection is gone."""
        self.waiting -= 1

    def invoke(self, request_id: str) -> None:
        """A waiting slot is handed an invocation."""
        self.waiting -= 1
        self.unanswered += 1
        self._invocations[request_id] = Progress.BUSY

    def forget(self, request_id: str) -> None:
        """The invocation is given up; what the runtime still says about it is refused."""
        if self._invocations.pop(request_id, Progress.ANSWERED) is not Progress.ANSWERED:
            self.unanswered -= 1

    def progress(self, request_id: str) -> Progress | None:
        """How far an invocation is; None for one that is not here."""
        return self._invocations.get(request_id)

    def step(self, request_id: str, step: Step) -> bool:
        """Let something happen to an invocation; False, and no change, where it may not."""
        progress = self._invocations.get(request_id)
        if progress is None or step not in _STEPS[progress]:
            return False
        self._invocations[request_id] = progress = _STEPS[progress][step]
        self.unanswered -= progress is Progress.ANSWERED
        return True
