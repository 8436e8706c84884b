"""The error that refuses a request of the inspector's page."""

from __future__ import annotations


class RefusedAction(Exception):
    """The page requested something impossible. ``status`` is the answer's status; the page shows the message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
