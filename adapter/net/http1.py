"""The client side of HTTP/1.1: encodes request heads and parses responses. No I/O.

httptools parses heads, with llhttp in its strict mode. This module handles the framing of bodies, because llhttp
mistakes the bytes after a response to HEAD for a body, cannot end a body at the end of the stream, and reports trailers
as headers. Body pieces are slices of the caller's buffer, not copies. They are valid only until the caller fills the
buffer again.
"""

from __future__ import annotations

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from adapter.errors import InvalidAppResponse, InvalidEvent, TruncatedResponse
from adapter.payload.headers import MAX_FIELDS, excerpt, is_host, is_token, is_value
from adapter.payload.messages import ResponseHead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

    from adapter.payload.messages import Request

# Lambda quotas: "request line + headers: 1 MB in all"; a response head and its trailers have the same limit.
HEAD_LIMIT: Final = 1024 * 1024
# The maximum length of a line between two chunks or in the trailers, in bytes. A chunk size has at most 16 hex digits.
# The rest of its line may contain chunk extensions, which are ignored.
CHUNK_LINE_LIMIT: Final = 4096
# Nearly all lines between two chunks are shorter than this. So only this number of bytes is copied first.
_SHORT_LINE: Final = 32

# The maximum number of interim heads that are kept for one response. Further interim heads are dropped.
_MAX_INTERIM: Final = 16
# The number of bytes of an app's response that an error message quotes: enough to recognize a protocol, too few to leak
# a secret.
_GLIMPSE: Final = 8

_HEAD_END: Final = b"\r\n\r\n"
_HEX_DIGITS: Final = b"0123456789abcdefABCDEF"
# If a request with one of these methods has no body, it gets "Content-Length: 0" (RFC 9110, section 8.6).
_METHODS_WITH_BODY: Final = frozenset({"POST", "PUT", "PATCH"})

# If a request has one of these methods, executing it twice has the same effect as once (RFC 9110, section 9.2.2).
_IDEMPOTENT: Final = frozenset({"GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"})
# The maximum size of the body of a request that may be sent again, in bytes. Longer bodies need not be kept.
_REPEATABLE_BODY: Final = 64 * 1024

# The lines of heads that llhttp has accepted: status lines with their meaning, and header lines with the pair that
# `_Head` made of each. Most lines of a head are the same as in the previous head. Finding a line here takes a fifth of
# the time of parsing it. The dictionaries are cleared if they have more entries than this; longer lines are not kept.
_known_starts: Final[dict[bytes, tuple[str, int, bytes]]] = {}
_known_lines: Final[dict[bytes, tuple[str, str]]] = {}
_MAX_KNOWN_LINES: Final = 1024
_MAX_KNOWN_LENGTH: Final = 256

# The ways in which the end of a body is determined (RFC 9112, section 6.3).
_LENGTH: Final = 0
_CHUNKED: Final = 1
_UNTIL_EOF: Final = 2
# The part of a chunked body that is expected next.
_SIZE: Final = 0
_DATA: Final = 1
_DATA_END: Final = 2
_TRAILERS: Final = 3


def header_text(value: bytes) -> str:
    """Decode a header value for JSON: as UTF-8 if it is valid UTF-8, else as Latin-1."""
    try:
        return value.decode()
    except UnicodeDecodeError:
        return value.decode("latin-1")


def lossless_text(value: bytes) -> str:
    """Decode a header value so that `encode_text` restores its bytes. Bytes that are not UTF-8 become surrogates."""
    return value.decode(errors="surrogateescape")


def encode_text(text: str) -> bytes:
    """Encode a head or trailers. Surrogates from `lossless_text` are encoded as the original bytes."""
    return text.encode() if text.isascii() else text.encode(errors="surrogateescape")


