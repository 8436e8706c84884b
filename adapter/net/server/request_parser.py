"""A parser that turns a client's bytes into heads, body pieces, ends of requests, or a refusal. No I/O.

llhttp (httptools) parses the input, and rejects most input that is not HTTP/1. This module also refuses requests that
llhttp accepts but a proxy must refuse (RFC 9112, sections 3.2 and 6.1).

A client decides how many bytes arrive at once. These rules limit how much memory the bytes take:

- A head is parsed only once it has arrived completely. Until then its bytes are kept unparsed, since parsed fields take
  up to 60 times as much memory. A second llhttp parser, without callbacks, checks these bytes, so an illegal head is
  refused immediately.
- Only as many requests are parsed as the caller has room for. The bytes after these requests are kept unparsed.
- If many pieces of a body arrive at once, for example chunks of one byte, they are joined.
- The number of fields and the size of heads and trailers are limited.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from adapter.net.http1 import header_text
from adapter.net.server.chunk_scanner import MESSAGE_END as _END
from adapter.net.server.chunk_scanner import ChunkScanner
from adapter.net.server.server_limits import COSTLY_PIECES, MAX_PIPELINED, MAX_TRAILER_BYTES
from adapter.payload.headers import MAX_FIELDS, excerpt, is_host
from adapter.payload.request_target import origin_form

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Headers: TypeAlias = list[tuple[str, str]]

# A head of at most this many bytes cannot have too many fields, because the shortest field has four bytes: a name of
# one byte, a colon, and the line end.
_SMALL_HEAD: Final = 4 * MAX_FIELDS
# The memory that a parsed field takes in addition to its text, in bytes: a tuple, two strings and a list entry.
_FIELD_COST: Final = 160
_SPACE: Final = 0x20
_CHUNKED: Final = "chunked"
# If at most this many pieces of a body arrive at once, they are not joined: joining a few large pieces would cost more
# than it saves.
_MAX_PIECES: Final = 8
# The target of a parser that only checks its input. It has no callbacks, so httptools calls and collects nothing.
_NO_CALLBACKS: Final = object()
# The headers whose values servers split at every comma.
_LISTS: Final = frozenset({"accept-encoding", "connection", "te", "upgrade"})


class Refusal(Exception):
    """A request that the server refuses. ``status`` and ``str(refusal)`` are the response's status and text."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status: Final = status


class RequestHead:
    """A request head as the client sent it.

    ``upgrade`` is the protocol that the client offers to switch to (RFC 9110, section 7.8), in lower case. It is empty
    if there is no offer. ``keep_alive`` is True if another request may follow on the connection.
    """

    __slots__ = ("expects_continue", "headers", "keep_alive", "method", "target", "upgrade", "version")

    def __init__(self, *, method: str, target: str, version: str, headers: Headers, keep_alive: bool) -> None:
        self.method: Final = method
        self.target: Final = target
        self.version: Final = version
        self.headers: Final = headers
        self.keep_alive: Final = keep_alive
        self.expects_continue = False
        self.upgrade = ""


class EndOfMessage:
    """The end of a request. ``trailers`` contains the trailers of a chunked body."""

    __slots__ = ("trailers",)

    def __init__(self, trailers: Headers) -> None:
        self.trailers: Final = trailers


if TYPE_CHECKING:
    # An item of type ``bytes`` is a piece of a body.
    Received: TypeAlias = RequestHead | bytes | EndOfMessage | Refusal


# The value of ``RequestParser._received`` while nothing is parsed. It must not be changed.
_NO_ITEMS: Final[list[Received]] = []


