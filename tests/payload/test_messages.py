"""What a front door knows about a request."""

from __future__ import annotations

import pytest

from adapter.payload.messages import Arrival


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "01/Jan/1970:00:00:00 +0000"),
        (1584039838999, "12/Mar/2020:19:03:58 +0000"),
        (1767225599000, "31/Dec/2025:23:59:59 +0000"),
    ],
)
def test_times_are_in_the_common_log_format(time_ms: int, text: str) -> None:
    assert Arrival(request_id="r-1", time_ms=time_ms).log_time == text


def test_arns_are_in_the_account_and_region_of_the_front_door() -> None:
    arrival = Arrival(request_id="r-1", time_ms=0, account_id="1", region="eu-central-1")
    assert arrival.arn("ec2", "vpc/v") == "arn:aws:ec2:eu-central-1:1:vpc/v"
