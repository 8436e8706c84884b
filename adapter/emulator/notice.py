"""The type of functions that show the user a line about an unusual event."""

from __future__ import annotations

from typing import Protocol


class Notice(Protocol):
    """Shows a line to the user. ``level`` is ``info``, ``warn`` or, if the function or emulator failed, ``error``.

    ``reason`` follows the text, unless the user has just seen it in the output of the processes.
    """

    def __call__(self, text: str, *, level: str = "info", reason: str = "") -> None:
        """Show the line."""
