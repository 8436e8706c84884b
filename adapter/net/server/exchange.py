"""One request and the methods to answer it: the server's interface for the code that serves requests."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from adapter.net.http1 import encode_text
from adapter.net.server.errors import BodyTruncatedError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Awaitable, Callable, Iterable

    from adapter.net.server.request_parser import Refusal, RequestHead

    Headers = list[tuple[str, str]]
    Piece = bytes | bytearray | memoryview

# Smaller unread pieces are joined, because one object for each byte would take 40 times as much memory. In bytes.
_SMALL_PIECE: Final = 4096

# The end of a chunked body without trailers.
_LAST_CHUNK: Final = b"0\r\n\r\n"

_REASONS: Final = {status.value: status.phrase for status in HTTPStatus}


def encode_head(status: int, headers: Headers, reason: str | None = None) -> bytes:
    """Return a response head, including the final empty line. If ``reason`` is None, use the standard phrase."""
    phrase = _REASONS.get(status, "") if reason is None else reason
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return encode_text(f"HTTP/1.1 {status} {phrase}\r\n{lines}\r\n")


def encode_refusal(refusal: Refusal) -> bytes:
    """Return the complete response to a refused request: head and body."""
    body = f"{refusal}\n".encode()
    lines = [("content-type", "text/plain"), ("content-length", str(len(body))), ("connection", "close")]
    if refusal.status == 503:
        lines.append(("retry-after", "1"))
    return encode_head(refusal.status, lines) + body


class ClientConnection(Protocol):
    """The part of a client's connection that exchanges use."""

    client: str
    disconnected: asyncio.Future[None]
    is_reading: bool

    def write(self, data: bytes) -> None:
        """Send ``data`` to the client. Do nothing if the client has disconnected."""

    async def drain(self) -> None:
        """Wait until the client accepts more data. Raises ConnectionError if the client disconnects or stalls."""

    def write_eof(self) -> None:
        """Close the sending side of the connection."""

    def cut(self, *, reset: bool = False) -> None:
        """Close the connection without completing the response. If ``reset`` is True, reset the connection."""

    def wait_for_bytes(self) -> Awaitable[None]:
        """Return an awaitable that is done when bytes arrive or ``stop_waiting`` is called.

        It raises ClientStalledError if the client stalls.
        """

    def adjust_flow(self) -> None:
        """Pause or resume reading from the client, depending on how much received data is still unread."""

    def stop_waiting(self) -> None:
        """Wake the task that awaits ``wait_for_bytes()``, if there is one."""

    def switch_protocols(self) -> RequestBody:
        """Stop parsing HTTP. Return a ``RequestBody`` that receives all further bytes from the client."""


class RequestBody:
    """A request body that is still arriving. Only one task may read it.

    When the body ends, the connection sets ``ended`` to True. If the body is incomplete, ``truncated`` is also True;
    otherwise, ``trailers`` contains the trailers. If the client broke the protocol or a limit, ``refusal`` is the
    response to send, else None.
    """

    __slots__ = ("_connection", "_discarded", "_pieces", "ended", "refusal", "trailers", "truncated", "unread_bytes")

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        # A list, because an empty deque takes ten times as much memory, and there are never many pieces.
        self._pieces: list[bytes] = []
        self._discarded = False
        self.unread_bytes = 0
        self.ended = False
        self.truncated = False
        self.refusal: Refusal | None = None
        self.trailers: Headers = []

    async def read(self) -> bytes:
        """Wait for the next piece and return it, or ``b""`` if the body has ended or is discarded.

        Raises BodyTruncatedError if the body is incomplete, and ClientStalledError if the client makes no progress.
        """
        while not self._pieces and not self.ended and not self._discarded:
            await self._connection.wait_for_bytes()
        if self._pieces:
            piece = self._pieces.pop(0)
            self.unread_bytes -= len(piece)
            if not self._connection.is_reading:
                self._connection.adjust_flow()
            return piece
        if self.truncated and not self._discarded:
            raise BodyTruncatedError(self.refusal)
        return b""

    def discard(self) -> None:
        """Discard all unread and all later pieces. From now on, ``read`` returns ``b""``."""
        self._discarded = True
        self._pieces.clear()
        self.unread_bytes = 0
        self._connection.adjust_flow()
        self._connection.stop_waiting()

    def feed(self, piece: bytes) -> None:
        """Append ``piece`` to the unread pieces. Called by the connection."""
        if self._discarded:
            return
        self.unread_bytes += len(piece)
        if self._pieces and len(piece) < _SMALL_PIECE and len(self._pieces[-1]) < _SMALL_PIECE:
            self._pieces[-1] += piece
        else:
            self._pieces.append(piece)


