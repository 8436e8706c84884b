"""Waiting until a condition holds."""

from __future__ import annotations

import asyncio

import pytest

from adapter.emulator.environment.condition import Condition


async def test_a_condition_that_holds_is_not_waited_for() -> None:
    await Condition().wait_for(lambda: True)


async def test_a_notice_wakes_the_tasks_whose_condition_holds_and_no_other() -> None:
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


async def test_a_task_that_was_cancelled_is_forgotten() -> None:
    condition = Condition()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await condition.wait_for(lambda: False)
    condition.notify()
    assert not condition.waiters