def encode_request_head(request: Request, default_host: str) -> bytes:
    """Return the request line and headers of ``request``, including the final empty line.

    Adds Content-Length if needed, and ``default_host`` if the request has no Host. The caller must have checked the
    names and values of all headers. Raises InvalidEvent if the Host is not valid or if there are several Hosts, because
    servers differ in how they choose and parse the Host (RFC 9112, section 3.2).
    """
    parts = [request.method, " ", request.target, " HTTP/1.1\r\n"]
    hosts = 0
    for name, value in request.headers:
        # Comparing the lengths first takes a tenth of the time of `lower`.
        if len(name) == 4 and name.lower() == "host":
            hosts += 1
            if not is_host(value.strip(" \t")):
                raise InvalidEvent("the event's Host header is neither HOST nor HOST:PORT")
        parts += (name, ": ", value, "\r\n")
    if hosts > 1:
        raise InvalidEvent(f"the event has {hosts} Host headers instead of one")
    if not hosts:
        parts.insert(4, f"host: {default_host}\r\n")
    if request.body or request.method in _METHODS_WITH_BODY:
        parts.append(f"content-length: {len(request.body)}\r\n")
    parts.append("\r\n")
    return "".join(parts).encode()


def is_repeatable(method: str, body_size: int) -> bool:
    """Return whether a request may be sent again if a reused connection closes before the response begins.

    Only repeatable requests may be sent on a reused connection. A server may close a connection at any time after a
    response, for example when a background task of the app fails. A request that is sent at that moment is lost.
    """
    return method in _IDEMPOTENT and body_size <= _REPEATABLE_BODY


