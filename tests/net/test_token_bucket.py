"""The token bucket against the numbers that Lambda's own limiter shows: bytes per tick, and when a download ends."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.aws.limits import LAMBDA_BANDWIDTH, MIB, Bandwidth
from adapter.net.token_bucket import REFILL_INTERVAL, TokenBucket

SMALL = Bandwidth(burst=1000, rate=800)


def send(bucket: TokenBucket, total: int, start: float = 0.0) -> list[tuple[float, int]]:
    """Return the times and sizes of the writes of ``total`` bytes, if every wait ends exactly at the next refill."""
    log: list[tuple[float, int]] = []
    now, rest = start, total
    while rest:
        granted = bucket.take(rest, now)
        if granted:
            log.append((now, granted))
            rest -= granted
        else:
            now = bucket.next_refill()
    return log


@pytest.mark.parametrize("start", [0.0, 12345.678, 1e9], ids=["zero", "uptime", "epoch"])
@pytest.mark.parametrize(("size", "seconds"), [(6 * MIB, 0.0), (10 * MIB, 2.0), (20 * MIB, 7.0)])
def test_a_download_takes_as_long_as_on_lambda(start: float, size: int, seconds: float) -> None:
    log = send(TokenBucket(LAMBDA_BANDWIDTH), size, start)
    assert log[-1][0] - start == pytest.approx(seconds, abs=1e-6)
    assert sum(granted for _, granted in log) == size


def test_each_refill_after_the_burst_is_256_kib() -> None:
    log = send(TokenBucket(LAMBDA_BANDWIDTH), 7 * MIB)
    assert log == [(0.0, 6 * MIB), (0.125, 262_144), (0.25, 262_144), (0.375, 262_144), (0.5, 262_144)]


def test_a_take_gets_the_available_tokens_and_no_more() -> None:
    bucket = TokenBucket(SMALL)
    assert bucket.take(400, 0.0) == 400
    assert bucket.take(700, 0.0) == 600
    assert bucket.take(1, 0.1249) == 0
    assert bucket.take(0, 0.125) == 0
    assert bucket.take(150, 0.125) == 100


def test_an_idle_stream_refills_up_to_the_burst_and_never_beyond() -> None:
    bucket = TokenBucket(SMALL)
    assert bucket.take(1000, 0.0) == 1000
    assert bucket.take(5000, 0.5) == 400
    assert bucket.take(5000, 100.0) == 1000


def test_tokens_that_were_not_used_can_be_given_back_up_to_the_burst() -> None:
    bucket = TokenBucket(SMALL)
    assert bucket.take(1000, 0.0) == 1000
    bucket.give_back(300)
    assert bucket.take(5000, 0.0) == 300
    bucket.give_back(5000)
    assert bucket.take(5000, 0.0) == 1000


def test_the_schedule_starts_with_the_first_take() -> None:
    bucket = TokenBucket(SMALL)
    assert bucket.take(1000, 7.1) == 1000
    assert bucket.next_refill() == pytest.approx(7.1 + REFILL_INTERVAL)
    assert bucket.take(1, 7.2) == 0


def test_a_late_timer_does_not_shift_the_refills_after_it() -> None:
    bucket = TokenBucket(SMALL)
    bucket.take(1000, 0.0)
    for tick in range(1, 1000):
        late = tick * REFILL_INTERVAL + 0.1
        assert bucket.next_refill() == tick * REFILL_INTERVAL
        assert bucket.take(5000, late) == 100


def test_a_refill_is_due_on_time_although_the_time_difference_rounds_down() -> None:
    start, ticks = 7.831151069298618, 7
    promised = start + ticks * REFILL_INTERVAL
    assert int((promised - start) / REFILL_INTERVAL) < ticks, "this start no longer shows the rounding"
    bucket = TokenBucket(SMALL)
    bucket.take(1000, start)
    assert bucket.take(5000, promised) == ticks * 100


def test_the_schedule_must_have_started_before_the_next_refill_is_asked_for() -> None:
    with pytest.raises(AssertionError, match="must be called first"):
        TokenBucket(SMALL).next_refill()


@given(
    bandwidth=st.builds(Bandwidth, burst=st.integers(32_768, 67_108_864), rate=st.integers(32_768, 67_108_864)),
    start=st.floats(0, 1e6),
    steps=st.lists(st.tuples(st.floats(0, 3), st.integers(0, 80_000_000)), max_size=30),
)
def test_never_more_is_taken_than_the_burst_and_the_refills_so_far(
    bandwidth: Bandwidth, start: float, steps: list[tuple[float, int]]
) -> None:
    bucket = TokenBucket(bandwidth)
    now, sent = start, 0
    for pause, wanted in steps:
        now += pause
        granted = bucket.take(wanted, now)
        assert 0 <= granted <= wanted
        sent += granted
        refills = int((now - start) / REFILL_INTERVAL + 1e-6)
        assert sent <= bandwidth.burst + refills * round(bandwidth.rate * REFILL_INTERVAL)


@given(start=st.floats(0, 1e6), ticks=st.integers(1, 100))
def test_waiting_until_the_next_refill_always_brings_tokens(start: float, ticks: int) -> None:
    bucket = TokenBucket(SMALL)
    bucket.take(1000, start)
    for _ in range(ticks):
        assert bucket.take(5000, bucket.next_refill()) == 100


def test_what_is_available_counts_due_refills_and_takes_nothing() -> None:
    bucket = TokenBucket(SMALL)
    assert bucket.available(0.0) == 1000
    assert bucket.take(900, 0.0) == 900
    assert bucket.available(0.125) == 200
    assert bucket.take(5000, 0.125) == 200
