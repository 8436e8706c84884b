"""A small HTTP/1.1 server that lets its caller see request trailers, which a runtime reports late errors with.

Each connection is an ``asyncio.Protocol`` over httptools and one task that serves its requests in order. A body is
handed on in the pieces it arrives in; when the one who reads it is slow, the socket is no longer read, and so the
client is slow as well. Nothing is ever cancelled because a client went away: its body ends as truncated, ``gone``
is set, and the one who serves it concludes what there is to conclude.

It is meant for loopback clients that we start ourselves: there are no timeouts and no limit on heads.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import httptools

from adapter.emulator.changes import Changes

# How much of a body may wait for its reader before the socket is left unread, in bytes.
BODY_HIGH_WATER = 64 * 1024
# How many pipelined requests may wait behind the one that is served.
MAX_PIPELINED = 4


class BodyTruncatedError(Exception):
    """The connection ended before the body did."""


class Body:
    """A request body as it arrives. ``read`` belongs to one reader at a time."""

    def __init__(self, flow_changed: Callable[[], None]) -> None:
        self._flow_changed = flow_changed
        self._pieces: deque[bytes] = deque()
        self._changes = Changes()
        self._discarded = False
        self.size_waiting = 0
        self.ended = False
        self.truncated = False

    async def read(self) -> bytes:
        """The next piece; empty at the end, or when discarded. Raises BodyTruncatedError where the end is missing."""
        await self._changes.until(lambda: bool(self._pieces) or self.ended or self._discarded)
        if self._pieces:
            piece = self._pieces.popleft()
            self.size_waiting -= len(piece)
            self._flow_changed()
            return piece
        if self.truncated and not self._discarded:
            raise BodyTruncatedError
        return b""

    def discard(self) -> None:
        """Nobody wants what waits and what still comes; whoever reads is told that this is the end."""
        self._discarded = True
        self._pieces.clear()
        self.size_waiting = 0
        self._flow_changed()
        self._changes.notify()

    async def until_ended(self) -> None:
        """Wait until the last byte has arrived, or none can arrive any more."""
        await self._changes.until(lambda: self.ended)

    def feed(self, piece: bytes) -> None:
        """For the connection: a piece has arrived."""
        if not self._discarded:
            self._pieces.append(piece)
            self.size_waiting += len(piece)
            self._changes.notify()

    def end(self, *, truncated: bool) -> None:
        """For the connection: that was the last piece."""
        self.ended = True
        self.truncated = truncated
        self._changes.notify()


class Request:
    """A request whose head has arrived. Header and trailer names are lower case; of repeats the last one counts.

    ``trailers`` are complete once the body has ended. ``gone`` is done when the client's connection is.
    """

    def __init__(self, *, method: str, target: str, headers: dict[str, str], connection: Connection) -> None:
        self.method = method
        self.target = target
        self.headers = headers
        self.trailers: dict[str, str] = {}
        self.body = Body(connection.adjust_flow)
        self.gone = connection.gone
        self.keep_alive = True
        self.answered = False
        self._connection = connection

    def respond(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        """Answer, once. The rest of a body that is still arriving is thrown away."""
        assert not self.answered, "a request has one response"
        self.answered = True
        lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if not self.keep_alive:
            lines.append("Connection: close")
        head = ("\r\n".join(lines) + "\r\n\r\n").encode()
        self._connection.send(head if self.method == "HEAD" else head + body)


Serve = Callable[[Request], Awaitable[None]]


class Connection(asyncio.Protocol):
    """One client's connection; the callbacks named ``on_…`` are httptools'."""

    def __init__(self, server: HttpServer) -> None:
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._server = server
        self._transport: asyncio.Transport | None = None
        self._parser = httptools.HttpRequestParser(self)
        self._changes = Changes()
        self._requests: deque[Request] = deque()
        self._arriving: Request | None = None
        self._malformed = False
        self._url = b""
        self._fields: dict[str, str] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._server.connected(self)

    def data_received(self, data: bytes) -> None:
        if self._malformed:
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade):
            # The requests before it are answered, the last of them with the news that the connection ends.
            self._malformed = True
            if self._requests:
                self._requests[-1].keep_alive = False
            self._break_off()
            self._changes.notify()
        self.adjust_flow()

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.gone.set_result(None)
        self._break_off()
        self._changes.notify()
        self._server.disconnected(self)

    def send(self, response: bytes) -> None:
        """Write to the client, if it is still there."""
        if self._transport is not None:
            self._transport.write(response)

    def abort(self) -> None:
        """End the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def adjust_flow(self) -> None:
        """Read from the socket as long as what has been read is being consumed."""
        if self._transport is None:
            return
        waiting = sum(request.body.size_waiting for request in self._requests)
        if waiting > BODY_HIGH_WATER or len(self._requests) > MAX_PIPELINED:
            self._transport.pause_reading()
        else:
            self._transport.resume_reading()

    async def serve(self, serve: Serve) -> None:
        """Serve the requests of this connection, one after the other, until it ends."""
        while True:
            await self._changes.until(lambda: bool(self._requests) or self._malformed or self.gone.done())
            if not self._requests:
                break
            request = self._requests[0]
            await serve(request)
            request.body.discard()
            await request.body.until_ended()
            if not request.keep_alive:
                break
            self._requests.popleft()
            self.adjust_flow()
        if self._malformed and not self._requests:
            self.send(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
        if self._transport is not None:
            self._transport.close()

    def _break_off(self) -> None:
        if self._arriving is not None:
            self._arriving.body.end(truncated=True)
            self._arriving = None

    def on_message_begin(self) -> None:
        self._url = b""
        self._fields = {}

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # Once the head is complete these are trailers.
        fields = self._fields if self._arriving is None else self._arriving.trailers
        fields[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        self._arriving = Request(
            method=self._parser.get_method().decode(),
            target=self._url.decode("latin-1"),
            headers=self._fields,
            connection=self,
        )
        self._arriving.keep_alive = self._parser.should_keep_alive()
        self._requests.append(self._arriving)
        self._changes.notify()

    def on_body(self, piece: bytes) -> None:
        assert self._arriving is not None
        self._arriving.body.feed(piece)

    def on_message_complete(self) -> None:
        assert self._arriving is not None
        self._arriving.body.end(truncated=False)
        self._arriving = None


class HttpServer:
    """Serves every request with ``serve`` on an ephemeral loopback port. The connections' tasks live in ``group``."""

    def __init__(self, serve: Serve, group: asyncio.TaskGroup) -> None:
        self._serve = serve
        self._group = group
        self._connections: set[Connection] = set()
        self._changes = Changes()
        self._server: asyncio.Server | None = None
        self._closed = False

    async def start(self) -> int:
        """Listen; give the port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    def close(self) -> None:
        """Stop listening and end every connection at once."""
        self._closed = True
        if self._server is not None:
            self._server.close()
        for connection in self._connections:
            connection.abort()

    async def until_disconnected(self) -> None:
        """Wait until no client is connected: then everything they sent has been read."""
        await self._changes.until(lambda: not self._connections)

    def connected(self, connection: Connection) -> None:
        """For a connection: it is there."""
        if self._closed:
            # It was accepted just before the server was closed.
            connection.abort()
            return
        self._connections.add(connection)
        self._group.create_task(connection.serve(self._serve))

    def disconnected(self, connection: Connection) -> None:
        """For a connection: it is gone."""
        self._connections.discard(connection)
        self._changes.notify()
