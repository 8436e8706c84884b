"""The type of functions that show the user a line about an unusual event."""

from __future__ import annotations

from typing import Protocol


class Notice(Protocol):
    """Shows a line to the user. ``level`` is ``info``, ``warn`` or, if the function or emulator failed, ``error``."""

    def __call__(self, text: str, *, level: str = "info") -> None:
        """Show the line."""
