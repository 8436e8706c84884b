"""The deadline of a connection: it times out once, at the time that was set last, and costs one timer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from adapter.net.server.deadline import Deadline


class Timer:
    """What a loop's ``call_at`` returns."""

    def __init__(self, when: float, check: Callable[[], None]) -> None:
        self.check = check
        self.cancelled = False
        self._when = when

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """The loop's time, which passes only in ``pass_to``."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, check: Callable[[], None]) -> Timer:
        self.timers.append(Timer(when, check))
        return self.timers[-1]

    def pass_to(self, now: float) -> None:
        while due := [timer for timer in self.timers if timer.when() <= now and not timer.cancelled]:
            self.now = max(self.now, due[0].when())
            self.timers.remove(due[0])
            due[0].check()
        self.now = now


class Waiting:
    """A deadline, its clock, and the times at which it was over."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.timeouts: list[float] = []
        loop = cast(asyncio.AbstractEventLoop, self.clock)
        self.deadline = Deadline(loop, lambda: self.timeouts.append(self.clock.now))


def test_a_deadline_times_out_at_its_time_and_once() -> None:
    waiting = Waiting()
    waiting.deadline.set(5.0)
    waiting.clock.pass_to(104.9)
    assert not waiting.timeouts
    waiting.clock.pass_to(200.0)
    assert waiting.timeouts == [105.0]


def test_a_deadline_that_is_moved_again_and_again_takes_one_timer() -> None:
    waiting = Waiting()
    for second in range(20):
        waiting.clock.pass_to(100.0 + second)
        waiting.deadline.set(30.0)
    assert len(waiting.clock.timers) == 1
    waiting.clock.pass_to(200.0)
    assert waiting.timeouts == [149.0]


def test_an_earlier_deadline_replaces_a_later_one() -> None:
    waiting = Waiting()
    waiting.deadline.set(75.0)
    waiting.deadline.set(5.0)
    waiting.clock.pass_to(200.0)
    assert waiting.timeouts == [105.0]


@pytest.mark.parametrize("stop", [pytest.param(True, id="stopped"), pytest.param(False, id="none")])
def test_a_deadline_that_is_removed_does_not_time_out(stop: bool) -> None:
    waiting = Waiting()
    waiting.deadline.set(5.0)
    if stop:
        waiting.deadline.stop()
        assert not [timer for timer in waiting.clock.timers if not timer.cancelled]
    else:
        waiting.deadline.when = None
    waiting.clock.pass_to(200.0)
    assert not waiting.timeouts
    waiting.deadline.set(5.0)
    waiting.clock.pass_to(300.0)
    assert waiting.timeouts == [205.0]
