"""Status descriptions."""

from __future__ import annotations

from http import HTTPStatus

import pytest

from adapter.payload.status_line import status_line


@pytest.mark.parametrize(
    ("status", "line"), [(200, "200 OK"), (404, "404 Not Found"), (418, "418 I'm a Teapot"), (599, "599 Unknown")]
)
def test_a_status_has_its_phrase(status: int, line: str) -> None:
    assert status_line(status) == line


def test_every_status_that_python_knows_has_a_phrase() -> None:
    assert [status for status in HTTPStatus if "Unknown" in status_line(status)] == []
