"""From bytes to requests, without a socket: the same however the bytes are cut, and refused if they are not HTTP/1."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from adapter.net.server.request_parser import EndOfMessage, Refusal, RequestHead, RequestParser

HEAD_BYTES = 2000
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED_POST = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
UPGRADE = b"Connection: Upgrade\r\nUpgrade: H2C\r\n"


def readable(item: RequestHead | bytes | EndOfMessage | Refusal) -> object:
    if isinstance(item, RequestHead):
        flags = (item.keep_alive, item.expects_continue)
        return (item.method, item.target, item.version, item.headers, item.upgrade, flags)
    if isinstance(item, EndOfMessage):
        return item.trailers
    return item if isinstance(item, bytes) else (item.status, str(item))


def parse(pieces: list[bytes], *, resume: bool = False) -> list[object]:
    """What the parser makes of ``pieces``; the pieces of a body are joined."""
    parser = RequestParser(HEAD_BYTES)
    items: list[object] = []
    for piece in pieces:
        received = parser.feed(piece)
        while received or parser.is_paused:
            for item in map(readable, received):
                if items and isinstance(item, bytes) and isinstance(items[-1], bytes):
                    items[-1] += item
                else:
                    items.append(item)
            received = parser.resume() if resume and parser.is_paused else []
            if not resume:
                break
    if parser.is_paused:
        items.append(("kept", parser.take_kept()))
    return items


def cuts(raw: bytes) -> Iterator[list[bytes]]:
    """``raw`` byte by byte, and cut in two at every position."""
    yield [raw[position : position + 1] for position in range(len(raw))]
    for position in range(1, len(raw)):
        yield [raw[:position], raw[position:]]


def head(method: str, target: str, *headers: tuple[str, str], upgrade: str = "", stays: bool = True) -> object:
    return (method, target, "1.1", [("Host", "a"), *headers], upgrade, (stays, False))


PARSED = [
    pytest.param(GET, [head("GET", "/"), []], id="no-body"),
    pytest.param(
        b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello",
        [head("POST", "/p", ("Content-Length", "5")), b"hello", []],
        id="length",
    ),
    pytest.param(
        CHUNKED_POST + b"2;x=1\r\nhe\r\n3\r\nllo\r\n0\r\nX-Sum: 7 \r\n\r\n" + GET,
        [head("POST", "/p", ("Transfer-Encoding", "chunked")), b"hello", [("X-Sum", "7")], head("GET", "/"), []],
        id="chunked-with-trailers-and-pipelined",
    ),
    pytest.param(
        b"GET /a%2Fb?x=%20 HTTP/1.1\r\nHost: a\r\nX:  gr\xc3\xbcn \t\r\nx: \xfc\r\nEmpty:\r\n\r\n",
        [head("GET", "/a%2Fb?x=%20", ("X", "grün"), ("x", "ü"), ("Empty", "")), []],
        id="text",
    ),
    pytest.param(
        b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n" + GET,
        [head("CONNECT", "a:1", stays=False), [], ("kept", GET)],
        id="connect",
    ),
    pytest.param(
        GET[:-2] + UPGRADE + b"\r\n" + GET,
        [head("GET", "/", ("Connection", "Upgrade"), ("Upgrade", "H2C"), upgrade="h2c"), [], ("kept", GET)],
        id="upgrade",
    ),
    pytest.param(
        b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" + UPGRADE + b"\r\nhi" + GET,
        [
            head("POST", "/p", ("Content-Length", "2"), ("Connection", "Upgrade"), ("Upgrade", "H2C")),
            b"hi",
            [],
            head("GET", "/"),
            [],
        ],
        id="upgrade-with-a-body-is-not-offered",
    ),
    pytest.param(
        GET + b"GET /\xff HTTP/1.1\r\n\r\n" + GET,
        [head("GET", "/"), [], (400, "not HTTP/1.1: Invalid char in url path")],
        id="refused-behind-a-good-one",
    ),
    pytest.param(
        GET + b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n" + GET,
        [head("GET", "/"), [], (400, "the request has 2 Host headers instead of one")],
        id="refused-by-us",
    ),
    pytest.param(
        CHUNKED_POST + b"1\r\nx\r\nnonsense\r\n" + GET,
        [
            head("POST", "/p", ("Transfer-Encoding", "chunked")),
            b"x",
            (400, "not HTTP/1.1: Invalid character in chunk size"),
        ],
        id="broken-chunks",
    ),
    pytest.param(
        CHUNKED_POST + b"c\r\na;x HTTP/1.1\r\n0\r\n\r\nGET / HTTP/1.0\r\nHost: a\r\n\r\n",
        [
            head("POST", "/p", ("Transfer-Encoding", "chunked")),
            b"a;x HTTP/1.1",
            [],
            ("GET", "/", "1.0", [("Host", "a")], "", (False, False)),
            [],
        ],
        id="version-behind-a-body-that-names-another",
    ),
]


@pytest.mark.parametrize(("raw", "expected"), PARSED)
def test_bytes_become_the_same_requests_however_they_are_cut(raw: bytes, expected: list[object]) -> None:
    assert parse([raw]) == expected
    for pieces in cuts(raw):
        assert parse(pieces) == expected, pieces


def test_what_is_kept_is_parsed_when_the_upgrade_is_declined() -> None:
    raw = GET[:-2] + UPGRADE + b"\r\n" + GET + CHUNKED_POST + b"0\r\n\r\n"
    whole = parse([raw], resume=True)
    assert len(whole) == 6
    for pieces in cuts(raw):
        assert parse(pieces, resume=True) == whole, pieces


def test_a_request_without_room_is_kept_although_the_body_before_it_looks_like_a_chunk_length() -> None:
    parser = RequestParser(HEAD_BYTES)
    parser.feed(CHUNKED_POST + b"1\r\n", 1)
    received = parser.feed(b"a\r\n0\r\n\r\n" + GET, 0)
    assert [type(each) for each in received] == [bytes, EndOfMessage]
    assert parser.kept == GET


@pytest.mark.parametrize(
    ("raw", "part"),
    [
        pytest.param(b"GET /" + b"x" * HEAD_BYTES, "request line and headers", id="target"),
        pytest.param(GET[:-2] + b"X: y\r\n" * 1200 + b"\r\n", "request line and headers", id="headers"),
        pytest.param(GET[:-2] + b"X: " + b"y" * HEAD_BYTES, "request line and headers", id="endless-header"),
        pytest.param(
            CHUNKED_POST + b"0\r\n" + b"X: y\r\n" * 1200 + b"\r\n", "trailers or chunk extensions", id="trailers"
        ),
        pytest.param(
            CHUNKED_POST + b"1;" + b"x" * 2 * HEAD_BYTES, "trailers or chunk extensions", id="chunk-extension"
        ),
    ],
)
def test_what_surrounds_a_body_is_limited(raw: bytes, part: str) -> None:
    for size in (1, 7, 100, 1000):
        items = parse([raw[start : start + size] for start in range(0, len(raw), size)])
        assert items[-1] == (431, f"the {part} exceed {HEAD_BYTES} bytes"), size


def test_a_head_that_has_begun_is_told_from_a_complete_one() -> None:
    parser = RequestParser(HEAD_BYTES)
    assert not parser.in_head
    for position in range(len(GET) - 1):
        assert not parser.feed(GET[position : position + 1])
        assert parser.in_head
    assert len(parser.feed(GET[-1:])) == 2
    assert not parser.in_head
    parser.feed(GET + b"G")
    assert parser.in_head
