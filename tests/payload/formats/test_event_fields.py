"""Fields that events share."""

from __future__ import annotations

import pytest

from adapter.payload.formats.event_fields import listed_parameters, log_time, single_parameters


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "01/Jan/1970:00:00:00 +0000"),
        (1584039838999, "12/Mar/2020:19:03:58 +0000"),
        (1767225599000, "31/Dec/2025:23:59:59 +0000"),
    ],
)
def test_times_are_in_the_common_log_format(time_ms: int, text: str) -> None:
    assert log_time(time_ms) == text


def test_parameter_maps_keep_the_last_value_or_all() -> None:
    pairs = [("a", "1"), ("b", "2"), ("a", "3")]
    assert single_parameters(pairs) == {"a": "3", "b": "2"}
    assert listed_parameters(pairs) == {"a": ["1", "3"], "b": ["2"]}
