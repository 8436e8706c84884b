"""Compression of responses: the choice of the responses and of the coding, and the compressors. No I/O.

This module does not compress a response that already has a Content-Encoding, contains only a range, is an event stream
or is marked no-transform. The coding gzip is always available. br and zstd are available if their packages are
installed.
"""

from __future__ import annotations

from adapter.numbers import decimal
from adapter.payload.headers import join_repeats
from adapter.payload.messages import ResponseHead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, Protocol

    class Compressor(Protocol):
        """The compressor of one body."""

        def compress(self, data: bytes | bytearray | memoryview) -> bytes:
            """Compress a part of the body. Return the output that is ready, which may be empty."""

        def flush(self) -> bytes:
            """Return all pending output, so that the client can decode everything compressed so far."""

        def finish(self) -> bytes:
            """End the compressed stream and return its last bytes."""


# Media types that compression makes smaller. Audio, video, and other images and fonts are already compressed.
_COMPRESSIBLE_PREFIXES = ("text/", "application/vnd.api+", "font/ttf", "font/otf", "image/svg+xml", "image/bmp")
_COMPRESSIBLE_SUFFIXES = ("+json", "+xml", "+text")
_COMPRESSIBLE = frozenset(
    {
        "application/json",
        "application/javascript",
        "application/x-javascript",
        "application/ecmascript",
        "application/xml",
        "application/wasm",
        "application/graphql",
        "application/ld+json",
        "application/x-ndjson",
        "application/x-www-form-urlencoded",
        "application/yaml",
        "application/rtf",
        "application/vnd.ms-fontobject",
    }
)
# Headers that describe the uncompressed body. They are removed when the body is compressed.
_DROPPED = frozenset({"content-length", "accept-ranges", "content-md5", "digest", "content-digest", "content-encoding"})
# Fast settings, because compression uses CPU time for every response, and Lambda bills it.
_GZIP_LEVEL, _BR_QUALITY, _ZSTD_LEVEL = 6, 4, 3
# zlib's wbits: 15 for a window of 2**15 bytes, plus 16 to select the gzip format.
_GZIP_WINDOW = 31


class _StreamCompressor:
    """A zlib or zstandard compressor. With ``flush_mode``, the ``flush`` of the library keeps the stream open."""

    def __init__(self, stream: Any, flush_mode: int) -> None:
        self._stream = stream
        self._flush_mode = flush_mode

    def compress(self, data: bytes | bytearray | memoryview) -> bytes:
        return bytes(self._stream.compress(data))

    def flush(self) -> bytes:
        return bytes(self._stream.flush(self._flush_mode))

    def finish(self) -> bytes:
        return bytes(self._stream.flush())


class _BrotliCompressor:
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def compress(self, data: bytes | bytearray | memoryview) -> bytes:
        return bytes(self._stream.process(bytes(data)))

    def flush(self) -> bytes:
        return bytes(self._stream.flush())

    def finish(self) -> bytes:
        return bytes(self._stream.finish())


def _make_gzip() -> Compressor:
    import zlib

    return _StreamCompressor(zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW), zlib.Z_SYNC_FLUSH)


def _make_br() -> Compressor:
    import brotli

    return _BrotliCompressor(brotli.Compressor(quality=_BR_QUALITY))


def _make_zstd() -> Compressor:
    import zstandard

    stream = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
    return _StreamCompressor(stream, zstandard.COMPRESSOBJ_FLUSH_BLOCK)


def available_codings() -> dict[str, Callable[[], Compressor]]:
    """Import the installed compression packages. Return a compressor factory for each coding, best coding first."""
    codings: dict[str, Callable[[], Compressor]] = {}
    for name, make in (("zstd", _make_zstd), ("br", _make_br), ("gzip", _make_gzip)):
        try:
            make()
        except ImportError:
            continue
        codings[name] = make
    return codings


def negotiate_compression(
    head: ResponseHead, *, method: str, accept_encoding: str, codings: dict[str, Callable[[], Compressor]]
) -> tuple[ResponseHead, Compressor | None]:
    """Return the head to send and the compressor for its body. The compressor is None if the body is sent unchanged."""
    headers, _ = join_repeats(head.headers)
    if not _is_compressible(head.status, headers, method):
        return head, None
    # The response depends on Accept-Encoding even if this client receives it uncompressed.
    changed = _with_vary(head.headers)
    coding = choose_coding(accept_encoding, codings)
    if coding is None:
        return ResponseHead(status=head.status, headers=changed), None
    kept = [(name, _weak(name, value)) for name, value in changed if name.lower() not in _DROPPED]
    kept.append(("content-encoding", coding))
    return ResponseHead(status=head.status, headers=kept), codings[coding]()


def choose_coding(accept_encoding: str, codings: Iterable[str]) -> str | None:
    """Return the coding that the client prefers, or None if it accepts none of ``codings``.

    If several codings have the same weight, the first one in ``codings`` wins. A coding with weight 0 is refused.
    ``*`` stands for all codings that ``accept_encoding`` does not list (RFC 9110 section 12.5.3).
    """
    weights: dict[str, float] = {}
    for item in accept_encoding.lower().split(","):
        name, *parameters = (part.strip() for part in item.split(";"))
        if name:
            weights[name] = _weight(parameters)
    if "x-gzip" in weights:
        weights.setdefault("gzip", weights["x-gzip"])
    best, best_weight = None, 0.0
    for coding in codings:
        weight = weights.get(coding, weights.get("*", 0.0))
        if weight > best_weight:
            best, best_weight = coding, weight
    return best


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        if parameter.startswith("q="):
            weight = decimal(parameter[2:])
            # RFC 9110 section 12.4.2 allows 0 to 1.
            return weight if weight is not None and weight <= 1 else 0.0
    return 1.0


def _is_compressible(status: int, headers: dict[str, str], method: str) -> bool:
    if method == "HEAD" or status in (204, 206, 304) or status < 200:
        return False
    if headers.get("content-encoding", "identity").lower() != "identity" or "content-range" in headers:
        return False
    if "no-transform" in headers.get("cache-control", "").lower() or headers.get("content-length") == "0":
        return False
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "text/event-stream":
        return False
    return (
        media_type in _COMPRESSIBLE
        or media_type.startswith(_COMPRESSIBLE_PREFIXES)
        or media_type.endswith(_COMPRESSIBLE_SUFFIXES)
    )


def _with_vary(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    present = {part.strip().lower() for name, value in headers if name.lower() == "vary" for part in value.split(",")}
    if present & {"*", "accept-encoding"}:
        return headers
    return [*headers, ("vary", "accept-encoding")]


def _weak(name: str, value: str) -> str:
    """Return the header's ``value``. Make an ETag weak, because a strong ETag identifies the uncompressed bytes."""
    if name.lower() == "etag" and not value.startswith("W/"):
        return f"W/{value}"
    return value
