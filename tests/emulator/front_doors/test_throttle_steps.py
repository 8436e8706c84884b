"""The cap step for step, through the front door's own response writer: what leaves in each 125 ms tick, on a clock that
only waiting moves. Expected values are worked out by hand from the bucket: 6 MiB, then 256 KiB a tick.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterable

import pytest

from adapter.aws.limits import KIB, LAMBDA_BANDWIDTH, MIB, Bandwidth
from adapter.emulator.front_doors.rest_api import REST_BANDWIDTH
from adapter.net.paced_writer import PacedWriter
from adapter.net.token_bucket import REFILL_INTERVAL

TICK = 256 * KIB


class World:
    """One clock for many streams. Once all streams sleep, it moves to the time at which the next one wakes up."""

    def __init__(self) -> None:
        self.now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Event]] = []
        self._count = 0

    def time(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        wake = asyncio.Event()
        self._count += 1
        heapq.heappush(self._sleepers, (self.now + seconds, self._count, wake))
        await wake.wait()

    async def run(self, tasks: Iterable[asyncio.Task[None]]) -> None:
        pending = set(tasks)
        while pending:
            # Every stream that can go on does so, until all of them sleep.
            for _ in range(5):
                await asyncio.sleep(0)
            pending = {task for task in pending if not task.done()}
            if self._sleepers:
                moment = self._sleepers[0][0]
                self.now = moment
                while self._sleepers and self._sleepers[0][0] <= moment:
                    heapq.heappop(self._sleepers)[2].set()


class PacedStream:
    """What one stream has sent: bytes by the number of the tick."""

    def __init__(self, world: World, bandwidth: Bandwidth, start: float = 0.0) -> None:
        self._world = world
        self._writer = PacedWriter(self._note, bandwidth=bandwidth, clock=world.time, sleep=world.sleep)
        self._start = start
        self.ticks: dict[int, int] = {}

    async def send(self, size: int, piece: int = 64 * KIB) -> None:
        """Send ``size`` bytes as an app does that is never the slow one, in pieces of ``piece`` bytes."""
        while size:
            wanted = min(size, piece)
            await self._writer.send(bytes(wanted))
            size -= wanted

    async def _note(self, piece: bytes | memoryview) -> None:
        tick = round((self._world.now - self._start) / REFILL_INTERVAL)
        self.ticks[tick] = self.ticks.get(tick, 0) + len(piece)


async def sent(*plan: int | float, bandwidth: Bandwidth = LAMBDA_BANDWIDTH, piece: int = 64 * KIB) -> dict[int, int]:
    """Return the ticks of a stream that follows ``plan``: an int sends bytes, a float idles seconds."""
    world = World()
    stream = PacedStream(world, bandwidth)

    async def run() -> None:
        for step in plan:
            await (world.sleep(step) if isinstance(step, float) else stream.send(step, piece))

    async with asyncio.TaskGroup() as group:
        await world.run([group.create_task(run())])
    return stream.ticks


@pytest.mark.parametrize("piece", [1000, 64 * KIB, TICK, 7 * MIB], ids=["small", "usual", "a-tick", "beyond-the-burst"])
async def test_20_mib_leave_in_7_seconds_256_kib_a_tick(piece: int) -> None:
    ticks = await sent(20 * MIB, piece=piece)
    assert ticks == {0: 6 * MIB} | dict.fromkeys(range(1, 57), TICK)
    assert max(ticks) * REFILL_INTERVAL == 7.0


@pytest.mark.parametrize(
    ("idle", "earned"),
    [
        pytest.param(0.125, TICK, id="one-tick"),
        pytest.param(2.0, 16 * TICK, id="two-seconds"),
        pytest.param(3.0, 6 * MIB, id="exactly-the-burst"),
        pytest.param(60.0, 6 * MIB, id="no-more-than-the-burst"),
    ],
)
async def test_an_idle_spell_earns_the_burst_back(idle: float, earned: int) -> None:
    """8 MiB are sent at second 1.0, in the eighth tick; then the app is silent for ``idle``."""
    ticks = await sent(8 * MIB, idle, 7 * MIB)
    first = {0: 6 * MIB} | dict.fromkeys(range(1, 9), TICK)
    resumed = 8 + round(idle / REFILL_INTERVAL)
    rest = 7 * MIB - earned
    whole, last = divmod(rest, TICK)
    assert last == 0
    assert ticks == first | {resumed: earned} | dict.fromkeys(range(resumed + 1, resumed + 1 + whole), TICK)


async def test_a_spell_that_is_no_whole_number_of_ticks_shifts_nothing() -> None:
    world = World()
    stream = PacedStream(world, LAMBDA_BANDWIDTH)
    moments = []

    async def run() -> None:
        await stream.send(6 * MIB)
        await world.sleep(0.2)
        await stream.send(TICK)
        moments.append(world.now)
        await stream.send(TICK)
        moments.append(world.now)

    async with asyncio.TaskGroup() as group:
        await world.run([group.create_task(run())])
    # At 0.2 s one refill is there; the next one comes at 0.25 s, not 125 ms later.
    assert moments == [pytest.approx(0.2), pytest.approx(0.25)]


async def test_a_rest_api_lets_10_mib_go_at_once() -> None:
    ticks = await sent(12 * MIB, bandwidth=REST_BANDWIDTH)
    assert ticks == {0: 10 * MIB} | dict.fromkeys(range(1, 9), TICK)


async def test_50_streams_at_once_have_a_bucket_each() -> None:
    """They begin one after the other, idle at different times, and none of them gets another one's bytes."""
    world = World()
    streams = []

    async def run(number: int) -> None:
        start = number * 0.01
        await world.sleep(start + 1e-9)
        stream = PacedStream(world, LAMBDA_BANDWIDTH, start)
        streams.append(stream)
        await stream.send(7 * MIB)
        await world.sleep(number % 5 * REFILL_INTERVAL)
        await stream.send(MIB)

    async with asyncio.TaskGroup() as group:
        await world.run([group.create_task(run(number)) for number in range(50)])
    assert len(streams) == 50
    for number, stream in enumerate(streams):
        idle = number % 5
        expected = {0: 6 * MIB} | dict.fromkeys(range(1, 5), TICK)
        if idle:
            expected |= {4 + idle: idle * TICK} | dict.fromkeys(range(5 + idle, 9), TICK)
        else:
            expected |= dict.fromkeys(range(5, 9), TICK)
        assert stream.ticks == expected, number
