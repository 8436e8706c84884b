"""The states of an environment and of an invocation: every event in every state."""

from __future__ import annotations

import pytest

from adapter.emulator.environment.lifecycle import Event, Lifecycle, Phase, Progress, Step

# How to get to each phase from a new environment, with room for one more invocation.
PATHS = {
    Phase.INIT: [],
    Phase.SNAPSHOT: [Event.RESTORE_NEXT],
    Phase.RESTORING: [Event.RESTORE_NEXT, Event.RESTORE],
    Phase.SERVING: [Event.NEXT],
    Phase.SHUTDOWN: [Event.SHUTDOWN],
}
LEGAL = {
    (Phase.INIT, Event.NEXT): Phase.SERVING,
    (Phase.INIT, Event.INIT_ERROR): Phase.SHUTDOWN,
    (Phase.INIT, Event.RESTORE_NEXT): Phase.SNAPSHOT,
    (Phase.SNAPSHOT, Event.RESTORE): Phase.RESTORING,
    (Phase.RESTORING, Event.NEXT): Phase.SERVING,
    (Phase.RESTORING, Event.RESTORE_ERROR): Phase.SHUTDOWN,
    (Phase.RESTORING, Event.INIT_ERROR): Phase.SHUTDOWN,
    (Phase.SERVING, Event.NEXT): Phase.SERVING,
} | {(phase, Event.SHUTDOWN): Phase.SHUTDOWN for phase in Phase}
STEPS = {
    Progress.BUSY: [],
    Progress.RESPONDING: [Step.RESPONSE],
    Progress.ANSWERED: [Step.ERROR],
}
LEGAL_STEPS = {
    (Progress.BUSY, Step.RESPONSE): Progress.RESPONDING,
    (Progress.BUSY, Step.ERROR): Progress.ANSWERED,
    (Progress.RESPONDING, Step.RESPONSE_ENDED): Progress.ANSWERED,
}


@pytest.mark.parametrize("phase", [pytest.param(phase, id=phase.value) for phase in Phase])
@pytest.mark.parametrize("event", [pytest.param(event, id=event.name) for event in Event])
def test_each_event_leads_where_the_table_says_or_nowhere(phase: Phase, event: Event) -> None:
    lifecycle = Lifecycle(slots=2)
    for before in PATHS[phase]:
        assert lifecycle.advance(before)
    assert lifecycle.phase is phase
    legal = (phase, event) in LEGAL
    assert lifecycle.allows(event) is legal
    assert lifecycle.advance(event) is legal
    assert lifecycle.phase is LEGAL.get((phase, event), phase)


def serving(slots: int = 1) -> Lifecycle:
    """One that was handed the invocation ``r``."""
    lifecycle = Lifecycle(slots)
    lifecycle.advance(Event.NEXT)
    lifecycle.invoke("r")
    return lifecycle


@pytest.mark.parametrize("progress", [pytest.param(progress, id=progress.value) for progress in Progress])
@pytest.mark.parametrize("step", [pytest.param(step, id=step.name) for step in Step])
def test_each_step_leads_where_the_table_says_or_nowhere(progress: Progress, step: Step) -> None:
    lifecycle = serving()
    for before in STEPS[progress]:
        assert lifecycle.step("r", before)
    assert lifecycle.progress("r") is progress
    assert lifecycle.step("r", step) is ((progress, step) in LEGAL_STEPS)
    assert lifecycle.progress("r") is LEGAL_STEPS.get((progress, step), progress)


def test_nothing_happens_to_an_invocation_that_is_not_here() -> None:
    lifecycle = serving()
    assert not lifecycle.step("other", Step.RESPONSE)
    lifecycle.forget("r")
    assert lifecycle.progress("r") is None


def test_one_slot_asks_when_the_invocation_before_is_answered_which_is_then_forgotten() -> None:
    lifecycle = serving()
    assert not lifecycle.advance(Event.NEXT)
    lifecycle.step("r", Step.RESPONSE)
    assert not lifecycle.advance(Event.NEXT)
    lifecycle.step("r", Step.RESPONSE_ENDED)
    assert lifecycle.progress("r") is Progress.ANSWERED
    assert lifecycle.advance(Event.NEXT)
    assert lifecycle.progress("r") is None
    assert not lifecycle.advance(Event.NEXT), "it waits already"
    lifecycle.lose()
    assert lifecycle.advance(Event.NEXT)


def test_slots_ask_as_often_as_there_are_free_ones() -> None:
    lifecycle = serving(slots=3)
    assert [lifecycle.advance(Event.NEXT) for _ in range(3)] == [True, True, False]
    lifecycle.step("r", Step.ERROR)
    assert lifecycle.advance(Event.NEXT)


def test_the_state_is_told_in_one_word() -> None:
    lifecycle = Lifecycle()
    told = [lifecycle.state]
    lifecycle.advance(Event.NEXT)
    told.append(lifecycle.state)
    lifecycle.invoke("r")
    told.append(lifecycle.state)
    lifecycle.advance(Event.SHUTDOWN)
    assert [*told, lifecycle.state] == ["init", "idle", "busy", "shutdown"]
