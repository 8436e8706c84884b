"""The type of callables that show the user a line about an unusual event."""

from __future__ import annotations

from typing import Protocol


class Notice(Protocol):
    """Shows a line to the user. ``level`` is ``info``, ``warn``, or ``error`` (the function or the emulator failed).

    ``reason`` is shown after ``text``. It is left out if the runtime has just printed the same reason.
    """

    def __call__(self, text: str, *, level: str = "info", reason: str = "") -> None:
        """Show ``text``, and ``reason`` after it, as one line."""
