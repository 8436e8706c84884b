"""The curve of a stream: few points, and still the same curve."""

from __future__ import annotations

import pytest

from adapter.aws.limits import LAMBDA_BANDWIDTH, MIB
from adapter.emulator.records.record import Curve
from adapter.net.token_bucket import TokenBucket


def capped_stream(size: int, piece: int) -> Curve:
    """The curve of ``size`` bytes that an app sends as fast as the cap lets it, on a clock that only waiting moves."""
    curve, bucket, now = Curve(), TokenBucket(LAMBDA_BANDWIDTH), 0.0
    while curve.sent < size:
        curve.add(now, arrived=piece)
        left = piece
        while left:
            granted = bucket.take(left, now)
            if granted:
                curve.add(now, sent=granted)
                left -= granted
            else:
                now = bucket.next_refill()
        now += 0.0001
    return curve


@pytest.mark.parametrize("size", [20 * MIB, 100 * MIB])
@pytest.mark.parametrize("piece", [4096, 65536])
def test_a_thinned_curve_keeps_its_knee_and_its_slope(size: int, piece: int) -> None:
    curve = capped_stream(size, piece)
    assert len(curve) <= 256
    points = [(at, sent) for at, _, sent in curve]
    assert points[-1][1] == size
    # The knee: the last point before the slope is that of the cap.
    knee = max(sent for at, sent in points if at < 0.2)
    assert knee == pytest.approx(6 * MIB, rel=0.05)
    after = [(at, sent) for at, sent in points if sent > 6.5 * MIB]
    slope = (after[-1][1] - after[0][1]) / (after[-1][0] - after[0][0])
    assert slope == pytest.approx(2 * MIB, rel=0.02)
    times = [at for at, _ in points]
    assert times == sorted(times)


def test_a_short_stream_keeps_every_piece() -> None:
    curve = Curve()
    for number in range(100):
        curve.add(number * 0.01, arrived=10)
        curve.add(number * 0.01 + 0.002, sent=10)
    assert [sent for _, _, sent in curve][-1] == 1000
    assert len(curve) == 200


def test_a_prelude_is_not_a_part_of_the_body() -> None:
    curve = Curve()
    curve.add(0.0, arrived=100)
    curve.add(0.1, arrived=50)
    curve.restart(30)
    curve.add(0.2, arrived=5)
    assert [arrived for _, arrived, _ in curve] == [0, 30, 35]


def test_a_sample_has_the_first_and_the_last_point() -> None:
    curve = Curve()
    for number in range(200):
        curve.add(float(number), sent=1)
    sample = curve.sample(64)
    assert len(sample) == 64
    assert (sample[0], sample[-1]) == ((0.0, 1), (199.0, 200))
    assert Curve().sample(64) == []
