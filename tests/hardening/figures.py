"""The figures of the tests in this folder. `conftest.py` prints them as the last lines of a run."""

from __future__ import annotations

_FIGURES: list[str] = []


def show(promise: str, figure: str) -> None:
    """Add ``figure`` for ``promise`` to the printed lines."""
    _FIGURES.append(f"{promise}: {figure}")


def lines() -> list[str]:
    """Return one line for each figure, in the order of the tests."""
    return list(_FIGURES)
