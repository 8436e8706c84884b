"""The decoder of response bodies: any pieces in, bounded pieces out."""

from __future__ import annotations

import gzip
import os
import sys
import tracemalloc
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard

from adapter.aws.limits import MIB
from adapter.errors import InvalidFunctionResponse
from adapter.net.decompression import MAX_PIECE, BodyDecoder, UnknownCodingError, codings_of

PLAIN = os.urandom(40_000) + bytes(400_000) + b"the end"


def raw_deflate(data: bytes) -> bytes:
    compressor = zlib.compressobj(wbits=-15)
    return compressor.compress(data) + compressor.flush()


ENCODED: dict[str, tuple[list[str], Callable[[bytes], bytes]]] = {
    "gzip": (["gzip"], gzip.compress),
    "x-gzip": (["x-gzip"], gzip.compress),
    "deflate": (["deflate"], zlib.compress),
    "raw-deflate": (["deflate"], raw_deflate),
    "br": (["br"], brotli.compress),
    "zstd": (["zstd"], zstandard.compress),
    "two": (["gzip", "br"], lambda data: brotli.compress(gzip.compress(data))),
}
EACH = [pytest.param(codings, encode, id=name) for name, (codings, encode) in ENCODED.items()]


def decode(decoder: BodyDecoder, data: bytes, step: int) -> bytes:
    plain = bytearray()
    for start in range(0, len(data), step):
        for piece in decoder.decode(data[start : start + step]):
            assert 0 < len(piece) <= MAX_PIECE
            plain += piece
    return bytes(plain)


@pytest.mark.parametrize("step", [1, 1000, 1 << 20])
@pytest.mark.parametrize(("codings", "encode"), EACH)
def test_a_body_is_decoded_in_bounded_pieces(codings: list[str], encode: Callable[[bytes], bytes], step: int) -> None:
    decoder = BodyDecoder(codings)
    assert decode(decoder, encode(PLAIN), step) == PLAIN
    decoder.check_end()


@pytest.mark.parametrize(("codings", "encode"), EACH)
def test_a_body_that_ends_early_is_an_error_and_an_empty_one_is_not(
    codings: list[str], encode: Callable[[bytes], bytes]
) -> None:
    decoder = BodyDecoder(codings)
    decoder.check_end()
    decode(decoder, encode(PLAIN)[:-5], 1000)
    with pytest.raises(InvalidFunctionResponse, match="before the encoded data was complete"):
        decoder.check_end()


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
def test_a_body_without_its_coding_is_an_error(coding: str) -> None:
    with pytest.raises(InvalidFunctionResponse, match="is not encoded as its Content-Encoding says"):
        decode(BodyDecoder([coding]), b"plain text, not compressed", 1000)


def test_what_has_been_flushed_is_there_at_once() -> None:
    compressor = zlib.compressobj(wbits=31)
    decoder = BodyDecoder(["gzip"])
    for word in (b"one ", b"two ", b"three"):
        data = compressor.compress(word) + compressor.flush(zlib.Z_SYNC_FLUSH)
        assert b"".join(decoder.decode(data)) == word


def test_gzip_may_have_several_members_and_what_follows_them_is_ignored() -> None:
    body = gzip.compress(b"one ") + gzip.compress(b"two") + b"padding"
    for step in (1, 1000):
        decoder = BodyDecoder(["gzip"])
        assert decode(decoder, body, step) == b"one two"
        decoder.check_end()


def bomb(compress: Callable[[bytes], bytes], finish: Callable[[], bytes]) -> bytes:
    zeros = bytes(MIB)
    return b"".join([compress(zeros) for _ in range(256)]) + finish()


def test_a_bomb_needs_no_memory() -> None:
    gzip_compressor, br = zlib.compressobj(wbits=31), brotli.Compressor(quality=1)
    zstd = zstandard.ZstdCompressor().compressobj()
    bombs = {
        "gzip": bomb(gzip_compressor.compress, gzip_compressor.flush),
        "br": bomb(br.process, br.finish),
        "zstd": bomb(zstd.compress, zstd.flush),
    }
    for coding, data in bombs.items():
        tracemalloc.start()
        size = sum(map(len, BodyDecoder([coding]).decode(data)))
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert size == 256 * MIB
        assert peak < 2 * MIB, coding


@pytest.mark.parametrize(
    ("headers", "codings"),
    [
        pytest.param([("Content-Encoding", "GZip")], ["gzip"], id="any-case"),
        pytest.param(
            [("content-encoding", "gzip, br"), ("Content-Encoding", "zstd")], ["gzip", "br", "zstd"], id="list"
        ),
        pytest.param([("content-encoding", "identity")], [], id="identity"),
        pytest.param([("content-type", "gzip")], [], id="none"),
    ],
)
def test_the_codings_are_those_of_the_header(headers: list[tuple[str, str]], codings: list[str]) -> None:
    assert codings_of(headers) == codings


def test_an_unknown_coding_is_named() -> None:
    with pytest.raises(UnknownCodingError, match="does not support the coding 'snappy'"):
        BodyDecoder(["gzip", "snappy"])


@pytest.mark.parametrize(("coding", "package"), [("br", "brotli"), ("zstd", "zstandard")])
def test_a_coding_without_its_package_names_the_extra(
    coding: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UnknownCodingError, match=f"the coding '{coding}' needs the extra '{coding}'"):
        BodyDecoder([coding])
