"""Numbers of bytes as text. As in AWS's documents, 1 MB is 1,024 KB."""

from __future__ import annotations

from adapter.aws.limits import KIB, MIB


def size_text(size: int) -> str:
    """Return ``size`` as ``512 B``, ``1.5 KB`` or ``6 MB``. KB and MB have at most one decimal digit."""
    if size < KIB:
        return f"{size} B"
    unit, name = (KIB, "KB") if size < MIB else (MIB, "MB")
    return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
