"""What of a payload is shown, split anywhere."""

from __future__ import annotations

import pytest

from adapter.emulator.commands.payload_view import PayloadView
from tests.emulator.scripted import prelude


def shown(pieces: list[bytes], *, decodes_whole: bool = False) -> tuple[str, bytes]:
    heads: list[str] = []
    written: list[bytes] = []
    view = PayloadView(written.append, heads.append, decodes_whole=decodes_whole)
    for piece in pieces:
        view.feed(piece)
    view.end()
    return "".join(heads), b"".join(written)


STREAM = prelude(statusCode=404, headers={"x-a": "1"}) + b"body\0\0"


@pytest.mark.parametrize("position", range(len(STREAM) + 1))
def test_a_stream_is_parted_wherever_its_pieces_are(position: int) -> None:
    assert shown([STREAM[:position], STREAM[position:]]) == ("404 Not Found\nx-a: 1\n", b"body\0\0")


@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"plain", id="text"),
        pytest.param(b'{"batchItemFailures": []}', id="json"),
        pytest.param(b'{"half": ', id="half-a-prelude"),
        pytest.param(b"{no json" + bytes(8) + b"rest", id="no-json-before-the-nuls"),
        pytest.param(b"{}\0\0three", id="too-few-nuls"),
        pytest.param(b"{" + b" " * 1_100_000, id="too-long-for-a-prelude"),
    ],
)
def test_what_is_no_response_is_shown_as_it_is(payload: bytes) -> None:
    assert shown([payload]) == ("", payload)


def test_what_is_no_response_is_not_held_back() -> None:
    written: list[bytes] = []
    view = PayloadView(written.append, lambda head: None, decodes_whole=False)
    view.feed(b"data: 1")
    assert written == [b"data: 1"]


@pytest.mark.parametrize(
    ("payload", "body"),
    [
        pytest.param(b'{"statusCode": 200, "body": "hi"}', b"hi", id="text"),
        pytest.param(b'{"statusCode": 200, "body": "AP8=", "isBase64Encoded": true}', b"\0\xff", id="binary"),
        pytest.param(
            b'{"statusCode": 200, "body": "' + b"x" * 2_000_000 + b'"}', b"x" * 2_000_000, id="longer-than-a-prelude"
        ),
        pytest.param(b'{"statusCode": "x"}', b'{"statusCode": "x"}', id="no-response"),
        pytest.param(b'{"batchItemFailures": []}', b'{"batchItemFailures": []}', id="an-answer-to-no-request"),
    ],
)
def test_the_body_of_a_whole_response_is_taken_out_on_demand(payload: bytes, body: bytes) -> None:
    pieces = [payload[at : at + 65536] for at in range(0, len(payload), 65536)]
    assert shown(pieces, decodes_whole=True) == ("", body)


def test_the_head_has_no_character_that_a_terminal_obeys() -> None:
    head, _ = shown([b'{"statusCode": 200, "headers": {"x": "\xc2\x9b31m a"}}' + bytes(8)])
    assert "x: \\x9b31m a" in head
    assert "\x9b" not in head
