"""The response reader and the request writer: one result however the bytes are cut, and anything else is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import AdapterError, InvalidAppResponse, InvalidEvent, TruncatedResponse
from adapter.net import http1
from adapter.net.http1 import (
    CHUNK_LINE_LIMIT,
    HEAD_LIMIT,
    ResponseReader,
    encode_request_head,
    encode_text,
    is_repeatable,
    lossless_text,
)
from adapter.payload.messages import Request

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Outcome:
    """What a reader made of a response: compared whole, shown whole."""

    def __init__(self, reader: ResponseReader, body: bytes) -> None:
        assert reader.head is not None
        self.facts = (reader.head.status, reader.head.headers, body, reader.trailers, reader.complete, reader.reusable)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and self.facts == other.facts

    def __hash__(self) -> int:
        raise TypeError("outcomes are compared, not kept in sets")

    def __repr__(self) -> str:
        return repr(self.facts)


def feed_all(reader: ResponseReader, pieces: Iterable[bytes]) -> bytes:
    """Feed the pieces out of one buffer that is overwritten after each, as a connection does."""
    body = bytearray()
    for piece in pieces:
        buffer = bytearray(piece)
        for part in reader.feed(memoryview(buffer)):
            body += part
        buffer[:] = b"\xff" * len(buffer)
    return bytes(body)


def read(pieces: Iterable[bytes], *, method: str = "GET", eof: bool = False) -> Outcome:
    reader = ResponseReader(method)
    body = feed_all(reader, pieces)
    if eof:
        reader.feed_eof()
    return Outcome(reader, body)


def cuts(raw: bytes) -> Iterator[list[bytes]]:
    """``raw`` byte by byte and cut in two at every position."""
    yield [raw[position : position + 1] for position in range(len(raw))]
    for position in range(1, len(raw)):
        yield [raw[:position], raw[position:]]


def head(status: str, *lines: str) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *lines, "", ""]).encode("latin-1")


RESPONSES = [
    pytest.param("GET", head("200 OK", "Content-Length: 5") + b"hello", (200, b"hello", True), id="length"),
    pytest.param("GET", head("302 Found", "Location: /", "Content-Length: 0"), (302, b"", True), id="length-0"),
    pytest.param("GET", head("200", "content-length: 1") + b"x", (200, b"x", True), id="no-reason"),
    pytest.param("GET", head("999 Odd", "Content-Length: 1") + b"x", (999, b"x", True), id="odd-status"),
    pytest.param("HEAD", head("200 OK", "Content-Length: 5"), (200, b"", False), id="head-with-length"),
    pytest.param("HEAD", head("200 OK", "Transfer-Encoding: chunked"), (200, b"", False), id="head-chunked"),
    pytest.param("HEAD", head("200 OK", "Content-Length: 0"), (200, b"", True), id="head-with-length-0"),
    pytest.param("HEAD", head("200 OK"), (200, b"", True), id="head-without-framing"),
    pytest.param("GET", head("204 No Content"), (204, b"", True), id="204"),
    pytest.param("GET", head("304 Not Modified", "Content-Length: 5"), (304, b"", False), id="304-with-length"),
    pytest.param("POST", head("205 Reset Content", "Content-Length: 0"), (205, b"", True), id="205"),
    pytest.param(
        "GET", head("200 OK", "Connection: close", "Content-Length: 1") + b"x", (200, b"x", False), id="close"
    ),
    pytest.param(
        "GET",
        head("200 OK", "Connection: x, Close", "Content-Length: 1") + b"x",
        (200, b"x", False),
        id="close-in-list",
    ),
    pytest.param("HEAD", head("200 OK", "Connection: close"), (200, b"", False), id="head-close"),
    pytest.param("GET", b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", (200, b"x", False), id="1.0-length"),
    pytest.param(
        "GET",
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx",
        (200, b"x", True),
        id="1.0-keep-alive",
    ),
    pytest.param("GET", CHUNKED + b"3\r\nabc\r\n0\r\n\r\n", (200, b"abc", True), id="chunked"),
    pytest.param("GET", CHUNKED + b"0\r\n\r\n", (200, b"", True), id="chunked-empty"),
    pytest.param("GET", CHUNKED + b"00A\r\n0123456789\r\n000\r\n\r\n", (200, b"0123456789", True), id="chunked-zeros"),
    pytest.param(
        "GET",
        CHUNKED + b'2;a\r\nab\r\n1 \t;name="v;w"\r\nc\r\n0;last\r\n\r\n',
        (200, b"abc", True),
        id="chunked-extensions",
    ),
    pytest.param("GET", CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n", (200, b"\r\n\r\n", True), id="chunk-of-line-ends"),
    pytest.param(
        "GET",
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: </a>\r\nContent-Length: 9\r\n\r\n"
        + head("201 Created", "Content-Length: 2")
        + b"ok",
        (201, b"ok", True),
        id="interim-heads",
    ),
    pytest.param(
        "GET",
        head("200 OK", "Upgrade: h2c", "Connection: upgrade", "Content-Length: 1") + b"x",
        (200, b"x", True),
        id="upgrade-offered",
    ),
]


@pytest.mark.parametrize(("method", "raw", "expected"), RESPONSES)
def test_a_response_reads_the_same_however_it_is_cut(
    method: str, raw: bytes, expected: tuple[int, bytes, bool]
) -> None:
    whole = read([raw], method=method)
    status, _, body, _, complete, reusable = whole.facts
    assert (status, body, reusable) == expected
    assert complete
    for pieces in cuts(raw):
        assert read(pieces, method=method) == whole, pieces


UNTIL_EOF = [
    pytest.param(b"HTTP/1.0 200 OK\r\n\r\nall of it", b"all of it", id="1.0"),
    pytest.param(head("200 OK", "Content-Type: text/plain") + b"all of it", b"all of it", id="1.1"),
    pytest.param(head("200 OK"), b"", id="nothing"),
    pytest.param(
        head("101 Switching", "Upgrade: x", "Connection: upgrade", "Content-Length: 1") + b"other protocol",
        b"other protocol",
        id="101",
    ),
]


@pytest.mark.parametrize(("raw", "body"), UNTIL_EOF)
def test_a_body_without_framing_lasts_until_the_end_of_the_stream(raw: bytes, body: bytes) -> None:
    reader = ResponseReader("GET")
    assert feed_all(reader, [raw]) == body
    assert not reader.complete
    assert reader.remaining == 0
    whole = read([raw], eof=True)
    assert whole.facts[4:] == (True, False)
    for pieces in cuts(raw):
        assert read(pieces, eof=True) == whole


def test_the_first_interim_heads_are_kept_and_endless_ones_do_not_grow() -> None:
    reader = ResponseReader("GET")
    hints = b"".join(b"HTTP/1.1 103 Early Hints\r\nLink: <%d>\r\n\r\n" % number for number in range(1000))
    feed_all(reader, [b"HTTP/1.1 100 Continue\r\n\r\n" + hints + head("200 OK", "Content-Length: 0")])
    assert [(each.status, each.headers) for each in reader.interim[:2]] == [(100, []), (103, [("Link", "<0>")])]
    assert len(reader.interim) < 100
    assert reader.head is not None
    assert reader.head.status == 200


def test_interim_heads_are_bounded_as_a_head_is() -> None:
    interim = head("103 Early Hints", "Link: " + "x" * 1000)
    reader = ResponseReader("GET")
    with pytest.raises(InvalidAppResponse, match=f"the interim responses exceed {HEAD_LIMIT} bytes"):
        feed_all(reader, [interim] * (HEAD_LIMIT // len(interim) + 1))


def test_the_final_head_keeps_order_repeats_and_case_of_its_headers() -> None:
    raw = head("200 OK", "Set-Cookie: a=1", "X-Empty:", "set-cookie: b=2", "X-Space:  x\t", "Content-Length: 0")
    assert read([raw]).facts[1] == [
        ("Set-Cookie", "a=1"),
        ("X-Empty", ""),
        ("set-cookie", "b=2"),
        ("X-Space", "x"),
        ("Content-Length", "0"),
    ]


def test_header_bytes_are_utf_8_or_else_latin_1() -> None:
    raw = b"HTTP/1.1 204 No Content\r\nA: \xc3\xa9\r\nB: \xe9\r\n\r\n"
    assert read([raw]).facts[1] == [("A", "é"), ("B", "é")]


@given(value=st.binary(max_size=20))
def test_lossless_text_is_encoded_as_the_bytes_that_it_was(value: bytes) -> None:
    assert encode_text(lossless_text(value)) == value


@pytest.mark.parametrize("reason", [b"OK", b"", b"Not My Fault", b"a\tb", b"caf\xe9", b"caf\xc3\xa9"])
def test_the_reason_phrase_is_kept(reason: bytes) -> None:
    reader = ResponseReader("GET", lossless_text)
    feed_all(reader, [b"HTTP/1.1 200 %b\r\nContent-Length: 0\r\n\r\n" % reason])
    assert reader.head is not None
    assert reader.head.reason is not None
    assert encode_text(reader.head.reason) == reason


@pytest.mark.parametrize("reason", [b"a\0b", b"a\x1bb", b"a\x7f", b"\xe9\0"])
def test_a_control_character_in_a_reason_phrase_is_refused(reason: bytes) -> None:
    with pytest.raises(InvalidAppResponse, match="its reason phrase has a control character"):
        read([b"HTTP/1.1 200 %b\r\nContent-Length: 0\r\n\r\n" % reason])


@pytest.mark.parametrize("line", ["Transfer-Encoding: chunked", "Transfer-Encoding: chunked\r\nConnection: keep-alive"])
def test_http_1_0_with_a_transfer_coding_is_refused(line: str) -> None:
    for method in ("GET", "HEAD"):
        with pytest.raises(InvalidAppResponse, match=r"HTTP/1\.0 but has a Transfer-Encoding"):
            read([f"HTTP/1.0 200 OK\r\n{line}\r\n\r\n0\r\n\r\n".encode()], method=method)


def test_trailers_are_apart_from_headers() -> None:
    raw = CHUNKED + b"1\r\nx\r\n0\r\nDigest: \t abc \r\nB:\r\n\r\n"
    for pieces in [[raw], *cuts(raw)]:
        _, headers, body, trailers, complete, reusable = read(pieces).facts
        assert headers == [("Transfer-Encoding", "chunked")]
        assert (body, trailers, complete, reusable) == (b"x", [("Digest", "abc"), ("B", "")], True, True)


EXCESS = [
    pytest.param("GET", head("200 OK", "Content-Length: 1") + b"x", b"x", id="length"),
    pytest.param("GET", head("200 OK", "Content-Length: 0"), b"", id="empty"),
    pytest.param("HEAD", head("200 OK", "Content-Length: 0"), b"", id="head"),
    pytest.param("GET", head("204 No Content"), b"", id="204"),
    pytest.param("GET", CHUNKED + b"1\r\nx\r\n0\r\n\r\n", b"x", id="chunked"),
]


@pytest.mark.parametrize(("method", "raw", "body"), EXCESS)
def test_bytes_beyond_the_response_are_not_body_and_end_the_connection(method: str, raw: bytes, body: bytes) -> None:
    together = ResponseReader(method)
    assert feed_all(together, [raw + b"HTTP"]) == body
    later = ResponseReader(method)
    assert feed_all(later, [raw]) == body
    assert later.reusable
    assert feed_all(later, [b""]) == b""
    assert later.reusable
    assert feed_all(later, [b"H"]) == b""
    for reader in (together, later):
        assert (reader.complete, reader.reusable) == (True, False)


REFUSED = [
    pytest.param(b"SSH-2.0-OpenSSH\r\n", "the response is not HTTP: it starts with b'S", id="ssh"),
    pytest.param(b"\r\n\r\nHTTP/1.1 200 OK\r\n\r\n", "the response is not HTTP", id="line-end-first"),
    pytest.param(b"http/1.1 200 OK\r\n\r\n", "the response is not HTTP", id="lower-case-name"),
    pytest.param(b"HTTP/2.0 200 OK\r\n\r\n", "its version is 2.0", id="version-2"),
    pytest.param(b"HTTP/0.9 200 OK\r\n\r\n", "its version is 0.9", id="version-0.9"),
    pytest.param(b"HTTP/1.1 099 X\r\n\r\n", "099 is not a status", id="status-below-100"),
    pytest.param(b"HTTP/1.1 20 X\r\n\r\n", "Invalid status code", id="short-status"),
    pytest.param(b"HTTP/1.1 2000 X\r\n\r\n", "Invalid response status", id="long-status"),
    pytest.param(b"HTTP/1.1 200 OK\nA: b\n\n", "does not end with CRLF", id="bare-lf"),
    pytest.param(b"HTTP/1.1 200 OK\r\nA: b\n\n", "does not end with CRLF", id="bare-lf-later"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nA: b\nC: d\r\n\r\n", "Missing expected CR|not end with CRLF", id="bare-lf-inside"
    ),
    pytest.param(b"HTTP/1.1 200 OK\r\nA: b\rC: d\r\n\r\n", "Missing expected LF", id="bare-cr"),
    pytest.param(b"HTTP/1.1 200 OK\r\nA: b\r\n c\r\n\r\n", "Unexpected whitespace", id="folded-header"),
    pytest.param(b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "Invalid header token", id="space-before-colon"),
    pytest.param(b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n", "Invalid header token", id="no-colon"),
    pytest.param(b"HTTP/1.1 200 OK\r\nA: b\0\r\n\r\n", "Invalid header value", id="nul"),
    pytest.param(head("101 Switching"), "Upgrade", id="101-without-upgrade"),
    pytest.param(head("200 OK", "Content-Length: 1", "Content-Length: 2"), "Duplicate", id="two-lengths"),
    pytest.param(head("200 OK", "Content-Length: 1", "Content-Length: 1"), "Duplicate", id="length-twice"),
    pytest.param(head("200 OK", "Content-Length: 1, 1"), "Invalid character in Content-Length", id="length-list"),
    pytest.param(head("200 OK", "Content-Length: +1"), "Invalid character in Content-Length", id="length-plus"),
    pytest.param(head("200 OK", "Content-Length: -1"), "Invalid character in Content-Length", id="length-minus"),
    pytest.param(head("200 OK", "Content-Length:"), "Empty Content-Length", id="length-empty"),
    pytest.param(head("200 OK", f"Content-Length: {2**64}"), "overflow", id="length-overflow"),
    pytest.param(
        head("200 OK", "Content-Length: 1", "Transfer-Encoding: chunked"), "can't be present", id="length-and-chunked"
    ),
    pytest.param(
        head("200 OK", "Transfer-Encoding: chunked", "Content-Length: 1"), "can't be present", id="chunked-and-length"
    ),
    pytest.param(head("200 OK", "Transfer-Encoding: gzip"), "only chunked is supported", id="coding-gzip"),
    pytest.param(head("200 OK", "Transfer-Encoding: gzip, chunked"), "only chunked", id="coding-gzip-chunked"),
    pytest.param(
        head("200 OK", "Transfer-Encoding: chunked", "Transfer-Encoding: chunked"), "only chunked", id="chunked-twice"
    ),
    pytest.param(CHUNKED + b"\r\n", "b'' is not a chunk size", id="size-empty"),
    pytest.param(CHUNKED + b";ext\r\n", "not a chunk size", id="size-only-extension"),
    pytest.param(CHUNKED + b"+1\r\nx\r\n", "not a chunk size", id="size-plus"),
    pytest.param(CHUNKED + b"-1\r\nx\r\n", "not a chunk size", id="size-minus"),
    pytest.param(CHUNKED + b"0x1\r\nx\r\n", "not a chunk size", id="size-0x"),
    pytest.param(CHUNKED + b"1_0\r\nx\r\n", "not a chunk size", id="size-underscore"),
    pytest.param(CHUNKED + b" 1\r\nx\r\n", "not a chunk size", id="size-leading-space"),
    pytest.param(CHUNKED + b"1 1\r\nx\r\n", "not a chunk size", id="size-inner-space"),
    pytest.param(CHUNKED + b"1\r;\r\nx\r\n", "not a chunk size", id="size-bare-cr"),
    pytest.param(CHUNKED + b"00000000000000001\r\nx\r\n", "not a chunk size", id="size-17-digits"),
    pytest.param(CHUNKED + b"1\nx\r\n", "does not end with CRLF", id="size-bare-lf"),
    pytest.param(CHUNKED + b"1\r\nxy\r\n", "a chunk is longer than its declared size$", id="chunk-too-long"),
    pytest.param(CHUNKED + b"1\r\nx\n", "does not end with CRLF", id="chunk-end-bare-lf"),
    pytest.param(CHUNKED + b"0\r\nA: b\n\n", "does not end with CRLF", id="trailer-bare-lf"),
    pytest.param(
        CHUNKED + b"0\r\nno-colon\r\n\r\n", "a line of the trailers is not a header line$", id="trailer-no-colon"
    ),
    pytest.param(
        CHUNKED + b"0\r\nA b: c\r\n\r\n", "a line of the trailers is not a header line", id="trailer-space-in-name"
    ),
    pytest.param(
        CHUNKED + b"0\r\nA: b\r\n c: d\r\n\r\n", "a line of the trailers is not a header line", id="trailer-folded"
    ),
    pytest.param(
        CHUNKED + b"0\r\nA: b\rC: d\r\n\r\n", "a line of the trailers is not a header line", id="trailer-bare-cr"
    ),
    pytest.param(CHUNKED + b"0\r\nA: b\0\r\n\r\n", "a line of the trailers is not a header line", id="trailer-nul"),
    pytest.param(CHUNKED + b"0\r\n: x\r\n\r\n", "a line of the trailers is not a header line", id="trailer-no-name"),
]


@pytest.mark.parametrize(("raw", "message"), REFUSED)
def test_what_is_not_one_http_1_response_is_refused_however_it_is_cut(raw: bytes, message: str) -> None:
    for pieces in [[raw], *cuts(raw)]:
        with pytest.raises(InvalidAppResponse, match=message):
            read(pieces)


TRUNCATED = [
    pytest.param(b"", "before the response head was complete", id="nothing"),
    pytest.param(b"HTTP/1.1 200 OK\r\nA:", "before the response head was complete", id="in-the-head"),
    pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n", "before the response head was complete", id="after-an-interim-head"),
    pytest.param(head("200 OK", "Content-Length: 5") + b"ab", "3 bytes too early", id="in-a-length"),
    pytest.param(CHUNKED, "within a chunked body", id="before-a-chunk"),
    pytest.param(CHUNKED + b"5\r\nab", "within a chunked body", id="in-a-chunk"),
    pytest.param(CHUNKED + b"2\r\nab\r\n0\r\n", "within a chunked body", id="before-the-last-line"),
]


@pytest.mark.parametrize(("raw", "message"), TRUNCATED)
def test_a_stream_that_ends_within_a_response_is_truncated(raw: bytes, message: str) -> None:
    reader = ResponseReader("GET")
    feed_all(reader, [raw])
    with pytest.raises(TruncatedResponse, match=message):
        reader.feed_eof()
    assert (reader.complete, reader.reusable) == (False, False)


def test_the_end_of_the_stream_after_a_complete_response_only_ends_the_connection() -> None:
    reader = ResponseReader("GET")
    feed_all(reader, [head("200 OK", "Content-Length: 1") + b"x"])
    reader.feed_eof()
    assert (reader.complete, reader.reusable) == (True, False)


def test_body_bytes_read_past_the_reader_count() -> None:
    reader = ResponseReader("GET")
    assert feed_all(reader, [head("200 OK", "Content-Length: 5") + b"a"]) == b"a"
    assert reader.remaining == 4
    reader.skip(3)
    assert (reader.remaining, reader.complete) == (1, False)
    reader.skip(1)
    assert (reader.remaining, reader.complete, reader.reusable) == (0, True, True)


def test_a_chunked_body_does_not_say_how_much_is_to_come() -> None:
    reader = ResponseReader("GET")
    feed_all(reader, [CHUNKED + b"5\r\na"])
    assert reader.remaining == 0
    assert not reader.complete


def test_body_pieces_are_slices_of_the_callers_buffer() -> None:
    buffer = bytearray(head("200 OK", "Content-Length: 3") + b"abc")
    [piece] = ResponseReader("GET").feed(memoryview(buffer))
    buffer[-3:] = b"xyz"
    assert bytes(piece) == b"xyz"


@pytest.mark.parametrize("step", [50_000, HEAD_LIMIT * 2], ids=["in-steps", "at-once"])
def test_a_head_over_the_limit_is_refused(step: int) -> None:
    raw = b"HTTP/1.1 200 OK\r\nA: " + b"a" * HEAD_LIMIT + b"\r\n\r\n"
    with pytest.raises(InvalidAppResponse, match=f"the response head exceeds {HEAD_LIMIT} bytes"):
        read(raw[position : position + step] for position in range(0, len(raw), step))


def test_a_head_just_within_the_limit_is_read() -> None:
    start = b"HTTP/1.1 204 OK\r\nA: "
    raw = start + b"a" * (HEAD_LIMIT - len(start) - 4) + b"\r\n\r\n"
    assert len(raw) == HEAD_LIMIT
    assert read([raw]).facts[0] == 204


@pytest.mark.parametrize("step", [1, 100, CHUNK_LINE_LIMIT * 2])
def test_a_chunk_line_over_the_limit_is_refused(step: int) -> None:
    raw = CHUNKED + b"1;" + b"e" * (CHUNK_LINE_LIMIT - 3) + b"\r\nx\r\n"
    with pytest.raises(InvalidAppResponse, match=f"a line of the chunked body exceeds {CHUNK_LINE_LIMIT} bytes"):
        read(raw[position : position + step] for position in range(0, len(raw), step))


@pytest.mark.parametrize("length", [28, 29, 30, 31, 1000, CHUNK_LINE_LIMIT - 4])
def test_long_extensions_are_ignored(length: int) -> None:
    raw = CHUNKED + b"1;" + b"e" * length + b"\r\nx\r\n0\r\n\r\n"
    for step in (1, 7, 5000):
        pieces = [raw[position : position + step] for position in range(0, len(raw), step)]
        assert read(pieces).facts[2:] == (b"x", [], True, True)


def test_trailers_over_the_limit_are_refused() -> None:
    line = b"A: " + b"a" * 4000 + b"\r\n"
    reader = ResponseReader("GET")
    feed_all(reader, [CHUNKED + b"0\r\n"])
    with pytest.raises(InvalidAppResponse, match=f"the trailers exceed {HEAD_LIMIT} bytes"):
        feed_all(reader, [line] * (HEAD_LIMIT // 4000 + 1))


@pytest.mark.parametrize(
    ("raw", "body"),
    [
        pytest.param(b"2;x=y\r\nab\r\n0\r\n\r\n", b"ab", id="extension"),
        pytest.param(b"02 \r\n\r\n\r\n0\r\n\r\n", b"\r\n", id="line-ends-in-it"),
        pytest.param(b"2;%s\r\nab\r\n1\r\nc\r\n0\r\n\r\n" % (b"x" * 40), b"abc", id="long-extension"),
    ],
)
def test_a_chunk_is_the_same_whether_it_is_there_as_a_whole_or_not(raw: bytes, body: bytes) -> None:
    for pieces in [[CHUNKED + raw], *cuts(CHUNKED + raw)]:
        assert read(pieces).facts[2:] == (body, [], True, True)


@given(chunks=st.lists(st.binary(min_size=1, max_size=60), max_size=8), data=st.data())
def test_a_chunked_body_survives_any_chunking_and_any_cutting(chunks: list[bytes], data: st.DataObject) -> None:
    encoded = b"".join(b"%x\r\n%s\r\n" % (len(chunk), chunk) for chunk in chunks)
    raw = CHUNKED + encoded + b"0\r\n\r\n"
    positions = sorted(data.draw(st.sets(st.integers(0, len(raw)), max_size=12)))
    pieces = [raw[start:end] for start, end in zip([0, *positions], [*positions, len(raw)], strict=True)]
    assert read(pieces).facts[2:] == (b"".join(chunks), [], True, True)


# --- lines that were in earlier heads ---------------------------------------------------------------------------------

KNOWN_STARTS = ["200 OK", "204 No Content", "304 Not Modified", "500 ", "101 Switching Protocols", "200 f\xfcr"]
KNOWN_LINES = [
    *("Content-Length: 1", "content-length: 1", "Content-Length: 2", "Content-Length: 0", "Content-Length:"),
    *("Transfer-Encoding: chunked", "Transfer-Encoding: gzip", "Connection: close", "Connection: keep-alive, upgrade"),
    *("Upgrade: x", "Date: Sun, 29 Nov 2026 09:00:00 GMT", "X:  b \t", "X:", "X: \xe9", " folded", "no colon", "a : b"),
    *("X: a\nY: b", "X: a\rY: b", f"X: {'a' * 300}"),
]


def outcome(raw: bytes, *, method: str, knows_lines: bool) -> object:
    """What a reader makes of ``raw``, in one piece: its facts or its error."""
    reader = ResponseReader(method, knows_lines=knows_lines)
    try:
        body = feed_all(reader, [raw])
    except AdapterError as error:
        return str(error)
    return (Outcome(reader, body).facts, reader.head.reason) if reader.head is not None else None


@pytest.mark.parametrize("raw", [parameter.values[0] for parameter in REFUSED])
def test_a_head_is_refused_although_lines_of_it_are_known(raw: bytes) -> None:
    for line in raw.split(b"\r\n"):
        outcome(head("200 OK")[:-2] + line + b"\r\n\r\n", method="GET", knows_lines=True)
    assert outcome(raw, method="GET", knows_lines=True) == outcome(raw, method="GET", knows_lines=False)


@given(
    method=st.sampled_from(["GET", "HEAD"]),
    version=st.sampled_from(["1.1", "1.0"]),
    start=st.sampled_from(KNOWN_STARTS),
    lines=st.lists(st.sampled_from(KNOWN_LINES), max_size=4),
)
def test_a_head_of_known_lines_means_the_same(method: str, version: str, start: str, lines: list[str]) -> None:
    for line in lines:
        outcome(head(start, line), method="GET", knows_lines=True)
    raw = head(start, *lines).replace(b"1.1", version.encode(), 1) + b"xyz"
    expected = outcome(raw, method=method, knows_lines=False)
    assert [outcome(raw, method=method, knows_lines=True) for _ in range(2)] == [expected] * 2


@pytest.mark.parametrize(
    "raw",
    [
        head("103 Early Hints", "Link: </a>") + head("200 OK", "Content-Length: 0"),
        head("101 Switching", "Upgrade: x", "Connection: upgrade") + b"any bytes",
        head("200 f\xfcr", "X: \xe9", f"Y: {'y' * 300}", "Content-Length: 0"),
    ],
    ids=["interim", "upgrade", "not-kept"],
)
def test_what_is_not_known_is_parsed_again(raw: bytes) -> None:
    expected = outcome(raw, method="GET", knows_lines=False)
    assert [outcome(raw, method="GET", knows_lines=True) for _ in range(2)] == [expected] * 2


def test_known_lines_are_bounded() -> None:
    for number in range(3000):
        outcome(head(f"200 {number}", f"X: {number}", "Content-Length: 0"), method="GET", knows_lines=True)
        assert len(http1._known_starts) <= 1025
        assert len(http1._known_lines) <= 1027


@given(raw=st.binary(max_size=60), start=st.sampled_from([b"", b"HTTP/1.1 200 OK\r\n", CHUNKED]))
def test_any_bytes_are_read_or_refused_by_an_error_of_ours(raw: bytes, start: bytes) -> None:
    reader = ResponseReader("GET")
    try:
        feed_all(reader, [start + raw])
        reader.feed_eof()
    except AdapterError:
        assert not reader.complete


REQUESTS = [
    pytest.param(
        Request(method="GET", target="/a%2Fb?x=1", headers=[("A", "1"), ("a", "2")]),
        b"GET /a%2Fb?x=1 HTTP/1.1\r\nhost: app:8080\r\nA: 1\r\na: 2\r\n\r\n",
        id="get",
    ),
    pytest.param(
        Request(method="GET", target="/", headers=[("A", "1"), ("HOST", "example.com")]),
        b"GET / HTTP/1.1\r\nA: 1\r\nHOST: example.com\r\n\r\n",
        id="own-host",
    ),
    pytest.param(
        Request(method="POST", target="/", headers=[]),
        b"POST / HTTP/1.1\r\nhost: app:8080\r\ncontent-length: 0\r\n\r\n",
        id="post-without-body",
    ),
    pytest.param(
        Request(method="DELETE", target="/", headers=[]),
        b"DELETE / HTTP/1.1\r\nhost: app:8080\r\n\r\n",
        id="delete-without-body",
    ),
    pytest.param(
        Request(method="GET", target="/", headers=[("X", "é")], body="é".encode()),
        b"GET / HTTP/1.1\r\nhost: app:8080\r\nX: \xc3\xa9\r\ncontent-length: 2\r\n\r\n",
        id="get-with-body",
    ),
]


@pytest.mark.parametrize(("request_", "expected"), REQUESTS)
def test_a_request_head_is_framed_by_its_length(request_: Request, expected: bytes) -> None:
    assert encode_request_head(request_, "app:8080") == expected


def test_a_request_with_an_invalid_host_is_refused() -> None:
    request_ = Request(method="GET", target="/", headers=[("Host", "a/b")])
    with pytest.raises(InvalidEvent, match="the event's Host header is neither HOST nor HOST:PORT"):
        encode_request_head(request_, "app:8080")


def test_a_request_with_two_hosts_is_refused() -> None:
    request_ = Request(method="GET", target="/", headers=[("Host", "a"), ("HOST", "b")])
    with pytest.raises(InvalidEvent, match="2 Host headers"):
        encode_request_head(request_, "app:8080")


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        pytest.param(b"HTTP/1.1 200 OK\r\n" + b"a:\r\n" * 1001 + b"\r\n", "more than 1000 header fields", id="fields"),
        pytest.param(CHUNKED + b"0\r\n" + b"a: b\r\n" * 1001 + b"\r\n", "more than 1000 trailers", id="trailers"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nConnection: " + b"a," * 1000 + b"a\r\n\r\n", "more than 1000 elements", id="options"
        ),
    ],
)
def test_what_a_response_may_have_of_each_is_bounded(raw: bytes, message: str) -> None:
    for size in (len(raw), 1000):
        with pytest.raises(InvalidAppResponse, match=message):
            feed_all(ResponseReader("GET"), [raw[start : start + size] for start in range(0, len(raw), size)])


def test_a_head_byte_by_byte_takes_time_in_proportion_to_its_size() -> None:
    # Copying what has arrived with every byte would take a minute.
    raw = b"HTTP/1.1 200 OK\r\nX: " + b"x" * (HEAD_LIMIT - 100) + b"\r\nContent-Length: 0\r\n\r\n"
    reader = ResponseReader("GET")
    for start in range(0, len(raw), 4):
        reader.feed(memoryview(raw)[start : start + 4])
    assert reader.complete


@pytest.mark.parametrize(
    ("method", "size", "repeatable"),
    [("GET", 0, True), ("PUT", 65536, True), ("PUT", 65537, False), ("POST", 0, False), ("PATCH", 0, False)],
)
def test_only_an_idempotent_request_with_a_small_body_may_be_sent_again(
    method: str, size: int, repeatable: bool
) -> None:
    assert is_repeatable(method, size) is repeatable


def test_a_response_has_begun_with_its_first_byte() -> None:
    reader = ResponseReader("GET")
    assert not reader.has_begun
    reader.feed(memoryview(b"H"))
    assert reader.has_begun
