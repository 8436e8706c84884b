"""The number of cores of a row: all of its processes run on one core, as in a small function, or on two."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

# The numbers of cores, and their texts in a row's name and title.
ONE, TWO = 1, 2
_SUFFIX = {ONE: "@1", TWO: ""}
_WORDS = {ONE: "one core", TWO: "two cores"}


def name_on(name: str, cores: int) -> str:
    """Return the name of the row ``name`` on ``cores``."""
    return name + _SUFFIX[cores]


def title_on(title: str, cores: int) -> str:
    """Return the title of a row on ``cores``."""
    return f"{title}, {_WORDS[cores]}"


@contextmanager
def pinned(cores: int) -> Iterator[None]:
    """Run this process and all processes that it starts on ``cores``. Raises RuntimeError if there are fewer."""
    before = os.sched_getaffinity(0)
    if len(before) < cores:
        raise RuntimeError(f"{cores} cores are needed, {len(before)} may be used")
    os.sched_setaffinity(0, sorted(before)[:cores])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
