"""Waiting for a condition."""

from __future__ import annotations

import asyncio

import pytest

from adapter.emulator.environment.condition import Condition


async def test_a_condition_that_holds_is_not_waited_for() -> None:
    await Condition().wait_for(lambda: True)


async def test_everybody_is_woken_whose_condition_has_come_true_and_nobody_else() -> None:
    condition = Condition()
    state = 0
    reached: list[int] = []

    async def wait_for(value: int) -> None:
        await condition.wait_for(lambda: state >= value)
        reached.append(value)

    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(wait_for(value)) for value in (1, 1, 2)]
        await asyncio.sleep(0)
        state = 1
        condition.notify()
        await asyncio.wait(tasks[:2])
        assert reached == [1, 1]
        state = 2
        condition.notify()
    assert reached == [1, 1, 2]


async def test_who_was_cancelled_is_forgotten() -> None:
    condition = Condition()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await condition.wait_for(lambda: False)
    condition.notify()
    assert not condition._waiting


async def test_the_reaction_to_a_change_comes_before_anybody_wakes() -> None:
    condition = Condition()
    order: list[str] = []

    async def wait() -> None:
        await condition.wait_for(lambda: bool(order))
        order.append("woken")

    async with asyncio.TaskGroup() as group:
        group.create_task(wait())
        await asyncio.sleep(0)
        condition.on_change = lambda: order.append("reaction")
        condition.notify()
        assert order == ["reaction"]
    assert order == ["reaction", "woken"]
