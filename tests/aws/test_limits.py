"""AWS's limits in bytes, and bandwidths as values."""

from __future__ import annotations

import pytest

from adapter.aws import limits
from adapter.aws.limits import LAMBDA_BANDWIDTH, Bandwidth


def test_bandwidths_are_equal_by_value() -> None:
    assert Bandwidth(burst=1, rate=2) == Bandwidth(burst=1, rate=2)
    assert len({Bandwidth(burst=1, rate=2), Bandwidth(burst=1, rate=2)}) == 1
    assert Bandwidth(burst=1, rate=2) != Bandwidth(burst=1, rate=3)
    assert Bandwidth(burst=1, rate=2) != Bandwidth(burst=2, rate=2)
    assert Bandwidth(burst=1, rate=2) != (1, 2)
    assert repr(LAMBDA_BANDWIDTH) == "Bandwidth(burst=6291456, rate=2097152)"


@pytest.mark.parametrize(
    ("limit", "bytes_"),
    [
        pytest.param(limits.REQUEST_LIMIT, 6_291_456, id="request"),
        pytest.param(limits.BUFFERED_RESPONSE_LIMIT, 6_291_556, id="buffered-response"),
        pytest.param(limits.STREAM_LIMIT, 209_715_200, id="stream"),
        pytest.param(limits.STREAM_LIMIT_UNTIL_2025, 20_971_520, id="stream-until-2025"),
        pytest.param(limits.FREE_STREAM_BYTES, 6_291_456, id="free"),
        pytest.param(limits.MIN_BANDWIDTH, 32_768, id="lowest-bandwidth"),
        pytest.param(limits.MAX_BANDWIDTH, 67_108_864, id="highest-bandwidth"),
    ],
)
def test_the_limits_are_those_of_aws_in_bytes(limit: int, bytes_: int) -> None:
    assert limit == bytes_


def test_the_limits_of_a_function_are_those_of_aws() -> None:
    assert (limits.FUNCTION_TIMEOUT_LIMIT, limits.MANAGED_INSTANCES_TIMEOUT_LIMIT) == (1800, 5400)
    assert limits.MAX_CONCURRENCY == 1600
    assert (limits.MIN_MEMORY, limits.MAX_MEMORY) == (128, 10_240)
