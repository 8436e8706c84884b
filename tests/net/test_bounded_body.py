"""Reading a body within a limit."""

from __future__ import annotations

import pytest

from adapter.net.bounded_body import read_body


class Pieces:
    """A request whose body arrives in ``pieces``."""

    def __init__(self, *pieces: bytes) -> None:
        self.body = self
        self.continues = 0
        self.pieces = [*pieces, b""]

    def send_continue(self) -> None:
        self.continues += 1

    async def read(self) -> bytes:
        return self.pieces.pop(0)


@pytest.mark.parametrize(
    ("limit", "expected"), [pytest.param(5, b"hello", id="exactly"), pytest.param(4, None, id="one-byte-more")]
)
async def test_a_body_is_read_up_to_the_limit(limit: int, expected: bytes | None) -> None:
    request = Pieces(b"he", b"llo")
    assert await read_body(request, limit) == expected
    assert request.continues == 1


async def test_a_body_over_the_limit_is_not_read_to_its_end() -> None:
    request = Pieces(b"12345", b"more")
    assert await read_body(request, 4) is None
    assert request.pieces == [b"more", b""]


async def test_a_request_without_a_body_has_an_empty_one() -> None:
    assert await read_body(Pieces(), 0) == b""
