"""An HTTP client with a raw socket. It sends exactly the bytes of a test, and returns all bytes of the answer."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress

from tests.answer import Answer, Pairs

PATIENCE = 30.0


class RawAnswer(Answer):
    """An answer. ``raw_head`` is the head as received, ``chunks`` are the pieces of a chunked body."""

    def __init__(self, raw_head: bytes) -> None:
        status_line, *lines = raw_head.decode(errors="surrogateescape").removesuffix("\r\n\r\n").split("\r\n")
        fields = [line.partition(":") for line in lines]
        super().__init__(int(status_line.split(" ")[1]), [(name, value.strip(" \t")) for name, _, value in fields])
        self.raw_head = raw_head
        self.chunks: list[bytes] = []
        self.trailers: Pairs = []


class RawClient:
    """One connection. Every wait has a time limit."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def connect(cls, port: int) -> RawClient:
        """Return a connection to ``port`` on this machine. ``raw_client`` also closes it."""
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def request(
        self, method: str, path: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> RawAnswer:
        """Send a request with a Host and a length, and return the whole answer."""
        await self.send(head(method, path, {"Content-Length": str(len(body))} | dict(headers or {})) + body)
        return await self.answer(method=method)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        async with asyncio.timeout(PATIENCE):
            await self.writer.drain()

    async def head(self) -> RawAnswer:
        """Return the next response head, which may be an interim one."""
        async with asyncio.timeout(PATIENCE):
            return RawAnswer(await self.reader.readuntil(b"\r\n\r\n"))

    async def chunk(self) -> bytes:
        """Return the next chunk. The last one is empty, and its trailers are not read yet."""
        async with asyncio.timeout(PATIENCE):
            size = int(await self.reader.readuntil(b"\r\n"), 16)
            if size == 0:
                return b""
            data = await self.reader.readexactly(size)
            assert await self.reader.readexactly(2) == b"\r\n"
            return data

    async def trailers(self) -> Pairs:
        """Return the trailers after the last chunk."""
        pairs: Pairs = []
        async with asyncio.timeout(PATIENCE):
            while (line := await self.reader.readuntil(b"\r\n")) != b"\r\n":
                name, _, value = line.decode(errors="surrogateescape").partition(":")
                pairs.append((name, value.strip(" \t\r\n")))
        return pairs

    async def answer(self, *, method: str = "GET") -> RawAnswer:
        """Return the next final response, with its whole body."""
        answer = await self.head()
        while answer.status < 200:
            answer = await self.head()
        await self.read_body(answer, method=method)
        return answer

    async def read_body(self, answer: RawAnswer, *, method: str = "GET") -> None:
        """Read the body of ``answer``, with the framing in its head."""
        if method == "HEAD" or answer.status in (204, 304):
            return
        try:
            if answer.headers.get("transfer-encoding") == "chunked":
                while chunk := await self.chunk():
                    answer.chunks.append(chunk)
                answer.trailers = await self.trailers()
            elif "content-length" in answer.headers:
                answer.body = await self.exactly(int(answer.headers["content-length"]))
            else:
                answer.body = await self.rest()
        except asyncio.IncompleteReadError as error:
            answer.is_cut = True
            answer.body = error.partial
        answer.body = b"".join(answer.chunks) or answer.body

    async def exactly(self, count: int) -> bytes:
        async with asyncio.timeout(PATIENCE):
            return await self.reader.readexactly(count)

    async def rest(self) -> bytes:
        """Return all bytes up to the end of the connection."""
        async with asyncio.timeout(PATIENCE):
            return await self.reader.read()

    def abort(self) -> None:
        self.writer.transport.abort()

    async def close(self) -> None:
        self.writer.close()
        with suppress(ConnectionError):
            await self.writer.wait_closed()

    def half_close(self) -> None:
        """Close the sending side."""
        self.writer.write_eof()

    def leave(self) -> None:
        """Close the connection at once, with a reset."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()


def head(method: str, path: str, headers: Mapping[str, str]) -> bytes:
    """Return a request head with ``headers``, and with a Host if they have none."""
    fields = {"Host": "localhost"} | dict(headers)
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@asynccontextmanager
async def raw_client(port: int, *, receive_buffer: int | None = None) -> AsyncIterator[RawClient]:
    """Yield a connection to ``port`` on this machine. ``receive_buffer`` is the kernel's buffer size in bytes."""
    open_socket = socket.socket()
    if receive_buffer is not None:
        open_socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    open_socket.setblocking(False)
    try:
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_connect(open_socket, ("127.0.0.1", port))
    except OSError:
        open_socket.close()
        raise
    limit = 2**21 if receive_buffer is None else receive_buffer
    reader, writer = await asyncio.open_connection(sock=open_socket, limit=limit)
    try:
        yield RawClient(reader, writer)
    finally:
        writer.transport.abort()
        with suppress(OSError):
            await writer.wait_closed()


async def ask(port: int, request: bytes, *, method: str = "GET") -> RawAnswer:
    """Send ``request`` on a new connection, and return the answer."""
    async with raw_client(port) as client:
        await client.send(request)
        return await client.answer(method=method)
