"""The type of the function that shows a line about an unusual event to the user."""

from __future__ import annotations

from typing import Protocol


class Notice(Protocol):
    """Shows ``text`` in a line. ``level`` is ``error`` if the function or the emulator failed."""

    def __call__(self, text: str, *, level: str = "info") -> None:
        """Show the line."""