class ResponseReader:
    """Parses one response. The caller passes the response's bytes to ``feed``, in pieces of any size.

    - ``head`` is the final response head, or None until the head is complete.
    - ``interim`` contains the heads of interim (1xx) responses. A 101 counts as final. Bytes after a 101 are the body.
    - ``complete`` is True once the response has ended.
    - ``reusable`` is True if another request may be sent on the connection after the complete response. It is False
      after a 5xx status, since many servers then close the connection without announcing it.
    - ``trailers`` contains the trailers of a chunked body.

    ``decode`` is the function that decodes header values: `header_text` or `lossless_text`. ``knows_lines`` is True if
    most lines of the head are probably the same as in other recent heads.
    """

    __slots__ = (
        "_bodiless_request",
        "_chunk_state",
        "_decode",
        "_framing",
        "_incomplete_head",
        "_interim_bytes",
        "_knows_lines",
        "_pending",
        "_remaining",
        "_trailer_bytes",
        "complete",
        "head",
        "interim",
        "reusable",
        "trailers",
    )

    def __init__(self, method: str, decode: Callable[[bytes], str] = header_text, *, knows_lines: bool = False) -> None:
        self._bodiless_request: Final = method == "HEAD"
        self._decode: Final = decode
        self._knows_lines: Final = knows_lines
        self._framing = _LENGTH
        self._chunk_state = _SIZE
        self._remaining = 0
        self._incomplete_head = bytearray()
        # The bytes of an incomplete line of chunked framing.
        self._pending = b""
        self._interim_bytes = 0
        self._trailer_bytes = 0
        self.head: ResponseHead | None = None
        self.interim: list[ResponseHead] = []
        self.trailers: list[tuple[str, str]] = []
        self.complete = False
        self.reusable = False

    @property
    def has_begun(self) -> bool:
        """Whether any byte of the response has arrived. The bytes of an interim response count."""
        return self.head is not None or self._interim_bytes > 0 or bool(self._pending or self._incomplete_head)

    @property
    def remaining(self) -> int:
        """The number of body bytes that have not arrived yet if the response has a Content-Length, else 0."""
        return self._remaining if self._framing == _LENGTH else 0

    def feed(self, data: memoryview) -> list[memoryview]:
        """Parse ``data``, the next bytes from the connection. Return the body pieces in ``data``.

        Raises InvalidAppResponse if the bytes are not part of an HTTP/1 response.
        """
        if self.head is None:
            rest = self._feed_head(data)
            if rest is None:
                return []
            data = rest
        if self.complete:
            # The app sent bytes after the end of its response. They could be mistaken for the next response.
            self.reusable = self.reusable and not data
            return []
        if self._framing == _LENGTH:
            return self._feed_length(data)
        if self._framing == _CHUNKED:
            return self._feed_chunked(data)
        return [data] if data else []

    def skip(self, count: int) -> None:
        """Count ``count`` body bytes that the caller has received and does not pass to ``feed``."""
        self._remaining -= count
        self.complete = self._remaining == 0

    def feed_eof(self) -> None:
        """Handle the end of the stream.

        The end completes a body that has neither a Content-Length nor chunks. Raises TruncatedResponse if the response
        is incomplete.
        """
        self.reusable = False
        if self.head is not None and self._framing == _UNTIL_EOF:
            self.complete = True
        if self.complete:
            return
        if self.head is None:
            raise TruncatedResponse("the connection was closed before the response head was complete")
        missing = f"{self._remaining} bytes too early" if self._framing == _LENGTH else "within a chunked body"
        raise TruncatedResponse(f"the response ended {missing}")

    def _feed_head(self, data: memoryview) -> memoryview | None:
        """Parse bytes of response heads. Return the bytes after the final head, or None if that head is incomplete."""
        pending = data.tobytes()
        if self._incomplete_head:
            before = len(self._incomplete_head)
            self._incomplete_head += pending
            if self._incomplete_head.find(_HEAD_END, max(0, before - len(_HEAD_END) + 1)) < 0:
                _check_unfinished_head(self._incomplete_head, before)
                return None
            pending = bytes(self._incomplete_head)
        start = 0
        while True:
            if pending[start : start + 5] != b"HTTP/"[: len(pending) - start]:
                beginning = pending[start : start + _GLIMPSE]
                raise InvalidAppResponse(f"the response is not HTTP: it starts with {beginning!r}")
            end = pending.find(_HEAD_END, start, start + HEAD_LIMIT) + len(_HEAD_END)
            if end < len(_HEAD_END):
                self._incomplete_head = bytearray(pending[start:])
                _check_unfinished_head(self._incomplete_head, 0)
                return None
            head = _parse_head(pending[start:end], self._decode, self._knows_lines)
            if head.status >= 200 or head.status == 101:
                break
            self._keep_interim(head, end - start)
            start = end
        self._incomplete_head = bytearray()
        self._begin_body(head)
        self.head = head.message
        return data[len(data) - (len(pending) - end) :]

    def _keep_interim(self, head: _Head, size: int) -> None:
        self._interim_bytes += size
        if self._interim_bytes > HEAD_LIMIT:
            raise InvalidAppResponse(f"the interim responses exceed {HEAD_LIMIT} bytes")
        if len(self.interim) < _MAX_INTERIM:
            self.interim.append(head.message)

    def _begin_body(self, head: _Head) -> None:
        if self._bodiless_request or head.status in (204, 304):
            self.complete = True
            # Some apps send a body anyway if their headers announce it. It would be mistaken for the next response.
            self.reusable = head.keep_alive and not head.names_body and not 500 <= head.status < 600
            return
        # The bytes after a 101 belong to another protocol, even if its headers announce a body.
        self._framing, self._remaining = (_UNTIL_EOF, 0) if head.status == 101 else head.framing()
        self.complete = self._framing == _LENGTH and self._remaining == 0
        self.reusable = head.keep_alive and self._framing != _UNTIL_EOF and not 500 <= head.status < 600

    def _feed_length(self, data: memoryview) -> list[memoryview]:
        size = len(data)
        if size > self._remaining:
            self.reusable = False
            data = data[: self._remaining]
            size = self._remaining
        self._remaining -= size
        self.complete = self._remaining == 0
        return [data] if size else []

    def _feed_chunked(self, data: memoryview) -> list[memoryview]:
        pieces: list[memoryview] = []
        position, end = 0, len(data)
        while position < end and not self.complete:
            if self._chunk_state == _DATA:
                piece = data[position : position + self._remaining]
                pieces.append(piece)
                position += len(piece)
                self._remaining -= len(piece)
                if not self._remaining:
                    self._chunk_state = _DATA_END
            elif used := self._take_whole_chunks(data[position:], pieces):
                position += used
            else:
                position += self._feed_line(data[position : position + CHUNK_LINE_LIMIT])
        if position < end:
            self.reusable = False
        return pieces

    def _take_whole_chunks(self, data: memoryview, pieces: list[memoryview]) -> int:
        """Take the complete chunks from the start of ``data``, and append their contents to ``pieces``.

        Return the number of bytes used.
        """
        if self._chunk_state != _SIZE or self._pending:
            return 0
        used = 0
        line = bytes(data[:_SHORT_LINE])
        while newline := line.find(b"\n") + 1:
            size_line = line[:newline]
            if not size_line.endswith(b"\r\n"):
                break
            size = _chunk_size(size_line[:-2])
            start, end = used + newline, used + newline + size
            # Nearly all chunks of a stream have the same size. So these are probably the bytes before the next chunk.
            between = b"\r\n" + size_line
            while size and data[end : end + len(between)] == between:
                pieces.append(data[start:end])
                used = end + 2
                start, end = end + len(between), end + len(between) + size
            ahead = bytes(data[end : end + 2 + _SHORT_LINE])
            # An empty chunk ends the body. ``_feed_line`` handles it.
            if not size or not ahead.startswith(b"\r\n"):
                break
            pieces.append(data[start:end])
            used = end + 2
            line = ahead[2:]
        return used

    def _feed_line(self, data: memoryview) -> int:
        """Parse one line of chunked framing, or keep the line if it is incomplete. Return the number of bytes used."""
        fresh = bytes(data[:_SHORT_LINE])
        found = fresh.find(b"\n")
        if found < 0 and len(data) > _SHORT_LINE:
            fresh = bytes(data)
            found = fresh.find(b"\n")
        used = fresh if found < 0 else fresh[: found + 1]
        line = self._pending + used
        if len(line) > CHUNK_LINE_LIMIT:
            raise InvalidAppResponse(f"a line of the chunked body exceeds {CHUNK_LINE_LIMIT} bytes")
        if found < 0:
            self._pending = line
            return len(used)
        self._pending = b""
        if not line.endswith(b"\r\n"):
            raise InvalidAppResponse("a line of the chunked body does not end with CRLF")
        self._take_line(line[:-2])
        return len(used)

    def _take_line(self, line: bytes) -> None:
        if self._chunk_state == _SIZE:
            self._remaining = _chunk_size(line)
            self._chunk_state = _DATA if self._remaining else _TRAILERS
        elif self._chunk_state == _DATA_END:
            if line:
                raise InvalidAppResponse("a chunk is longer than its declared size")
            self._chunk_state = _SIZE
        elif line:
            self._trailer_bytes += len(line)
            if self._trailer_bytes > HEAD_LIMIT:
                raise InvalidAppResponse(f"the trailers exceed {HEAD_LIMIT} bytes")
            if len(self.trailers) >= MAX_FIELDS:
                raise InvalidAppResponse(f"the response has more than {MAX_FIELDS} trailers")
            name, colon, value = line.partition(b":")
            trailer = (self._decode(name), self._decode(value.strip(b" \t")))
            # llhttp has not checked the trailers, and they are forwarded to a client.
            if not (colon and is_token(trailer[0]) and is_value(trailer[1])):
                raise InvalidAppResponse("a line of the trailers is not a header line")
            self.trailers.append(trailer)
        else:
            self.complete = True