class RequestParser:
    """Parses the bytes of one client, fed in pieces of any size. httptools calls the methods named ``on_…``.

    After a refusal, all further bytes are ignored.

    - ``in_head`` is True from the beginning of a head until the head is complete.
    - ``is_paused`` is True after a request that offers an upgrade. The bytes after that request might not be HTTP. So
      they are stored in ``kept`` until ``resume`` or ``take_kept`` is called.
    - ``kept`` also stores the bytes of requests for which the caller has no room. The next ``feed`` parses them.
    - ``is_costly`` is True if the most recent pieces of a body were tiny.
    - ``held_bytes`` is the memory of all unfinished input after the last ``feed``, in bytes. Unfinished input is an
      incomplete head, incomplete trailers, and kept requests.
    """

    def __init__(self, head_bytes: int, decode: Callable[[bytes], str] = header_text) -> None:
        self.in_head = False
        self.is_paused = False
        self.is_costly = False
        self.held_bytes = 0
        self.kept = b""
        self._head_bytes: Final = head_bytes
        self._decode: Final = decode
        # The Host of the previous request, already checked. Nearly all requests of a client have the same Host.
        self._host = ""
        self._trailer_bytes: Final = min(head_bytes, MAX_TRAILER_BYTES)
        self._parser = HttpRequestParser(self)
        self._received = _NO_ITEMS
        self._is_refused = False
        # The bytes of an incomplete head, the number of its lines, and the parser that checks these bytes.
        self._pending = bytearray()
        self._lines = 0
        self._checker: HttpRequestParser | None = None
        # ``_in_body`` is True from the end of a head until the end of its body. If the body has a Content-Length,
        # ``_remaining`` is the number of missing bytes, else it is 0.
        self._in_body = False
        self._remaining = 0
        # The position after the last head in the data that is being parsed, and the Content-Length of that head's body.
        self._head_end = 0
        self._length = 0
        self._scanner: ChunkScanner
        self._pieces: list[bytes] = []
        # A made-up head for a second parser, which parses the body of a request that also offers an upgrade. Empty for
        # all other requests. The callbacks do nothing until the second parser has read this head.
        self._body_head = b""
        # The number of bytes read since the last complete head, body piece or message. llhttp may be buffering them.
        self._unfinished = 0
        # The number of fields that may still follow in the current head or trailers.
        self._field_room = MAX_FIELDS
        self._target = b""
        self._fields: Headers = []

    def feed(self, data: bytes, room: int = MAX_PIPELINED + 1) -> list[Received]:
        """Parse ``data`` and return the complete items in it, in order. After a refusal, there are no more items.

        Parse at most ``room`` new requests, and keep the rest of the data.
        """
        received: list[Received] = []
        self._received = received
        if self.is_paused:
            self.kept += data
        elif self._remaining > len(data) or (room > 0 and self._is_one_request(data)):
            self._parse(data)
            if self.in_head:
                self._restart(data)
            elif self._in_body and not self._remaining and self._head_end < len(data):
                # The scanner must know where the next chunk begins.
                self._scanner.possible_end(data, self._head_end)
        else:
            self._parse_requests(self.take_kept() + data if self.kept else data, room)
        if self._pieces:
            self._flush()
        # The caller may keep the connection for hours, but not the items.
        self._received = _NO_ITEMS
        self.held_bytes = len(self._pending) + len(self.kept) + self._unfinished + len(self._fields) * _FIELD_COST
        return received

    def resume(self, room: int = MAX_PIPELINED + 1) -> list[Received]:
        """Parse the kept bytes as HTTP, and return the complete items. Call this if the upgrade is declined."""
        return self.feed(self.take_kept(), room)

    def take_kept(self) -> bytes:
        """End the pause. Return and clear the bytes that are kept unparsed."""
        kept, self.kept = self.kept, b""
        self.is_paused = False
        return kept

    def ignore(self) -> None:
        """Discard the unfinished input. From now on, ignore all bytes that are fed."""
        self._is_refused = True
        self.in_head = False
        self.kept = b""
        self._pending = bytearray()
        self._checker = None
        self._fields = []

    def _is_one_request(self, data: bytes) -> bool:
        """Return whether ``data`` is one small head, perhaps followed by bytes of its body. Nearly always it is."""
        if self._in_body or self._pending or self.kept or self._is_refused or not 0 < len(data) <= _SMALL_HEAD:
            return False
        found = data.find(_END)
        end = self._head_end = found + len(_END)
        if found <= 0 or end == len(data):
            return found > 0
        # Looking for a single byte is much faster than looking for _END, and few bodies contain that byte.
        return data[0] > _SPACE and (data.find(b"\r", end) < 0 or data.find(_END, end) < 0)

    def _restart(self, data: bytes) -> None:
        """Replace the parser, and keep the bytes of the incomplete head that follows the first request in ``data``."""
        self._parser = HttpRequestParser(self)
        self._feed_head(data, self._head_end + self._length)

    def _parse_requests(self, data: bytes, room: int) -> None:
        position, end = 0, len(data)
        while position < end and not self._is_refused:
            if self._remaining:
                last = min(end, position + self._remaining)
                self._parse(_part(data, position, last))
                position = last
            elif self._in_body:
                last = self._scanner.possible_end(data, position)
                self._parse(_part(data, position, last))
                position = last
            elif self.is_paused or room <= 0:
                self.kept += data[position:]
                return
            else:
                position = self._feed_head(data, position)
                room -= 1

    def _feed_head(self, data: bytes, position: int) -> int:
        """Parse the head at ``position``, or keep the head if it is incomplete. Return the position after the head."""
        pending = self._pending
        if not pending:
            if data[position] <= 13:
                # Empty lines before a request line are ignored (RFC 9112, section 2.2).
                position = len(data) - len(data[position:].lstrip(b"\r\n"))
            end = data.find(_END, position) + len(_END)
            if end >= len(_END):
                self._parse_head(_part(data, position, end))
                return end
        before = len(pending)
        pending += data[position:]
        end = pending.find(_END, max(0, before - len(_END) + 1)) + len(_END)
        if end < len(_END):
            if position < len(data):
                self._check_incomplete_head(data[position:])
            return len(data)
        self._pending = bytearray()
        self._lines = 0
        self._checker = None
        self._parse_head(bytes(memoryview(pending)[:end]))
        return position + end - before

    def _check_incomplete_head(self, fragment: bytes) -> None:
        """Refuse the incomplete head if it cannot become valid. ``fragment`` is the part that is not checked yet."""
        self.in_head = True
        self._lines += fragment.count(b"\n")
        if self._checker is None:
            self._checker = HttpRequestParser(_NO_CALLBACKS)
        try:
            self._checker.feed_data(fragment)
        except HttpParserError as error:
            self._refuse(Refusal(400, f"not HTTP/1.1: {error}"))
            return
        if len(self._pending) > self._head_bytes:
            self._refuse(self._head_too_large())
        elif self._lines > MAX_FIELDS + 1:
            self._refuse(_too_many_fields())

    def _parse_head(self, head: bytes) -> None:
        if len(head) > self._head_bytes:
            self._refuse(self._head_too_large())
        elif len(head) > _SMALL_HEAD and head.count(b"\n") > MAX_FIELDS + 2:
            self._refuse(_too_many_fields())
        else:
            self._parse(head)

    def _flush(self) -> None:
        """Move ``self._pieces`` of a body to ``self._received``. If there are many pieces, join them into one item."""
        pieces = self._pieces
        self._pieces = []
        if len(pieces) > _MAX_PIECES:
            self._received.append(b"".join(pieces))
            self.is_costly = len(pieces) > COSTLY_PIECES
        else:
            self._received += pieces
            # A single piece does not show whether the chunks are tiny.
            self.is_costly = self.is_costly and len(pieces) == 1

    def _parse(self, data: bytes) -> None:
        self._unfinished += len(data)
        try:
            self._parser.feed_data(data)
            if self._unfinished > self._trailer_bytes:
                raise Refusal(431, f"the trailers or chunk extensions exceed {self._trailer_bytes} bytes")
        except HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            if self._body_head:
                self._parse_body(rest)
            else:
                self.is_paused = True
                self.kept = rest
        except HttpParserCallbackError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, Refusal) else Refusal(400, str(error)))
        except HttpParserError as error:
            self._refuse(Refusal(400, f"not HTTP/1.1: {error}"))
        except Refusal as refusal:
            self._refuse(refusal)

    def _parse_body(self, data: bytes) -> None:
        """Parse the body of a request that also offers an upgrade. The upgrade is declined (RFC 9110, section 7.8).

        llhttp mistakes the body for data of the other protocol. So a second parser parses the body. It first reads a
        made-up head that only defines the length of the body.
        """
        self._parser = HttpRequestParser(self)
        self._parser.feed_data(self._body_head)
        self._body_head = b""
        self._parse(data)

    def _refuse(self, refusal: Refusal) -> None:
        if not self._is_refused:
            if self._pieces:
                self._flush()
            self.ignore()
            self._received.append(refusal)

    def _head_too_large(self) -> Refusal:
        return Refusal(431, f"the request line and headers exceed {self._head_bytes} bytes")

    def on_message_begin(self) -> None:
        if self._body_head:
            return
        self.in_head = True
        self._target = b""
        self._fields = []
        self._field_room = MAX_FIELDS

    def on_url(self, url: bytes) -> None:
        if self._body_head:
            return
        self._target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._body_head:
            return
        self._field_room -= 1
        if self._field_room < 0:
            raise _too_many_fields()
        if value and value[-1] <= _SPACE:
            value = value.rstrip(b" \t")
        text = value.decode() if value.isascii() else self._decode(value)
        self._fields.append((name.decode("latin-1"), text))

    def on_headers_complete(self) -> None:
        if self._body_head:
            return
        method = self._parser.get_method().decode("latin-1")
        head = RequestHead(
            method=method,
            target=self._target.decode("latin-1"),
            version=self._parser.get_http_version(),
            headers=self._fields,
            # The bytes after a CONNECT are not a request. They are for a tunnel, which this server never opens.
            keep_alive=self._parser.should_keep_alive() and method != "CONNECT",
        )
        framing, self._host = _check_head(head, self._host)
        if self._parser.should_upgrade():
            if framing:
                field = "transfer-encoding" if framing == _CHUNKED else "content-length"
                self._body_head = f"POST / HTTP/1.1\r\n{field}: {framing}\r\n\r\n".encode()
            elif head.version == "1.1":
                head.upgrade = ", ".join(value for name, value in head.headers if name.lower() == "upgrade").lower()
        self.in_head = False
        self._unfinished = 0
        self._length = 0
        if framing:
            self._in_body = True
            self.is_costly = False
            if framing == _CHUNKED:
                self._scanner = ChunkScanner()
            else:
                self._length = self._remaining = int(framing)
        # All header fields that follow are trailers.
        self._fields = []
        self._field_room = MAX_FIELDS
        self._received.append(head)

    def on_body(self, piece: bytes) -> None:
        self._unfinished = 0
        if self._remaining:
            self._remaining -= len(piece)
            self._received.append(piece)
        else:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        if self._body_head:
            return
        self._in_body = False
        self._unfinished = self._remaining = 0
        if self._pieces:
            self._flush()
        self._received.append(EndOfMessage(self._fields))
        self._fields = []


