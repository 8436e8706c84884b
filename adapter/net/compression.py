"""Compression of responses: what may be compressed, with which coding, and the compressor. No I/O.

Nothing is compressed twice, and nothing whose bytes mean something as they are (ranges, event streams, responses marked
no-transform). gzip is always there; br and zstd where their packages are installed.
"""

from __future__ import annotations

from adapter.payload.headers import join_repeats
from adapter.payload.messages import ResponseHead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Protocol

    class Compressor(Protocol):
        """Compresses one body."""

        def compress(self, data: bytes | bytearray | memoryview) -> bytes:
            """Take a part of the body; gives what is ready, perhaps nothing."""

        def flush(self) -> bytes:
            """What the client needs to decode everything taken so far."""

        def finish(self) -> bytes:
            """The rest, with the end of the coding."""


# Types that shrink. Images, audio, video, fonts (but not SVG and the uncompressed fonts) are compressed as they are.
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
# Headers that speak of the uncompressed bytes.
_LOST = frozenset({"content-length", "accept-ranges", "content-md5", "digest", "content-digest", "content-encoding"})
# Fast settings: this runs once for every response, on the CPU that the function pays for.
_GZIP_LEVEL, _BR_QUALITY, _ZSTD_LEVEL = 6, 4, 3
# zlib: a window of 2^15 bytes, and 16 for the gzip wrapper.
_GZIP_WINDOW = 31


class GzipCompressor:
    """gzip, by the standard library."""

    def __init__(self) -> None:
        import zlib

        self._object = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, _GZIP_WINDOW)
        self._sync = zlib.Z_SYNC_FLUSH

    def compress(self, data: bytes | bytearray | memoryview) -> bytes:
        return self._object.compress(data)

    def flush(self) -> bytes:
        return self._object.flush(self._sync)

    def finish(self) -> bytes:
        return self._object.flush()


class BrotliCompressor:
    """br, by the brotli package."""

    def __init__(self) -> None:
        import brotli

        self._object = brotli.Compressor(quality=_BR_QUALITY)

    def compress(self, data: bytes | bytearray | memoryview) -> bytes:
        return bytes(self._object.process(bytes(data)))

    def flush(self) -> bytes:
        return bytes(self._object.flush())

    def finish(self) -> bytes:
        return bytes(self._object.finish())


class ZstdCompressor:
    """zstd, by the zstandard package."""

    def __init__(self) -> None:
        import zstandard

        self._object = zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compressobj()
        self._block = zstandard.COMPRESSOBJ_FLUSH_BLOCK

    def compress(self, data: bytes | bytearray | memoryview) -> bytes:
        return self._object.compress(data)

    def flush(self) -> bytes:
        return self._object.flush(self._block)

    def finish(self) -> bytes:
        return self._object.flush()


def available_codings() -> dict[str, Callable[[], Compressor]]:
    """The codings that can be made here, the best first. Imports their packages."""
    codings: dict[str, Callable[[], Compressor]] = {}
    for name, make in (("zstd", ZstdCompressor), ("br", BrotliCompressor), ("gzip", GzipCompressor)):
        try:
            make()
        except ImportError:
            continue
        codings[name] = make
    return codings


def compressed(
    head: ResponseHead, *, method: str, accept_encoding: str, codings: dict[str, Callable[[], Compressor]]
) -> tuple[ResponseHead, Compressor | None]:
    """The head as it must be sent, and the compressor for its body or None if that stays as it is."""
    headers, _ = join_repeats(head.headers)
    if not _is_compressible(head.status, headers, method):
        return head, None
    # The response depends on Accept-Encoding even when this client gets it uncompressed.
    changed = _with_vary(head.headers)
    coding = choose_coding(accept_encoding, codings)
    if coding is None:
        return ResponseHead(status=head.status, headers=changed), None
    kept = [(name, _weak(name, value)) for name, value in changed if name.lower() not in _LOST]
    kept.append(("content-encoding", coding))
    return ResponseHead(status=head.status, headers=kept), codings[coding]()


def choose_coding(accept_encoding: str, codings: Iterable[str]) -> str | None:
    """The coding that the client likes best, of those in ``codings`` (best first where it is indifferent).

    RFC 9110, section 12.5.3: a weight of 0 refuses; ``*`` stands for all that are not named.
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
            try:
                return float(parameter[2:])
            except ValueError:
                return 0.0
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
    """A strong ETag promises the same bytes, which another coding does not keep."""
    if name.lower() == "etag" and not value.startswith("W/"):
        return f"W/{value}"
    return value
