"""The type of responses that all clients of the tests return."""

from __future__ import annotations

import http.client
import json
from typing import Any

Pairs = list[tuple[str, str]]


class Answer:
    """Status, headers and body. Header names are in lower case. ``pairs`` contains repeated headers separately.

    ``is_cut`` is True if the connection ended before the body was complete.
    """

    def __init__(self, status: int, headers: Pairs, body: bytes = b"", *, is_cut: bool = False) -> None:
        self.status = status
        self.pairs: Pairs = [(name.lower(), value) for name, value in headers]
        self.headers = dict(self.pairs)
        self.body = body
        self.is_cut = is_cut

    def header(self, name: str) -> str | None:
        """Return the first value of the header ``name``, in any case, or None if it is missing."""
        return next((value for each, value in self.pairs if each == name.lower()), None)

    def all(self, name: str) -> list[str]:
        """Return all values of the header ``name``, which must be in lower case."""
        return [value for each, value in self.pairs if each == name]

    def json(self) -> Any:
        """Return the decoded body."""
        return json.loads(self.body)


def read_answer(response: http.client.HTTPResponse) -> Answer:
    """Read all of ``response`` that arrives, and return it."""
    headers = response.getheaders()
    try:
        return Answer(response.status, headers, response.read())
    except http.client.IncompleteRead as error:
        return Answer(response.status, headers, error.partial, is_cut=True)