class _Head:
    """One response head. llhttp calls the methods named ``on_…`` with the parts of the head."""

    __slots__ = (
        "_connection",
        "_content_length",
        "_decode",
        "_framing_lines",
        "_reason",
        "_transfer_encoding",
        "headers",
        "keep_alive",
        "message",
        "status",
    )

    def __init__(self, decode: Callable[[bytes], str]) -> None:
        self._decode: Final = decode
        self._reason = b""
        self.headers: list[tuple[str, str]] = []
        self._connection: list[str] = []
        self._framing_lines = 0
        self._content_length: str | None = None
        self._transfer_encoding: str | None = None
        self.status = 0
        self.keep_alive = False
        self.message: ResponseHead

    def on_status(self, reason: bytes) -> None:
        """Set the reason phrase, whose characters llhttp has not checked. llhttp does not report an empty phrase."""
        self._reason = reason

    def on_header(self, name: bytes, value: bytes) -> None:
        """Add a header. Strip the white space after the value; llhttp strips only the white space before the value."""
        text_name = name.decode("latin-1")
        value = value.rstrip(b" \t")
        text = value.decode() if value.isascii() else self._decode(value)
        self._add((text_name, text))

    def _add(self, header: tuple[str, str]) -> None:
        self.headers.append(header)
        # The lengths of the names below. Comparing these first takes a tenth of the time of `lower`.
        if len(header[0]) not in (10, 14, 17):
            return
        lower = header[0].lower()
        if lower == "content-length":
            self._framing_lines += 1
            self._content_length = header[1]
        elif lower == "connection":
            self._connection.append(header[1].lower())
        elif lower == "transfer-encoding":
            self._framing_lines += 1
            others = self._transfer_encoding
            self._transfer_encoding = header[1] if others is None else f"{others}, {header[1]}"

    def take_known(self, lines: list[bytes]) -> bool:
        """If llhttp has accepted all ``lines`` in earlier heads, parse the head without llhttp and return True.

        Otherwise, return False.
        """
        start = _known_starts.get(lines[0])
        if start is None:
            return False
        for line in lines[1:]:
            header = _known_lines.get(line)
            if header is None:
                return False
            self._add(header)
        if self._framing_lines > 1:
            # The meaning of one framing header depends on the other.
            return False
        version, status, self._reason = start
        self.begin(status, version)
        return True

    def remember(self, lines: list[bytes], version: str) -> None:
        """Keep the lines of this head, which llhttp has accepted, for ``take_known``."""
        if len(lines) != len(self.headers) + 1 or not 200 <= self.status < 600:
            return
        if len(_known_starts) > _MAX_KNOWN_LINES or len(_known_lines) > _MAX_KNOWN_LINES:
            _known_starts.clear()
            _known_lines.clear()
        for number, line in enumerate(lines):
            # Response readers differ in how they decode bytes that are not ASCII.
            if len(line) > _MAX_KNOWN_LENGTH or not line.isascii():
                continue
            if number == 0:
                _known_starts[line] = (version, self.status, self._reason)
            else:
                _known_lines[line] = self.headers[number - 1]

    def begin(self, status: int, version: str) -> None:
        """Set the status and ``keep_alive`` (RFC 9112, section 9.3). llhttp's ``keep_alive`` is wrong for empty bodies.

        Raises InvalidAppResponse in three cases. The version, the status or the reason phrase is not valid in HTTP/1.
        An HTTP/1.0 response has a Transfer-Encoding (RFC 9112, section 6.1). Connection has too many elements.
        """
        if version not in ("1.0", "1.1"):
            raise InvalidAppResponse(f"the response head is not HTTP/1: its version is {version}")
        if status < 100:
            raise InvalidAppResponse(f"the response head is not HTTP/1: {status:03} is not a status")
        if version == "1.0" and self._transfer_encoding is not None:
            raise InvalidAppResponse("the response is HTTP/1.0 but has a Transfer-Encoding, which only HTTP/1.1 allows")
        self.status = status
        self.message = ResponseHead(status=status, headers=self.headers, reason=self._reason_text())
        if not self._connection:
            self.keep_alive = version == "1.1"
            return
        connection = ",".join(self._connection)
        if connection.count(",") >= MAX_FIELDS:
            raise InvalidAppResponse(f"the response's Connection header has more than {MAX_FIELDS} elements")
        options = [option.strip() for option in connection.split(",")]
        persistent = version == "1.1" or "keep-alive" in options
        self.keep_alive = persistent and "close" not in options

    def _reason_text(self) -> str:
        """Return the reason phrase as text. Raises InvalidAppResponse if it contains a control character."""
        if self._reason.isascii():
            text = self._reason.decode()
            # Nearly all phrases are printable ASCII.
            if text.isprintable():
                return text
        text = self._decode(self._reason)
        if not is_value(text):
            raise InvalidAppResponse("the response head is not HTTP/1: its reason phrase has a control character")
        return text

    @property
    def names_body(self) -> bool:
        """Whether the headers announce a body: a Transfer-Encoding, or a Content-Length other than 0."""
        return self._transfer_encoding is not None or bool((self._content_length or "").strip("0"))

    def framing(self) -> tuple[int, int]:
        """Return the kind of framing, and the length of the body if the kind is ``_LENGTH``, else 0.

        llhttp has already rejected contradictory headers. Raises InvalidAppResponse for an unsupported transfer coding.
        """
        if self._transfer_encoding is not None:
            if self._transfer_encoding.lower() != "chunked":
                raise InvalidAppResponse(
                    f"Transfer-Encoding {excerpt(self._transfer_encoding)}: only chunked is supported"
                )
            return _CHUNKED, 0
        if self._content_length is not None:
            return _LENGTH, int(self._content_length)
        return _UNTIL_EOF, 0


