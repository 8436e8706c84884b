"""The tables of states: every event in every state."""

from __future__ import annotations

from enum import Enum
from typing import Any

import pytest

from adapter.emulator.environment.state_tables import (
    ENVIRONMENT,
    EXTENSION,
    INVOCATION,
    RUNTIME,
    EnvironmentEvent,
    EnvironmentState,
    ExtensionEvent,
    ExtensionState,
    IllegalTransitionError,
    InvocationEvent,
    InvocationState,
    RuntimeEvent,
    RuntimeState,
)

# Each line is a state, an event, and the next state. What is not here is illegal.
TABLES: dict[str, tuple[Any, type[Enum], type[Enum], str]] = {
    "environment": (
        ENVIRONMENT,
        EnvironmentState,
        EnvironmentEvent,
        """
        STARTING   OPENED                IDLE
        STARTING   SNAPSHOT_TAKEN        SNAPSHOT
        STARTING   FAILED                CLOSING
        STARTING   TIMED_OUT             CLOSING
        STARTING   RETIRED               CLOSING
        STARTING   STOPPED               CLOSING
        SNAPSHOT   RESTORE               RESTORING
        SNAPSHOT   FAILED                CLOSING
        SNAPSHOT   RETIRED               CLOSING
        SNAPSHOT   STOPPED               CLOSING
        RESTORING  OPENED                IDLE
        RESTORING  FAILED                CLOSING
        RESTORING  TIMED_OUT             CLOSING
        RESTORING  RETIRED               CLOSING
        RESTORING  STOPPED               CLOSING
        IDLE       INVOKED               BUSY
        IDLE       FAILED                CLOSING
        IDLE       RETIRED               CLOSING
        IDLE       RECLAIMED             CLOSING
        IDLE       STOPPED               CLOSING
        BUSY       INVOKED               BUSY
        BUSY       ALL_CONCLUDED         IDLE
        BUSY       TIMED_OUT             CLOSING
        BUSY       FAILED                CLOSING
        BUSY       RETIRED               RETIRING
        BUSY       STOPPED               CLOSING
        RETIRING   ALL_CONCLUDED         CLOSING
        RETIRING   TIMED_OUT             CLOSING
        RETIRING   FAILED                CLOSING
        RETIRING   STOPPED               CLOSING
        CLOSING    ENDED                 CLOSED
        """,
    ),
    "runtime": (
        RUNTIME,
        RuntimeState,
        RuntimeEvent,
        """
        INIT       NEXT           SERVING
        INIT       INIT_ERROR     SHUTDOWN
        INIT       RESTORE_NEXT   SNAPSHOT
        INIT       SHUTDOWN       SHUTDOWN
        SNAPSHOT   RESTORE        RESTORING
        SNAPSHOT   SHUTDOWN       SHUTDOWN
        RESTORING  NEXT           SERVING
        RESTORING  RESTORE_ERROR  SHUTDOWN
        RESTORING  INIT_ERROR     SHUTDOWN
        RESTORING  SHUTDOWN       SHUTDOWN
        SERVING    NEXT           SERVING
        SERVING    SHUTDOWN       SHUTDOWN
        SHUTDOWN   SHUTDOWN       SHUTDOWN
        """,
    ),
    "extension": (
        EXTENSION,
        ExtensionState,
        ExtensionEvent,
        """
        STARTED     REGISTER      REGISTERED
        REGISTERED  NEXT          READY
        REGISTERED  INIT_ERROR    INIT_ERROR
        REGISTERED  EXIT_ERROR    EXIT_ERROR
        READY       EVENT         RUNNING
        READY       DISCONNECTED  RUNNING
        READY       EXIT_ERROR    EXIT_ERROR
        RUNNING     NEXT          READY
        RUNNING     EXIT_ERROR    EXIT_ERROR
        INIT_ERROR  INIT_ERROR    INIT_ERROR
        EXIT_ERROR  EXIT_ERROR    EXIT_ERROR
        """,
    ),
    "invocation": (
        INVOCATION,
        InvocationState,
        InvocationEvent,
        """
        QUEUED      INVOKED         RUNNING
        RUNNING     RESPONSE        RESPONDING
        RUNNING     ERROR           ANSWERED
        RESPONDING  RESPONSE_ENDED  ANSWERED
        """,
    ),
}
CASES = [
    pytest.param(name, state, event, id=f"{name}-{state.name}-{event.name}")
    for name, (_, states, events, _) in TABLES.items()
    for state in states
    for event in events
]


@pytest.mark.parametrize(("name", "state", "event"), CASES)
def test_each_event_leads_to_the_state_in_the_table_or_is_illegal(name: str, state: Enum, event: Enum) -> None:
    table, states, _, text = TABLES[name]
    lines = [line.split() for line in text.strip().splitlines()]
    after = {(before, happened): next_state for before, happened, next_state in lines}.get((state.name, event.name))
    assert ((state, event) in table) is (after is not None)
    if after is not None:
        assert table[state, event] is states[after]
    else:
        with pytest.raises(IllegalTransitionError, match=f"{state.name} has no transition for {event.name}"):
            table[state, event]


@pytest.mark.parametrize("name", TABLES)
def test_every_state_but_the_first_can_be_reached(name: str) -> None:
    table, states, _, _ = TABLES[name]
    assert {*table.values()} >= {*states} - {next(iter(states))}
