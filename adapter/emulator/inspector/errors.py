"""The error of an action that is not possible."""

from __future__ import annotations


class RefusedAction(Exception):
    """The page asked for something that is not possible. ``status`` is that of the answer; the message is shown."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
