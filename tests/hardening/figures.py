"""What the tests of this folder have counted; `conftest.py` shows it as the last lines of a run."""

from __future__ import annotations

_FIGURES: list[str] = []


def show(promise: str, figure: str) -> None:
    """Have ``figure`` shown for ``promise``."""
    _FIGURES.append(f"{promise}: {figure}")


def lines() -> list[str]:
    """One line for each figure, in the order of the tests."""
    return list(_FIGURES)