class Exchange:
    """A request whose head has arrived. To answer it, call ``begin``, ``write`` any number of times, then ``end``.

    - ``headers`` contains all headers, repeated ones too, in the order in which the client sent them.
    - ``upgrade`` is the protocol that the client offers to switch to (RFC 9110, section 7.8), in lower case, or an
      empty string if there is no offer.
    - ``client`` is the client's address without the port, or an empty string for a Unix socket.
    - ``disconnected`` is a future that is done once the client has closed its sending side or has disconnected.
    - ``keep_alive`` is True if the connection may be used again after this exchange.
    - ``is_response_at_hand`` is a function that returns True if the rest of the response can be sent without waiting.
      The server calls it when the client closes its sending side. If it returns True, the response is delivered, else
      serving is cancelled. If ``is_response_at_hand`` is None, only a response that is already complete is delivered.
    """

    __slots__ = (
        "_bodiless",
        "_chunked",
        "_connection",
        "_expects_continue",
        "_until_eof",
        "begun",
        "body",
        "client",
        "disconnected",
        "ended",
        "headers",
        "is_response_at_hand",
        "keep_alive",
        "method",
        "target",
        "upgrade",
        "version",
    )

    def __init__(self, connection: ClientConnection, head: RequestHead) -> None:
        self.method: Final = head.method
        self.target: Final = head.target
        self.version: Final = head.version
        self.headers: Final = head.headers
        self.upgrade: Final = head.upgrade
        self.body: Final = RequestBody(connection)
        self.client: Final = connection.client
        self.disconnected: Final = connection.disconnected
        self.keep_alive = head.keep_alive
        self.begun = False
        self.ended = False
        self.is_response_at_hand: Callable[[], bool] | None = None
        self._connection = connection
        self._expects_continue = head.expects_continue
        self._chunked = False
        self._bodiless = False
        self._until_eof = False

    def send_continue(self) -> None:
        """Send ``100 Continue`` if the client expects it and the response has not begun."""
        if self._expects_continue and not self.begun:
            self._expects_continue = False
            self.send_interim(100, [])

    async def read_body(self, limit: int) -> bytes | None:
        """Read the whole body and return it, or None if it exceeds ``limit`` bytes.

        Sends ``100 Continue`` first if the client waits for it. Raises BodyTruncatedError if the body is incomplete.
        """
        self.send_continue()
        body = bytearray()
        while piece := await self.body.read():
            body += piece
            if len(body) > limit:
                return None
        return bytes(body)

    def send_interim(self, status: int, headers: Headers, reason: str | None = None) -> None:
        """Send a 1xx response. Send nothing to an HTTP/1.0 client, which does not understand 1xx responses."""
        if self.version == "1.1":
            self._connection.write(encode_head(status, headers, reason))

    def begin(
        self,
        status: int,
        headers: Headers,
        *,
        length: int | None = None,
        pieces: Iterable[Piece] = (),
        reason: str | None = None,
    ) -> None:
        """Send the response head and the first pieces of the body.

        ``headers`` must not contain framing headers. If ``length`` is None, the body is chunked; for an HTTP/1.0
        client, the end of the connection ends the body. A response to HEAD or with status 304 may have a ``length``,
        but its body is not sent. If ``reason`` is None, the standard phrase of the status is sent.
        """
        self.begun = True
        lines = list(headers)
        self._bodiless = self.method == "HEAD" or status in (204, 304) or status < 200
        if length is not None and status != 204:
            lines.append(("content-length", str(length)))
        elif not self._bodiless and self.version == "1.1":
            self._chunked = True
            lines.append(("transfer-encoding", "chunked"))
        elif not self._bodiless:
            self._until_eof = True
            self.keep_alive = False
        # If the request body is incomplete, the next bytes could be its rest or a new request. So do not reuse the
        # connection.
        if self._expects_continue or not self.body.ended or self.body.truncated:
            self.keep_alive = False
        if not self.keep_alive:
            lines.append(("connection", "close"))
        elif self.version == "1.0":
            lines.append(("connection", "keep-alive"))
        framed = self._framed(pieces)
        self._connection.write(b"".join((encode_head(status, lines, reason), *framed)))

    async def write(self, pieces: Iterable[Piece]) -> None:
        """Send pieces of the body, then wait until the client accepts more data.

        Raises ConnectionError if the client disconnects or stalls.
        """
        framed = self._framed(pieces)
        if framed:
            self._connection.write(b"".join(framed))
        await self._connection.drain()

    def end(self, trailers: Headers | None = None) -> None:
        """Finish the response. ``trailers`` are sent only if the body is chunked."""
        self.ended = True
        if self._chunked and trailers:
            lines = "".join([f"{name}: {value}\r\n" for name, value in trailers])
            self._connection.write(encode_text(f"0\r\n{lines}\r\n"))
        elif self._chunked:
            self._connection.write(_LAST_CHUNK)

    def respond(self, status: int, headers: Headers, body: bytes | bytearray, *, reason: str | None = None) -> None:
        """Send a complete response."""
        # Nothing follows a body with a length.
        self.begin(status, headers, length=len(body), pieces=(body,), reason=reason)
        self.ended = True

    def cut(self) -> None:
        """Close the connection without completing the body, so that the client detects that the body is incomplete."""
        self.keep_alive = False
        self._connection.cut(reset=self._until_eof)

    def switch_protocols(self, headers: Headers, reason: str | None = None) -> Tunnel:
        """Send the 101 response. Return the tunnel that carries all further bytes.

        Raises IllegalTransition if the request offered no upgrade.
        """
        tunnel = Tunnel(self._connection)
        self.begun = self.ended = True
        self.keep_alive = False
        self._connection.write(encode_head(101, headers, reason))
        return tunnel

    def _framed(self, pieces: Iterable[Piece]) -> list[Piece]:
        if self._bodiless:
            return []
        parts = [piece for piece in pieces if piece]
        if not parts or not self._chunked:
            return parts
        return [f"{sum(map(len, parts)):x}\r\n".encode(), *parts, b"\r\n"]


class Tunnel:
    """A client's connection after it has switched protocols. It carries bytes both ways, with bounded buffers."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._received = connection.switch_protocols()

    async def read(self) -> bytes:
        """Wait for bytes from the client and return them. Return ``b""`` if the client has closed its sending side."""
        try:
            return await self._received.read()
        except BodyTruncatedError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send ``data`` to the client, then wait until the client accepts more data.

        Raises ConnectionError if the client has disconnected or stalls.
        """
        self._connection.write(data)
        await self._connection.drain()

    def write_eof(self) -> None:
        """Close the sending side of the client's connection."""
        self._connection.write_eof()
