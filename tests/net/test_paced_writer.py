"""The pace of a stream under one cap or two, on a clock that only the waiting moves."""

from __future__ import annotations

import pytest

from adapter.aws.limits import KIB, Bandwidth
from adapter.net.paced_writer import PacedWriter
from adapter.net.token_bucket import REFILL_INTERVAL, TokenBucket

CAP = Bandwidth(burst=64 * KIB, rate=32 * KIB)
TICK = 4 * KIB


class Clock:
    """A clock that moves only while a task sleeps. ``late`` is the delay of every timer."""

    def __init__(self, late: float = 0.0) -> None:
        self.now = 100.0
        self.late = late

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        assert seconds > 0
        self.now += seconds + self.late


async def _discard(_piece: bytes | memoryview) -> None:
    """Take a piece that only the pace of matters."""


async def grants(writer: PacedWriter, clock: Clock, total: int) -> list[tuple[float, int]]:
    """When how much of ``total`` was granted."""
    given = []
    while total:
        granted = await writer.grant(total)
        assert 1 <= granted <= total
        given.append((round(clock.now - 100.0, 6), granted))
        total -= granted
    return given


async def test_without_a_cap_everything_is_granted_at_once() -> None:
    clock = Clock()
    writer = PacedWriter(_discard, bandwidth=None, clock=clock, sleep=clock.sleep)
    assert await writer.grant(10**9) == 10**9
    assert writer.held_seconds == 0.0


async def test_the_burst_goes_at_once_and_the_rest_tick_by_tick() -> None:
    clock = Clock()
    writer = PacedWriter(_discard, bandwidth=CAP, clock=clock, sleep=clock.sleep)
    assert await grants(writer, clock, CAP.burst + 2 * TICK + 1) == [
        (0.0, CAP.burst),
        (REFILL_INTERVAL, TICK),
        (2 * REFILL_INTERVAL, TICK),
        (3 * REFILL_INTERVAL, 1),
    ]
    assert writer.held_seconds == pytest.approx(3 * REFILL_INTERVAL)


async def test_late_timers_do_not_slow_a_stream_down() -> None:
    clock = Clock(late=0.01)
    writer = PacedWriter(_discard, bandwidth=CAP, clock=clock, sleep=clock.sleep)
    given = await grants(writer, clock, CAP.burst + 100 * TICK)
    assert given[-1][0] == pytest.approx(100 * REFILL_INTERVAL + 0.01)


async def test_the_tighter_of_two_caps_holds_and_the_other_loses_no_tokens() -> None:
    clock = Clock()
    shared = TokenBucket(Bandwidth(burst=32 * KIB, rate=256 * KIB))
    writer = PacedWriter(_discard, bandwidth=CAP, clock=clock, sleep=clock.sleep, shared=shared)
    given = await grants(writer, clock, CAP.burst)
    # 32 KiB at once and 32 KiB with the next refill of the shared bucket: the stream's own burst is still there.
    assert given == [(0.0, 32 * KIB), (REFILL_INTERVAL, 32 * KIB)]


async def test_streams_share_what_all_of_them_may_have() -> None:
    clock = Clock()
    shared = TokenBucket(Bandwidth(burst=32 * KIB, rate=32 * KIB))
    writers = [PacedWriter(_discard, bandwidth=None, clock=clock, sleep=clock.sleep, shared=shared) for _ in range(3)]
    total = 0
    for _ in range(20):
        for writer in writers:
            total += await writer.grant(1000)
    ticks = round((clock.now - 100.0) / REFILL_INTERVAL)
    assert 32 * KIB + (ticks - 1) * TICK < total <= 32 * KIB + ticks * TICK


async def test_a_piece_is_sent_in_parts_as_the_cap_allows() -> None:
    clock = Clock()
    written: list[bytes] = []

    async def write(piece: bytes | memoryview) -> None:
        written.append(bytes(piece))

    writer = PacedWriter(write, bandwidth=CAP, clock=clock, sleep=clock.sleep)
    assert await writer.send(b"x" * (CAP.burst + TICK))
    assert [len(piece) for piece in written] == [CAP.burst, TICK]
    assert writer.sent == CAP.burst + TICK


@pytest.mark.parametrize(
    ("size", "limit", "begun", "written", "is_whole"),
    [
        pytest.param(0, None, 0, [], True, id="nothing-there"),
        pytest.param(10, None, 10, [], True, id="all-at-once"),
        pytest.param(CAP.burst + TICK + 1, None, CAP.burst, [TICK, 1], True, id="over-the-burst"),
        pytest.param(10, 10, 10, [], True, id="as-much-as-the-limit"),
        pytest.param(10, 6, 6, [], False, id="over-the-limit"),
    ],
)
async def test_the_first_part_of_a_body_is_sent_with_the_head(
    size: int, limit: int | None, begun: int, written: list[int], is_whole: bool
) -> None:
    clock = Clock()
    first: list[int] = []
    rest: list[int] = []

    async def write(piece: bytes | memoryview) -> None:
        rest.append(len(piece))

    writer = PacedWriter(write, bandwidth=CAP, clock=clock, sleep=clock.sleep, limit=limit)
    assert await writer.begin(b"x" * size, lambda piece: first.append(len(piece))) is is_whole
    assert (first, rest) == ([begun], written)
    assert writer.sent == begun + sum(written)


@pytest.mark.parametrize(("sizes", "written"), [((4, 4), [4, 2]), ((6, 1), [6]), ((7,), [6]), ((6,), [6])])
async def test_a_stream_ends_at_its_limit(sizes: tuple[int, ...], written: list[int]) -> None:
    clock = Clock()
    pieces: list[int] = []

    async def write(piece: bytes | memoryview) -> None:
        pieces.append(len(piece))

    writer = PacedWriter(write, bandwidth=None, clock=clock, sleep=clock.sleep, limit=6)
    results = [await writer.send(b"x" * size) for size in sizes]
    assert results[-1] is (sum(sizes) <= 6)
    assert pieces == written
    assert writer.sent == 6


async def test_no_piece_is_larger_than_a_message_may_be() -> None:
    clock = Clock()
    pieces: list[int] = []

    async def write(piece: bytes | memoryview) -> None:
        pieces.append(len(piece))

    writer = PacedWriter(write, bandwidth=None, clock=clock, sleep=clock.sleep, piece_limit=4)
    assert await writer.send(b"x" * 10)
    assert pieces == [4, 4, 2]


async def test_the_room_is_what_the_tighter_cap_allows_now() -> None:
    clock = Clock()
    shared = TokenBucket(Bandwidth(burst=32 * KIB, rate=256 * KIB))
    writer = PacedWriter(_discard, bandwidth=CAP, clock=clock, sleep=clock.sleep, shared=shared)
    assert writer.room(KIB) == KIB
    assert writer.room(1024 * KIB) == 32 * KIB
    assert await writer.send(b"x" * 32 * KIB)
    assert writer.room(1024 * KIB) == 0
    clock.now += REFILL_INTERVAL
    assert writer.room(1024 * KIB) == 32 * KIB


async def test_without_a_cap_the_room_is_what_is_asked_for() -> None:
    assert PacedWriter(_discard, bandwidth=None).room(1024 * KIB) == 1024 * KIB
