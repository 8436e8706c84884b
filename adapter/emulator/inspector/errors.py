"""The error that refuses a request of the inspector's page."""

from __future__ import annotations


class RefusedAction(Exception):
    """A request of the page is refused. ``status`` is the HTTP status of the answer; the page shows the message."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
