"""Sizes for people."""

from __future__ import annotations

import pytest

from adapter.quantities import size_text

MB = 1024 * 1024


@pytest.mark.parametrize(
    ("size", "expected"),
    [
        pytest.param(0, "0 B", id="none"),
        pytest.param(1023, "1023 B", id="bytes"),
        pytest.param(1024, "1 KB", id="kilobyte"),
        pytest.param(1536, "1.5 KB", id="a-half"),
        pytest.param(MB, "1 MB", id="megabyte"),
        pytest.param(6 * MB + 100, "6 MB", id="next-to-nothing-over"),
        pytest.param(200 * MB, "200 MB", id="many"),
    ],
)
def test_sizes_are_counted_as_aws_counts(size: int, expected: str) -> None:
    assert size_text(size) == expected
