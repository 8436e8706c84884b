"""The history of an execution environment, for the inspector: its last changes of state."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from adapter.emulator.environment.state_tables import EnvironmentState

# The number of changes that are kept.
_MOST_CHANGES = 200

_NAMES = {
    EnvironmentState.STARTING: "init",
    EnvironmentState.SNAPSHOT: "frozen",
    EnvironmentState.RESTORING: "restored",
    EnvironmentState.IDLE: "idle",
    EnvironmentState.BUSY: "busy",
    EnvironmentState.RETIRING: "busy",
    EnvironmentState.CLOSING: "ended",
    EnvironmentState.CLOSED: "ended",
}


class Lane:
    """The last changes of one environment: pairs of a time, by ``clock``, and the state that began then."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self.changes: deque[tuple[float, str]] = deque([(clock(), "init")], maxlen=_MOST_CHANGES)

    def note(self, state: EnvironmentState, *, is_frozen: bool) -> None:
        """Note the state of the environment, which may be the same as before. A frozen environment is idle."""
        name = "frozen" if is_frozen and state is EnvironmentState.IDLE else _NAMES[state]
        if name != self.changes[-1][1]:
            self.changes.append((self._clock(), name))
