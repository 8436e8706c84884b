"""The states of an execution environment over time, as the inspector shows them."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import groupby
from operator import itemgetter

from adapter.emulator.environment.state_tables import EnvironmentState

# None stands for an environment whose processes are frozen.
_NAMES = {
    None: "frozen",
    EnvironmentState.STARTING: "init",
    EnvironmentState.SNAPSHOT: "frozen",
    EnvironmentState.RESTORING: "restored",
    EnvironmentState.IDLE: "idle",
    EnvironmentState.BUSY: "busy",
    EnvironmentState.RETIRING: "busy",
    EnvironmentState.CLOSING: "ended",
    EnvironmentState.CLOSED: "ended",
}


def lane(changes: Iterable[tuple[float, EnvironmentState | None]]) -> list[tuple[float, str]]:
    """Return ``changes`` with the inspector's names for the states. Leave out changes that do not change the name."""
    named = [(at, _NAMES[state]) for at, state in changes]
    return [next(same) for _, same in groupby(named, key=itemgetter(1))]
