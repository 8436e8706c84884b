"""Durations and amounts of money as words."""

from __future__ import annotations

import math


def duration_text(seconds: float) -> str:
    """Return ``seconds`` as text: in milliseconds if below a second, else in seconds with two decimals."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.2f} s"


def cost_text(cost: float) -> str:
    """Return an amount of money as text, with at least two decimals and two significant digits, without an exponent."""
    digits = max(2, 1 - math.floor(math.log10(cost))) if cost > 0 else 2
    return f"{cost:.{digits}f}"
