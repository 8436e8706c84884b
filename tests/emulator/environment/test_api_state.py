"""Which requests of a runtime are legal, and who is informed of a change."""

from __future__ import annotations

import asyncio

import pytest

from adapter.emulator.environment.api_state import ApiState
from adapter.emulator.environment.invocation import LocalInvocation
from adapter.emulator.environment.state_tables import (
    IllegalTransitionError,
    InvocationEvent,
    InvocationState,
    RuntimeEvent,
    RuntimeState,
)

RESPONSE, RESPONSE_ENDED, ERROR = InvocationEvent.RESPONSE, InvocationEvent.RESPONSE_ENDED, InvocationEvent.ERROR


def handed_over(apis: ApiState, request_id: str = "r") -> LocalInvocation:
    """Return an invocation that the runtime has received."""
    invocation = LocalInvocation(label="", event=b"{}", request_id=request_id, trace_id="t")
    assert apis.next() is not None
    apis.invoke(invocation)
    return invocation


async def test_reports_about_an_invocation_that_is_not_here_are_illegal() -> None:
    apis = ApiState()
    invocation = handed_over(apis)
    assert apis.find("other") is None
    assert apis.may_report(invocation, RESPONSE)
    apis.forget(invocation)
    assert apis.find("r") is None
    assert not apis.may_report(invocation, RESPONSE)


async def test_one_slot_asks_when_the_invocation_before_is_answered_which_is_then_forgotten() -> None:
    apis = ApiState()
    invocation = handed_over(apis)
    assert apis.next() is None
    apis.advance_invocation(invocation, RESPONSE)
    assert apis.next() is None
    apis.advance_invocation(invocation, RESPONSE_ENDED)
    assert invocation.state is InvocationState.ANSWERED
    assert apis.find("r") is invocation
    poll = apis.next()
    assert poll is not None
    assert apis.find("r") is None
    assert apis.next() is None, "it waits already"
    apis.disconnect(poll)
    assert poll.result() is None
    assert apis.next() is not None


async def test_slots_ask_as_often_as_there_are_free_ones() -> None:
    apis = ApiState(slots=3)
    invocation = handed_over(apis)
    assert [apis.next() is not None for _ in range(3)] == [True, True, False]
    apis.advance_invocation(invocation, ERROR)
    assert apis.next() is not None


async def test_an_invocation_that_was_given_up_while_it_was_answered_is_counted_once() -> None:
    apis = ApiState(slots=2)
    given_up, other = handed_over(apis, "r-1"), handed_over(apis, "r-2")
    apis.advance_invocation(given_up, RESPONSE)
    apis.forget(given_up)
    apis.advance_invocation(given_up, RESPONSE_ENDED)
    assert apis.unanswered == 1
    apis.advance_invocation(other, ERROR)
    assert apis.unanswered == 0


async def test_illegal_events_change_nothing() -> None:
    apis = ApiState()
    with pytest.raises(IllegalTransitionError):
        apis.advance(RuntimeEvent.RESTORE)
    assert apis.runtime is RuntimeState.INIT
    invocation = handed_over(apis)
    with pytest.raises(IllegalTransitionError):
        apis.advance_invocation(invocation, RESPONSE_ENDED)
    assert (invocation.state, apis.unanswered) == (InvocationState.RUNNING, 1)


async def test_the_reaction_to_a_change_comes_before_waiting_tasks_wake() -> None:
    apis = ApiState()
    order: list[str] = []

    async def wait() -> None:
        await apis.condition.wait_for(lambda: bool(order))
        order.append("woken")

    async with asyncio.TaskGroup() as group:
        group.create_task(wait())
        await asyncio.sleep(0)
        apis.on_change = lambda: order.append("reaction")
        apis.note_exit(0)
        assert order == ["reaction"]
    assert order == ["reaction", "woken"]
