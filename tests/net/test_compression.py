"""Compression of responses, each coding read back by its own real decoder."""

from __future__ import annotations

import gzip
import os
import subprocess
import sys
import zlib
from collections.abc import Callable
from typing import TYPE_CHECKING

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from adapter.net.compression import available_codings, choose_coding, negotiate_compression
from adapter.payload.messages import ResponseHead

if TYPE_CHECKING:
    from adapter.net.compression import Compressor

CODINGS = available_codings()
ALL = ["gzip", "br", "zstd"]
TEXT = ("content-type", "text/plain")


def decode(coding: str, data: bytes) -> bytes:
    """Return what a client can decode of ``data``, which may be incomplete."""
    if coding == "gzip":
        return zlib.decompressobj(31).decompress(data)
    if coding == "br":
        return bytes(brotli.Decompressor().process(data))
    return zstandard.ZstdDecompressor().decompressobj().decompress(data)


def decode_whole(coding: str, data: bytes) -> bytes:
    """Return the decoded ``data``; an incomplete one is an error."""
    if coding == "gzip":
        return gzip.decompress(data)
    if coding == "br":
        return bytes(brotli.decompress(data))
    decoder = zstandard.ZstdDecompressor().decompressobj()
    body = decoder.decompress(data)
    assert decoder.eof
    return body


def head(*headers: tuple[str, str], status: int = 200) -> ResponseHead:
    return ResponseHead(status=status, headers=list(headers))


def ask(response: ResponseHead, accept: str = "gzip", method: str = "GET") -> tuple[ResponseHead, Compressor | None]:
    return negotiate_compression(response, method=method, accept_encoding=accept, codings=CODINGS)


@pytest.mark.parametrize("name", ["content-encoding", "cache-control"])
def test_a_reason_not_to_compress_counts_in_any_line_of_its_header(name: str) -> None:
    value = {"content-encoding": "gzip", "cache-control": "no-transform"}[name]
    for lines in ([(name, value), (name, "identity")], [(name, "identity"), (name, value)]):
        response = head(TEXT, *lines)
        assert ask(response) == (response, None)


def test_all_three_codings_are_available_the_best_first() -> None:
    assert list(CODINGS) == ["zstd", "br", "gzip"]


@pytest.mark.parametrize("coding", ALL)
@pytest.mark.parametrize("body", [b"", b"x", b"text " * 100_000, os.urandom(300_000)], ids=["0", "1", "text", "noise"])
def test_a_compressed_body_decodes_to_the_original(coding: str, body: bytes) -> None:
    compressor = CODINGS[coding]()
    data = compressor.compress(body) + compressor.finish()
    assert decode_whole(coding, data) == body


@pytest.mark.parametrize("coding", ALL)
@pytest.mark.parametrize("kind", [bytes, bytearray, lambda data: memoryview(bytearray(data))])
def test_any_kind_of_bytes_can_be_compressed(coding: str, kind: Callable[[bytes], bytes]) -> None:
    compressor = CODINGS[coding]()
    assert decode_whole(coding, compressor.compress(kind(b"abc")) + compressor.finish()) == b"abc"


@pytest.mark.parametrize("coding", ALL)
@given(pieces=st.lists(st.binary(max_size=200), max_size=12))
def test_flushed_output_decodes_to_everything_so_far(coding: str, pieces: list[bytes]) -> None:
    compressor = CODINGS[coding]()
    sent = b""
    for number, piece in enumerate(pieces):
        sent += compressor.compress(piece) + compressor.flush()
        assert decode(coding, sent) == b"".join(pieces[: number + 1])
    sent += compressor.finish()
    assert decode_whole(coding, sent) == b"".join(pieces)


@pytest.mark.parametrize("coding", ALL)
def test_the_compressor_makes_the_coding_in_the_head(coding: str) -> None:
    changed, compressor = ask(head(TEXT), coding)
    assert compressor is not None
    assert ("content-encoding", coding) in changed.headers
    assert decode_whole(coding, compressor.compress(b"abc") + compressor.finish()) == b"abc"


