"""Numbers of bytes for people, everywhere in one way: as AWS counts, where 1 MB is 1,024 KB."""

from __future__ import annotations

_KB = 1024
_MB = 1024 * _KB


def size_text(size: int) -> str:
    """``512 B``, ``1.5 KB``, ``6 MB``: one digit after the point where there is something after it."""
    if size < _KB:
        return f"{size} B"
    unit, name = (_KB, "KB") if size < _MB else (_MB, "MB")
    return f"{size / unit:.1f}".removesuffix(".0") + f" {name}"
