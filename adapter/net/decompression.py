"""Decodes a response body according to its Content-Encoding, piece by piece. No I/O.

gzip and deflate are always available, br and zstd if their packages are installed.

A small body may decode to a huge one. So the decoders yield pieces of at most 64 KB, and decode the next piece only
when the caller asks for it. The package zstandard cannot limit its output. So zstandard gets only a few bytes of input
at once. These bytes can complete only a few of zstd's blocks, and a block decodes to at most 128 KB.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from adapter.errors import InvalidFunctionResponse

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.payload.headers import Headers

#: The maximum size of one piece of output in bytes.
MAX_PIECE = 64 * 1024
# The limit of brotli's output buffer, in bytes. The buffer grows in steps of 32 KB, 64 KB and more up to this limit.
_BR_OUTPUT = 32_000
# The number of input bytes that the zstd decoder gets at once. The smallest block of zstd has 4 bytes.
_ZSTD_INPUT = 4
# The largest window of zstd, in bytes. A decoder for HTTP need not accept larger windows (RFC 9659).
_ZSTD_WINDOW = 8 * 1024 * 1024
# The wbits argument of zlib for a gzip stream, for a stream with zlib's frame, and for a stream without a frame.
_GZIP, _ZLIB, _RAW_DEFLATE = 31, 15, -15
_GZIP_MAGIC = b"\x1f"


class Decoder(Protocol):
    """The decoder of one coding. ``is_complete`` is True once the coded data has ended."""

    @property
    def is_complete(self) -> bool: ...

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded bytes of ``data``, the next part of the body. Raises the library's error if this fails."""


class _Gzip:
    def __init__(self) -> None:
        self._stream = zlib.decompressobj(_GZIP)

    @property
    def is_complete(self) -> bool:
        return self._stream.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._stream.eof:
                if not data.startswith(_GZIP_MAGIC):
                    return  # clients ignore bytes after the end of the gzip data
                self._stream = zlib.decompressobj(_GZIP)
            yield from _inflate(self._stream, data)
            data = self._stream.unused_data


class _Deflate:
    """Decodes deflate. Many servers omit zlib's frame; the first two bytes show whether the frame is there."""

    def __init__(self) -> None:
        self._start = b""
        self._stream: zlib._Decompress | None = None

    @property
    def is_complete(self) -> bool:
        return self._stream is not None and self._stream.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self._stream is None:
            data = self._start = self._start + data
            if len(data) < 2:
                return
            # RFC 1950 section 2.2: the method is 8, and the two bytes, read as one number, are a multiple of 31.
            is_framed = data[0] & 15 == 8 and int.from_bytes(data[:2], "big") % 31 == 0
            self._stream = zlib.decompressobj(_ZLIB if is_framed else _RAW_DEFLATE)
        if not self._stream.eof:
            yield from _inflate(self._stream, data)


def _inflate(stream: zlib._Decompress, data: bytes) -> Iterator[bytes]:
    """Yield the decoded bytes of ``data``. Bytes after the end of the coded data are not decoded."""
    while piece := stream.decompress(data, MAX_PIECE):
        yield piece
        # This tail may be empty while zlib still has output, so only an empty piece ends the loop.
        data = stream.unconsumed_tail


class _Brotli:
    def __init__(self) -> None:
        import brotli  # an optional package

        self._stream: Any = brotli.Decompressor()

    @property
    def is_complete(self) -> bool:
        return bool(self._stream.is_finished())

    def decode(self, data: bytes) -> Iterator[bytes]:
        if self.is_complete:
            return
        piece = self._stream.process(data, output_buffer_limit=_BR_OUTPUT)
        while piece or not self._stream.can_accept_more_data():
            if piece:
                yield piece
            piece = self._stream.process(b"", output_buffer_limit=_BR_OUTPUT)


class _Zstd:
    def __init__(self) -> None:
        import zstandard  # an optional package

        self._decompressor = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._stream = self._decompressor.decompressobj()

    @property
    def is_complete(self) -> bool:
        return self._stream.eof

    def decode(self, data: bytes) -> Iterator[bytes]:
        for position in range(0, len(data), _ZSTD_INPUT):
            part = data[position : position + _ZSTD_INPUT]
            while part:
                if self._stream.eof:
                    self._stream = self._decompressor.decompressobj()
                output = self._stream.decompress(part)
                for start in range(0, len(output), MAX_PIECE):
                    yield output[start : start + MAX_PIECE]
                part = self._stream.unused_data


_DECODERS: dict[str, Callable[[], Decoder]] = {
    "gzip": _Gzip,
    "x-gzip": _Gzip,
    "deflate": _Deflate,
    "br": _Brotli,
    "zstd": _Zstd,
}


class UnknownCodingError(Exception):
    """A coding cannot be decoded. ``str(error)`` is the reason."""


def codings_of(headers: Headers) -> list[str]:
    """Return the codings in the Content-Encoding headers, in order and in lower case, without ``identity``."""
    values = [value for name, value in headers if name.lower() == "content-encoding"]
    codings = [coding.strip().lower() for value in values for coding in value.split(",")]
    return [coding for coding in codings if coding not in ("", "identity")]


class BodyDecoder:
    """Decodes a body. ``codings`` are the codings in Content-Encoding, in the header's order and in lower case.

    The constructor raises UnknownCodingError if a coding cannot be decoded.
    """

    def __init__(self, codings: list[str]) -> None:
        self._decoders = [_decoder(coding) for coding in reversed(codings)]
        self._is_empty = True

    def decode(self, data: bytes) -> Iterator[bytes]:
        """Yield the decoded bytes in pieces of at most 64 KB. ``data`` is the next part of the encoded body.

        Raises InvalidFunctionResponse if the body is not encoded with ``codings``.
        """
        self._is_empty = self._is_empty and not data
        try:
            yield from self._decode(data, self._decoders)
        except Exception as error:  # each library has its own error class
            raise InvalidFunctionResponse(f"the body is not encoded as its Content-Encoding says: {error}") from error

    def check_end(self) -> None:
        """Raise InvalidFunctionResponse if the body ended within the encoded data. An empty body is valid."""
        if not self._is_empty and not all(decoder.is_complete for decoder in self._decoders):
            raise InvalidFunctionResponse("the body ended before the encoded data was complete")

    def _decode(self, data: bytes, decoders: list[Decoder]) -> Iterator[bytes]:
        if not decoders:
            yield data
            return
        for piece in decoders[0].decode(data):
            yield from self._decode(piece, decoders[1:])


def _decoder(coding: str) -> Decoder:
    make = _DECODERS.get(coding)
    if make is None:
        raise UnknownCodingError(f"adapter dev does not support the coding {coding!r}")
    try:
        return make()
    except ImportError:
        raise UnknownCodingError(f"the coding {coding!r} needs the extra {coding!r}, which is not installed") from None
