"""A parser that turns the bytes of one client into heads, body pieces, ends of messages, or a refusal. No I/O.

llhttp (httptools) parses and rejects most input that is not HTTP/1. This module refuses requests that llhttp accepts
but a proxy must not (RFC 9112, sections 3.2 and 6.1). The size of heads and trailers is limited twice: the bytes read
since the last complete item, so that an endless head is not buffered, and the total size of the fields.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser

from adapter.net.http1 import header_text
from adapter.payload.headers import excerpt, is_host
from adapter.payload.request_target import origin_form

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeAlias

    Headers: TypeAlias = list[tuple[str, str]]


class Refusal(Exception):
    """The reason (``str(refusal)``) and ``status`` of the response to a request that is not served."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status: Final = status


class RequestHead:
    """A request head as the client sent it.

    ``upgrade`` is the protocol that the client offers to switch to (RFC 9110, section 7.8), in lower case, or empty.
    ``keep_alive`` is True if another request may follow on the connection.
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
    # ``bytes`` are a piece of a body.
    Received: TypeAlias = RequestHead | bytes | EndOfMessage | Refusal


class RequestParser:
    """Parses the bytes of one client, fed in pieces of any size. httptools calls the methods named ``on_…``.

    ``in_head`` is True while a head has begun but is not complete. After a request that offers an upgrade,
    ``is_paused`` is True: the bytes after it may not be HTTP, so they are ``kept`` until ``resume`` or ``take_kept`` is
    called. After a refusal, all further bytes are ignored.
    """

    def __init__(self, head_bytes: int, decode: Callable[[bytes], str] = header_text) -> None:
        self.in_head = False
        self.is_paused = False
        self.kept = b""
        self._head_bytes: Final = head_bytes
        self._decode: Final = decode
        # The Host of the last request, which is checked already. Nearly all requests of a client have the same.
        self._host = ""
        self._parser = HttpRequestParser(self)
        self._received: list[Received]
        self._is_refused = False
        # A head that only frames the body. It is set after a head with both an upgrade and a body, until a second
        # parser has read it. The callbacks do nothing meanwhile.
        self._body_head = b""
        # The number of bytes read since the last complete head, body piece or message. llhttp may be buffering them.
        self._unfinished = 0
        # The total size of the fields of the current head or trailers.
        self._field_bytes = 0
        self._target = b""
        self._fields: Headers = []

    def feed(self, data: bytes) -> list[Received]:
        """Parse ``data`` and return the items that are complete, in order. No items follow a refusal."""
        received: list[Received] = []
        self._received = received
        if self.is_paused:
            self.kept += data
        elif not self._is_refused:
            self._parse(data)
        return received

    def resume(self) -> list[Received]:
        """Parse the kept bytes as HTTP. Call this when the upgrade is declined."""
        return self.feed(self.take_kept())

    def take_kept(self) -> bytes:
        """End the pause. Return the bytes that arrived during it and are not parsed yet."""
        kept, self.kept = self.kept, b""
        self.is_paused = False
        return kept

    def _parse(self, data: bytes) -> None:
        self._unfinished += len(data)
        try:
            self._parser.feed_data(data)
            if self._unfinished > self._head_bytes:
                raise self._head_too_large()
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
        """Parse the body of a request that also offers an upgrade, which is declined (RFC 9110, section 7.8).

        llhttp mistakes the body for data of the other protocol. So a second parser continues, after a head that only
        frames the body.
        """
        self._parser = HttpRequestParser(self)
        self._parser.feed_data(self._body_head)
        self._body_head = b""
        self._parse(data)

    def _refuse(self, refusal: Refusal) -> None:
        self._is_refused = True
        self.in_head = False
        self._received.append(refusal)

    def _head_too_large(self) -> Refusal:
        return Refusal(431, f"the request line and headers exceed {self._head_bytes} bytes")

    def on_message_begin(self) -> None:
        if self._body_head:
            return
        self.in_head = True
        self._target = b""
        self._fields = []
        self._field_bytes = 0

    def on_url(self, url: bytes) -> None:
        if self._body_head:
            return
        self._target += url
        self._field_bytes += len(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._body_head:
            return
        value = value.rstrip(b" \t")
        text = value.decode() if value.isascii() else self._decode(value)
        self._fields.append((name.decode("latin-1"), text))
        self._field_bytes += len(name) + len(value)
        if self._field_bytes > self._head_bytes:
            raise self._head_too_large()

    def on_headers_complete(self) -> None:
        if self._body_head:
            return
        method = self._parser.get_method().decode("latin-1")
        head = RequestHead(
            method=method,
            target=self._target.decode("latin-1"),
            version=self._parser.get_http_version(),
            headers=self._fields,
            # The bytes after CONNECT are meant for a tunnel, which this server never opens. They are not a request.
            keep_alive=self._parser.should_keep_alive() and method != "CONNECT",
        )
        framing, self._host = _check_head(head, self._host)
        if self._parser.should_upgrade():
            if framing:
                self._body_head = f"POST / HTTP/1.1\r\n{framing}\r\n\r\n".encode()
            elif head.version == "1.1":
                head.upgrade = ", ".join(value for name, value in head.headers if name.lower() == "upgrade").lower()
        self.in_head = False
        self._unfinished = self._field_bytes = 0
        # Further fields are trailers.
        self._fields = []
        self._received.append(head)

    def on_body(self, piece: bytes) -> None:
        self._unfinished = 0
        self._received.append(piece)

    def on_message_complete(self) -> None:
        if self._body_head:
            return
        self._unfinished = 0
        self._received.append(EndOfMessage(self._fields))


def _check_head(head: RequestHead, legal_host: str) -> tuple[str, str]:
    """Check ``head`` and set its ``expects_continue``.

    Return the header line that frames the body, or an empty string, and the Host. ``legal_host`` is a Host that needs
    no check. Raises Refusal if llhttp accepts the request but a proxy must not.
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
                    400, f"Transfer-Encoding {excerpt(value)} is not supported: only chunked is, and only in HTTP/1.1"
                )
            framing = "transfer-encoding: chunked"
        elif lower == "content-length" and value.strip("0"):
            framing = f"content-length: {value}"
        elif lower == "expect":
            if value.lower() != "100-continue":
                raise Refusal(417, f"Expect {excerpt(value)} is not supported: only 100-continue is")
            head.expects_continue = head.version == "1.1"
    if "#" in head.target:
        raise Refusal(400, "a request target must not have a fragment")
    if hosts > 1 or (hosts == 0 and head.version == "1.1"):
        raise Refusal(400, f"the request has {hosts} Host headers, one is expected")
    if host != legal_host and not is_host(host):
        raise Refusal(400, "the Host header is not a host with an optional port")
    if not head.target.startswith("/"):
        _use_authority(head)
    if head.version not in ("1.0", "1.1"):
        raise Refusal(505, f"HTTP/{head.version} is not supported: use HTTP/1.1")
    return framing, host


def _use_authority(head: RequestHead) -> None:
    """Replace Host by the authority of the target if the target is a URL, as RFC 9112 section 3.2.2 requires."""
    _, authority = origin_form(head.target) or ("", "")
    if authority:
        others = [header for header in head.headers if header[0].lower() != "host"]
        head.headers[:] = [("Host", authority), *others]
