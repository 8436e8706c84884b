"""The states of an environment: every event in every state."""

from __future__ import annotations

import pytest

from adapter.emulator.lifecycle import Event, Lifecycle, State

# How to get to each state from a new environment.
PATHS = {
    State.INIT: [],
    State.IDLE: [Event.NEXT],
    State.BUSY: [Event.NEXT, Event.INVOKE],
    State.RESPONDING: [Event.NEXT, Event.INVOKE, Event.RESPONSE],
    State.ANSWERED: [Event.NEXT, Event.INVOKE, Event.RESPONSE, Event.RESPONSE_ENDED],
    State.SHUTDOWN: [Event.SHUTDOWN],
}
LEGAL = {
    (State.INIT, Event.NEXT): State.IDLE,
    (State.INIT, Event.INIT_ERROR): State.SHUTDOWN,
    (State.IDLE, Event.INVOKE): State.BUSY,
    (State.IDLE, Event.LOST): State.ANSWERED,
    (State.BUSY, Event.RESPONSE): State.RESPONDING,
    (State.BUSY, Event.ERROR): State.ANSWERED,
    (State.RESPONDING, Event.RESPONSE_ENDED): State.ANSWERED,
    (State.ANSWERED, Event.NEXT): State.IDLE,
} | {(state, Event.SHUTDOWN): State.SHUTDOWN for state in State}


def lifecycle_in(state: State) -> Lifecycle:
    lifecycle = Lifecycle()
    for event in PATHS[state]:
        assert lifecycle.advance(event)
    assert lifecycle.state is state
    return lifecycle


@pytest.mark.parametrize("state", [pytest.param(state, id=state.value) for state in State])
@pytest.mark.parametrize("event", [pytest.param(event, id=event.name) for event in Event])
def test_each_event_leads_where_the_table_says_or_nowhere(state: State, event: Event) -> None:
    lifecycle = lifecycle_in(state)
    legal = (state, event) in LEGAL
    assert lifecycle.allows(event) is legal
    assert lifecycle.advance(event) is legal
    assert lifecycle.state is LEGAL.get((state, event), state)