def _parse_head(data: bytes, decode: Callable[[bytes], str], knows_lines: bool) -> _Head:
    # A short head need not be searched.
    if len(data) > MAX_FIELDS and data.count(b"\n") > MAX_FIELDS + 2:
        raise InvalidAppResponse(f"the response has more than {MAX_FIELDS} header fields")
    lines: list[bytes] = []
    head = _Head(decode)
    if knows_lines:
        lines = data[: -len(_HEAD_END)].split(b"\r\n")
        if head.take_known(lines):
            return head
        head = _Head(decode)
    parser = HttpResponseParser(head)
    try:
        parser.feed_data(data)
    except HttpParserUpgrade:
        pass  # a 101: all bytes after the head belong to another protocol
    except HttpParserError as error:
        raise InvalidAppResponse(f"the response head is not HTTP/1: {error}") from error
    version = parser.get_http_version()
    head.begin(parser.get_status_code(), version)
    if knows_lines:
        head.remember(lines, version)
    return head


def _check_unfinished_head(head: bytearray, checked: int) -> None:
    """Raise InvalidAppResponse if the incomplete ``head`` cannot become a valid head, whatever bytes follow.

    ``checked`` is the number of bytes at the beginning of ``head`` that an earlier call has checked.
    """
    if len(head) >= HEAD_LIMIT:
        raise InvalidAppResponse(f"the response head exceeds {HEAD_LIMIT} bytes")
    if head.count(b"\n", checked) != head.count(b"\r\n", max(0, checked - 1)):
        raise InvalidAppResponse("a line of the response head does not end with CRLF")


def _chunk_size(line: bytes) -> int:
    size = line.partition(b";")[0].rstrip(b" \t")
    # int() alone would accept signs, underscores and "0x".
    if not size or len(size) > 16 or size.strip(_HEX_DIGITS):
        raise InvalidAppResponse(f"{line[:_GLIMPSE]!r} is not a chunk size")
    return int(size, 16)