def _part(data: bytes, start: int, end: int) -> bytes:
    """Return ``data[start:end]``. If this is all of ``data``, do not copy it. (Compiled code copies every slice.)"""
    return data if start == 0 and end == len(data) else data[start:end]


def _too_many_fields() -> Refusal:
    return Refusal(431, f"the request has more than {MAX_FIELDS} header fields")


def _check_head(head: RequestHead, legal_host: str) -> tuple[str, str]:
    """Check ``head`` and set its ``expects_continue``.

    Return two strings: the framing of the body, and the Host. The framing is ``chunked``, or the Content-Length, or
    empty if there is no body. ``legal_host`` is a Host that is known to be legal. Raises Refusal if a proxy must
    refuse the request.
    """
    hosts = 0
    host = framing = ""
    for name, value in head.headers:
        lower = name.lower()
        if lower == "host":
            hosts += 1
            host = value
        elif lower == "transfer-encoding":
            if value.lower() != "chunked" or head.version == "1.0":
                raise Refusal(
                    400,
                    f"the Transfer-Encoding header is {excerpt(value)}; "
                    "only chunked is supported, and only in HTTP/1.1",
                )
            framing = _CHUNKED
        elif lower == "content-length" and value.strip("0"):
            framing = value
        elif lower == "expect":
            if value.lower() != "100-continue":
                raise Refusal(417, f"the Expect header is {excerpt(value)}; only 100-continue is supported")
            head.expects_continue = head.version == "1.1"
        if len(value) > MAX_FIELDS and lower in _LISTS and value.count(",") >= MAX_FIELDS:
            raise Refusal(431, f"the {lower} header has more than {MAX_FIELDS} elements")
    if "#" in head.target:
        raise Refusal(400, "the request target has a fragment, which HTTP does not allow")
    if hosts > 1 or (hosts == 0 and head.version == "1.1"):
        raise Refusal(400, f"the request has {hosts} Host headers instead of one")
    if host != legal_host and not is_host(host):
        raise Refusal(400, "the Host header is neither HOST nor HOST:PORT")
    if not head.target.startswith("/"):
        _use_authority(head)
    if head.version not in ("1.0", "1.1"):
        raise Refusal(505, f"HTTP/{head.version} is not supported: use HTTP/1.1")
    return framing, host


def _use_authority(head: RequestHead) -> None:
    """If the target is a URL, replace the Host header by the URL's authority, as RFC 9112 section 3.2.2 requires."""
    _, authority = origin_form(head.target) or ("", "")
    if authority:
        others = [header for header in head.headers if header[0].lower() != "host"]
        head.headers[:] = [("Host", authority), *others]
