"""Writes sizes, durations and amounts of money as text. As in AWS's documents, 1 MB is 1,024 KB."""

from __future__ import annotations

import math

from adapter.aws.limits import KIB, MIB


def size_text(size: int) -> str:
    """Return ``size`` as ``512 B``, ``1.5 KB`` or ``6 MB``. KB and MB have at most one decimal digit."""
    if size < KIB:
        return f"{size} B"
    unit, name = (KIB, "KB") if size < MIB else (MIB, "MB")
    return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"


def duration_text(seconds: float) -> str:
    """Return ``seconds`` as text: in milliseconds if below a second, else in seconds with two decimals."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.2f} s"


def cost_text(cost: float) -> str:
    """Return an amount of money as text, with at least two decimals and two significant digits, without an exponent."""
    digits = max(2, 1 - math.floor(math.log10(cost))) if cost > 0 else 2
    return f"{cost:.{digits}f}"
