"""One request and the means to answer it, as those who serve it use them."""

from __future__ import annotations

from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final, Protocol

from adapter.net.server.errors import BodyTruncatedError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from adapter.net.server.request_parser import RequestHead

    Headers = list[tuple[str, str]]
    Piece = bytes | bytearray | memoryview

_REASONS = {status.value: status.phrase for status in HTTPStatus}


def encode_head(status: int, headers: Headers) -> bytes:
    """Return a response head, up to and with the empty line."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n{lines}\r\n".encode()


class ClientConnection(Protocol):
    """What an exchange needs of the connection that it came on."""

    client: str
    disconnected: asyncio.Future[None]
    is_reading: bool

    def write(self, data: bytes) -> None:
        """Send to the client; without effect if it has disconnected."""

    async def drain(self) -> None:
        """Wait while the client does not keep up. Raises ConnectionError."""

    def write_eof(self) -> None:
        """Send no more."""

    def cut(self, *, reset: bool = False) -> None:
        """Close without completing the response."""

    async def wait_for_bytes(self) -> None:
        """Wait until the client has sent more, or has disconnected. Raises ClientStalledError."""

    def adjust_flow(self) -> None:
        """Read from the client, or leave its socket unread, depending on how much is waiting for its reader."""

    def stop_waiting(self) -> None:
        """End ``wait_for_bytes``."""

    def switch_protocols(self) -> RequestBody:
        """Return the bytes of the client from now on, which are not HTTP any more."""


class RequestBody:
    """A request body as it arrives; ``read`` belongs to one reader. ``trailers`` are complete once it has ended."""

    __slots__ = ("_connection", "_discarded", "_pieces", "ended", "trailers", "truncated", "unread_bytes")

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._pieces: deque[bytes] = deque()
        self._discarded = False
        self.unread_bytes = 0
        self.ended = False
        self.truncated = False
        self.trailers: Headers = []

    async def read(self) -> bytes:
        """Return the next piece; empty at the end, or if discarded.

        Raises BodyTruncatedError if the end is missing, ClientStalledError if the client sends nothing any more.
        """
        while not self._pieces and not self.ended and not self._discarded:
            await self._connection.wait_for_bytes()
        if self._pieces:
            piece = self._pieces.popleft()
            self.unread_bytes -= len(piece)
            if not self._connection.is_reading:
                self._connection.adjust_flow()
            return piece
        if self.truncated and not self._discarded:
            raise BodyTruncatedError
        return b""

    def discard(self) -> None:
        """Throw away what has arrived and what still comes; for a reader this is the end."""
        self._discarded = True
        self._pieces.clear()
        self.unread_bytes = 0
        self._connection.adjust_flow()
        self._connection.stop_waiting()

    def feed(self, piece: bytes) -> None:
        """For the connection: add a piece."""
        if not self._discarded:
            self._pieces.append(piece)
            self.unread_bytes += len(piece)

    def end(self, *, truncated: bool) -> None:
        """For the connection: there are no more pieces."""
        self.ended = True
        self.truncated = truncated


class Exchange:
    """A request whose head has arrived, and the way to answer it: ``begin``, ``write`` at will, ``end``.

    - ``headers`` are as they came.
    - ``upgrade`` is what the client wants to switch to (RFC 9110, section 7.8), in lower case, or empty.
    - ``client`` is the client's address without the port, or empty for a Unix socket.
    - ``disconnected`` is done once the client sends no more, perhaps because it has gone.
    - ``keep_alive`` is whether the connection may be used again after this exchange.
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
        self._connection = connection
        self._expects_continue = head.expects_continue
        self._chunked = False
        self._bodiless = False
        self._until_eof = False

    def send_continue(self) -> None:
        """Ask for the body if the client waits to be asked."""
        if self._expects_continue and not self.begun:
            self._expects_continue = False
            self.send_interim(100, [])

    def send_interim(self, status: int, headers: Headers) -> None:
        """Send a 1xx response; HTTP/1.0 clients do not understand it, so they get none."""
        if self.version == "1.1":
            self._connection.write(encode_head(status, headers))

    def begin(self, status: int, headers: Headers, *, length: int | None = None, pieces: Iterable[Piece] = ()) -> None:
        """Send the response head and the first pieces of the body.

        ``headers`` have no framing; without ``length`` the body is chunked, or ends with the connection (HTTP/1.0). A
        response without a body keeps the length that the body would have had.
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
        # A client that was not asked for its body may send it or not: the next bytes could be either.
        if self._expects_continue or not self.body.ended or self.body.truncated:
            self.keep_alive = False
        if not self.keep_alive:
            lines.append(("connection", "close"))
        elif self.version == "1.0":
            lines.append(("connection", "keep-alive"))
        self._connection.write(b"".join((encode_head(status, lines), *self._framed(pieces))))

    async def write(self, pieces: Iterable[Piece]) -> None:
        """Send pieces of the body at once, then wait while the client does not keep up. Raises ConnectionError."""
        framed = self._framed(pieces)
        if framed:
            self._connection.write(b"".join(framed))
        await self._connection.drain()

    def end(self, trailers: Headers | None = None) -> None:
        """Complete the body."""
        self.ended = True
        if self._chunked:
            lines = "".join(f"{name}: {value}\r\n" for name, value in trailers or ())
            self._connection.write(f"0\r\n{lines}\r\n".encode())

    def respond(self, status: int, headers: Headers, body: bytes | bytearray) -> None:
        """Send a whole response."""
        self.begin(status, headers, length=len(body), pieces=(body,))
        self.end()

    def cut(self) -> None:
        """Close the connection without completing the body, so that the client can tell it from a complete one."""
        self.keep_alive = False
        self._connection.cut(reset=self._until_eof)

    def switch_protocols(self, headers: Headers) -> Tunnel:
        """Answer 101; what the client sends from now on comes out of the tunnel.

        Raises IllegalTransition if the request offered no upgrade.
        """
        tunnel = Tunnel(self._connection)
        self.begun = self.ended = True
        self.keep_alive = False
        self._connection.write(encode_head(101, headers))
        return tunnel

    def _framed(self, pieces: Iterable[Piece]) -> list[Piece]:
        if self._bodiless:
            return []
        parts = [piece for piece in pieces if piece]
        if not parts or not self._chunked:
            return parts
        return [f"{sum(map(len, parts)):x}\r\n".encode(), *parts, b"\r\n"]


class Tunnel:
    """The client's side of a connection that has switched protocols: bytes both ways, bounded by buffers."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection
        self._received = connection.switch_protocols()

    async def read(self) -> bytes:
        """Return what the client sent; empty at the end."""
        try:
            return await self._received.read()
        except BodyTruncatedError:
            return b""

    async def write(self, data: bytes) -> None:
        """Send to the client, then wait while it does not keep up. Raises ConnectionError if it has disconnected."""
        self._connection.write(data)
        await self._connection.drain()

    def write_eof(self) -> None:
        """Send no more to the client."""
        self._connection.write_eof()
