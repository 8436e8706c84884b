"""One request and its response, as the one who serves them sees them."""

from __future__ import annotations

import asyncio
from collections import deque
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from adapter.net.server.errors import BodyTruncatedError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.net.server.connection import HttpConnection

    Headers = list[tuple[str, str]]
    Piece = bytes | bytearray | memoryview

_REASONS = {status.value: status.phrase for status in HTTPStatus}


def encode_head(status: int, headers: Headers) -> bytes:
    """A response head, up to and with the empty line."""
    lines = "".join([f"{name}: {value}\r\n" for name, value in headers])
    return f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\n{lines}\r\n".encode()


class RequestBody:
    """A request body as it arrives; ``read`` belongs to one reader. ``trailers`` are complete once it has ended."""

    __slots__ = ("_connection", "_discarded", "_pieces", "_waiter", "ended", "trailers", "truncated", "waiting")

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection
        self._pieces: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._discarded = False
        self.waiting = 0
        self.ended = False
        self.truncated = False
        self.trailers: Headers = []

    async def read(self) -> bytes:
        """The next piece; empty at the end, or if discarded.

        Raises BodyTruncatedError where the end is missing, ClientStalledError where nothing comes any more.
        """
        while not self._pieces and not self.ended and not self._discarded:
            self._waiter = self._connection.loop.create_future()
            await self._connection.wait_until_sent(self._waiter)
        if self._pieces:
            piece = self._pieces.popleft()
            self.waiting -= len(piece)
            self._connection.adjust_flow()
            return piece
        if self.truncated and not self._discarded:
            raise BodyTruncatedError
        return b""

    def discard(self) -> None:
        """Nobody wants what waits and what still comes; whoever reads is told that this is the end."""
        self._discarded = True
        self._pieces.clear()
        self.waiting = 0
        self._connection.adjust_flow()
        self._wake()

    def feed(self, piece: bytes) -> None:
        """For the connection: a piece has arrived."""
        if self._discarded:
            return
        self._pieces.append(piece)
        self.waiting += len(piece)
        self._wake()

    def end(self, *, truncated: bool) -> None:
        """For the connection: that was the last piece."""
        if not self.ended:
            self.ended = True
            self.truncated = truncated
            self._wake()

    async def drop(self) -> None:
        """Throw everything away, up to the end. Raises BodyTruncatedError where that is missing."""
        self.discard()
        while not self.ended:
            self._waiter = self._connection.loop.create_future()
            await self._waiter
        if self.truncated:
            raise BodyTruncatedError

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class Exchange:
    """A request whose head has arrived, and the way to answer it: ``begin``, ``write`` at will, ``end``.

    ``headers`` are as they came. ``upgrade`` is what the client wants to switch to (RFC 9110, section 7.8), in lower
    case, or empty.
    """

    __slots__ = (
        "_bodiless",
        "_chunked",
        "_connection",
        "_expects_continue",
        "_until_eof",
        "begun",
        "body",
        "ended",
        "headers",
        "keep_alive",
        "method",
        "target",
        "upgrade",
        "version",
    )

    def __init__(
        self, connection: HttpConnection, *, method: str, target: str, version: str, headers: Headers, keep_alive: bool
    ) -> None:
        self.method: Final = method
        self.target: Final = target
        self.version: Final = version
        self.headers: Final = headers
        self.body: Final = RequestBody(connection)
        self.upgrade = ""
        self.keep_alive = keep_alive
        self.begun = False
        self.ended = False
        self._connection = connection
        self._expects_continue = False
        self._chunked = False
        self._bodiless = False
        self._until_eof = False

    @property
    def client(self) -> str:
        """The address of whoever is connected, without the port; empty over a Unix socket."""
        return self._connection.client

    @property
    def disconnected(self) -> asyncio.Future[None]:
        """Done once the client sends no more, be it that it is gone."""
        return self._connection.disconnected

    def expect_continue(self) -> None:
        """For the connection: the client waits for 100 before it sends the body."""
        self._expects_continue = self.version == "1.1"

    def send_continue(self) -> None:
        """Ask for the body, where the client waits to be asked."""
        if self._expects_continue and not self.begun:
            self._expects_continue = False
            self.send_interim(100, [])

    def send_interim(self, status: int, headers: Headers) -> None:
        """Send a 1xx response; HTTP/1.0 clients do not know them and get none."""
        if self.version == "1.1":
            self._connection.write(encode_head(status, headers))

    def begin(self, status: int, headers: Headers, *, length: int | None = None, pieces: Iterable[Piece] = ()) -> None:
        """Send the response head and the first pieces of the body.

        ``headers`` name no framing; without ``length`` the body is chunked, or ends with the connection (HTTP/1.0).
        What a bodiless response says of the length that a body would have had is kept.
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
        # Whoever has not been asked for the body may send it or not: what comes next could be either.
        if self._expects_continue or not self.body.ended or self._connection.closing:
            self.keep_alive = False
        if not self.keep_alive:
            lines.append(("connection", "close"))
        elif self.version == "1.0":
            lines.append(("connection", "keep-alive"))
        self._connection.write(b"".join((encode_head(status, lines), *self._framed(pieces))))

    async def write(self, pieces: Iterable[Piece]) -> None:
        """Send pieces of the body, at once; waits while the client does not keep up. Raises ConnectionError."""
        framed = self._framed(pieces)
        if framed:
            self._connection.write(b"".join(framed))
        await self._connection.drain()

    def end(self, trailers: Headers | None = None) -> None:
        """The body is complete."""
        self.ended = True
        if self._chunked:
            lines = "".join(f"{name}: {value}\r\n" for name, value in trailers or ())
            self._connection.write(f"0\r\n{lines}\r\n".encode())

    def respond(self, status: int, headers: Headers, body: bytes | bytearray) -> None:
        """Send a whole response."""
        self.begin(status, headers, length=len(body), pieces=(body,))
        self.end()

    def cut(self) -> None:
        """The body will not be complete: close the connection in a way that the client can tell from an end."""
        self.keep_alive = False
        self._connection.cut(reset=self._until_eof)

    def switch_protocols(self, headers: Headers) -> Tunnel:
        """Answer 101; what the client sends from now on comes out of the tunnel."""
        self.begun = self.ended = True
        self.keep_alive = False
        tunnel = Tunnel(self._connection)
        self._connection.hand_over(tunnel)
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

    def __init__(self, connection: HttpConnection) -> None:
        self._connection = connection
        self._pieces: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._ended = False

    async def read(self) -> bytes:
        """What the client sent; empty at the end."""
        while not self._pieces and not self._ended:
            self._connection.resume_reading()
            self._waiter = self._connection.loop.create_future()
            await self._waiter
        return self._pieces.popleft() if self._pieces else b""

    async def write(self, data: bytes) -> None:
        """Send to the client; waits while it does not keep up. Raises ConnectionError when it is gone."""
        self._connection.write(data)
        await self._connection.drain()

    def write_eof(self) -> None:
        """Nothing more will be sent to the client."""
        self._connection.write_eof()

    def feed(self, data: bytes) -> None:
        """For the connection."""
        self._pieces.append(data)
        self._connection.pause_reading()
        self._wake()

    def end(self) -> None:
        """For the connection: the client sends no more."""
        self._ended = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
