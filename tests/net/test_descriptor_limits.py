"""How many clients there can be."""

from __future__ import annotations

import subprocess
import sys

import pytest

from adapter.net.descriptor_limits import connection_cap


@pytest.mark.parametrize(
    ("descriptors", "wanted", "cap"),
    [
        pytest.param(1024, None, 480, id="what-there-is"),
        pytest.param(1024, 100, 100, id="fewer-are-wanted"),
        pytest.param(256, 1000, 96, id="more-are-wanted"),
        pytest.param(20, None, 1, id="next-to-none"),
    ],
)
def test_each_client_takes_two_descriptors_of_what_is_left(descriptors: int, wanted: int | None, cap: int) -> None:
    assert connection_cap(descriptors, wanted) == cap


def test_the_soft_limit_is_raised_to_the_hard_one() -> None:
    program = (
        "import resource; from adapter.net.descriptor_limits import raise_limit; "
        "resource.setrlimit(resource.RLIMIT_NOFILE, (100, 200)); "
        "assert raise_limit() == 200; "
        "assert resource.getrlimit(resource.RLIMIT_NOFILE) == (200, 200)"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