def test_headers_about_the_uncompressed_bytes_are_removed() -> None:
    response = head(
        ("Content-Type", "text/html"),
        ("Content-Length", "100"),
        ("Accept-Ranges", "bytes"),
        ("Content-MD5", "x"),
        ("Digest", "x"),
        ("Content-Digest", "x"),
        ("Content-Encoding", "identity"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        status=201,
    )
    changed, compressor = ask(response)
    assert compressor is not None
    assert changed.status == 201
    assert changed.headers == [
        ("Content-Type", "text/html"),
        ("Set-Cookie", "a=1"),
        ("Set-Cookie", "b=2"),
        ("vary", "accept-encoding"),
        ("content-encoding", "gzip"),
    ]


ETAGS = [
    pytest.param('"abc"', 'W/"abc"', id="strong"),
    pytest.param('W/"abc"', 'W/"abc"', id="weak"),
]


@pytest.mark.parametrize(("etag", "expected"), ETAGS)
def test_an_etag_becomes_weak_if_the_bytes_change(etag: str, expected: str) -> None:
    assert dict(ask(head(TEXT, ("ETag", etag)))[0].headers)["ETag"] == expected
    assert dict(ask(head(TEXT, ("ETag", etag)), "identity")[0].headers)["ETag"] == etag


VARY = [
    pytest.param([], ["accept-encoding"], id="none"),
    pytest.param(["Origin"], ["Origin", "accept-encoding"], id="another"),
    pytest.param(["Origin, Accept-Encoding"], ["Origin, Accept-Encoding"], id="named"),
    pytest.param(["Origin", "ACCEPT-ENCODING"], ["Origin", "ACCEPT-ENCODING"], id="named-in-a-repeat"),
    pytest.param(["*"], ["*"], id="everything"),
]


@pytest.mark.parametrize("accept", ["gzip", ""], ids=["compressed", "not-compressed"])
@pytest.mark.parametrize(("vary", "expected"), VARY)
def test_a_compressible_response_varies_by_accept_encoding(vary: list[str], expected: list[str], accept: str) -> None:
    response = head(TEXT, *[("Vary", value) for value in vary])
    changed, _ = ask(response, accept)
    assert [value for name, value in changed.headers if name.lower() == "vary"] == expected


COMPRESSIBLE = [
    "text/html",
    "text/plain; charset=utf-8",
    "TEXT/CSS",
    "application/json",
    "application/javascript",
    "application/problem+json",
    "application/atom+xml",
    "application/wasm",
    "image/svg+xml",
    "font/ttf",
]
INCOMPRESSIBLE = [
    "image/png",
    "image/jpeg",
    "video/mp4",
    "audio/mpeg",
    "font/woff2",
    "application/zip",
    "application/gzip",
    "application/octet-stream",
    "application/pdf",
    "text/event-stream",
    "text/event-stream; charset=utf-8",
    "",
]


@pytest.mark.parametrize("media_type", COMPRESSIBLE)
def test_compressible_types_are_compressed(media_type: str) -> None:
    assert ask(head(("Content-Type", media_type)))[1] is not None


@pytest.mark.parametrize("media_type", INCOMPRESSIBLE)
def test_other_types_and_event_streams_are_not_compressed(media_type: str) -> None:
    response = head(("Content-Type", media_type))
    assert ask(response) == (response, None)


UNTOUCHED = [
    pytest.param(head(TEXT), "HEAD", id="head"),
    pytest.param(head(TEXT, status=204), "GET", id="204"),
    pytest.param(head(TEXT, ("content-range", "bytes 0-1/9"), status=206), "GET", id="206"),
    pytest.param(head(TEXT, status=304), "GET", id="304"),
    pytest.param(head(TEXT, status=103), "GET", id="interim"),
    pytest.param(head(TEXT, ("Content-Range", "bytes */9"), status=416), "GET", id="range"),
    pytest.param(head(TEXT, ("Content-Length", "0")), "GET", id="empty"),
    pytest.param(head(TEXT, ("Content-Encoding", "gzip")), "GET", id="compressed-already"),
    pytest.param(head(TEXT, ("content-encoding", "aws-chunked")), "GET", id="unknown-coding"),
    pytest.param(head(TEXT, ("Cache-Control", "public, No-Transform")), "GET", id="no-transform"),
    pytest.param(head(), "GET", id="no-type"),
]


@pytest.mark.parametrize(("response", "method"), UNTOUCHED)
def test_responses_that_must_not_change_are_not_compressed(response: ResponseHead, method: str) -> None:
    headers = list(response.headers)
    changed, compressor = ask(response, method=method)
    assert compressor is None
    assert changed is response
    assert changed.headers == headers


def test_nothing_is_compressed_twice() -> None:
    once, _ = ask(head(TEXT))
    assert ask(once) == (once, None)


def test_the_apps_own_head_is_not_changed() -> None:
    response = head(TEXT, ("ETag", '"1"'))
    ask(response)
    assert response.headers == [TEXT, ("ETag", '"1"')]


WEIGHTS = [
    pytest.param("", None, id="nothing"),
    pytest.param("identity", None, id="identity"),
    pytest.param("deflate, compress", None, id="others"),
    pytest.param("gzip", "gzip", id="gzip"),
    pytest.param("x-gzip", "gzip", id="x-gzip"),
    pytest.param("gzip, deflate, br, zstd", "zstd", id="indifferent"),
    pytest.param("gzip, br", "br", id="br-before-gzip"),
    pytest.param("gzip;q=1.0, br;q=0.9, zstd;q=0.5", "gzip", id="weights"),
    pytest.param("br;q=0.001", "br", id="small-weight"),
    pytest.param("br;q=0, gzip", "gzip", id="refused"),
    pytest.param("gzip;q=0, br;q=0.000, zstd;q=0.0", None, id="all-refused"),
    pytest.param("*", "zstd", id="any"),
    pytest.param("*;q=0", None, id="none-of-any"),
    pytest.param("zstd;q=0, *;q=0.5", "br", id="any-but-one"),
    pytest.param("gzip;q=0.8, *;q=0.1", "gzip", id="one-over-any"),
    pytest.param("GZIP ; Q=0.5 , BR;q=0.4", "gzip", id="case-and-spaces"),
    pytest.param("gzip;level=9;q=0.5", "gzip", id="other-parameters"),
    pytest.param("gzip;q=high, br", "br", id="bad-weight-refuses"),
    *[
        pytest.param(f"gzip;q={weight}, br;q=0.1", "br", id=f"weight-{weight[:9]}")
        for weight in ("inf", "nan", "1e9", "1.001", "-1", "+1", "1_0", "9" * 5000, "\u0661")
    ],
    pytest.param("gzip;q=0., br;q=1.", "br", id="weights-without-decimals"),
    pytest.param("gzip;q=nan", None, id="nan-refuses"),
    pytest.param(", ,gzip,,", "gzip", id="empty-items"),
]


@pytest.mark.parametrize(("accept", "coding"), WEIGHTS)
def test_the_coding_is_the_one_that_the_client_prefers(accept: str, coding: str | None) -> None:
    assert choose_coding(accept, CODINGS) == coding


def test_a_coding_that_is_not_installed_is_not_chosen() -> None:
    assert choose_coding("br, gzip", ["gzip"]) == "gzip"
    assert choose_coding("br", ["gzip"]) is None


def test_without_their_packages_br_and_zstd_are_not_offered() -> None:
    code = (
        "import sys; sys.modules['brotli'] = sys.modules['zstandard'] = None\n"
        "from adapter.net.compression import available_codings\n"
        "print(*available_codings())"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.split() == ["gzip"]
