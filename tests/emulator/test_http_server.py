"""The HTTP server, byte by byte over real sockets."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest

from adapter.emulator.http_server import BODY_HIGH_WATER, BodyTruncatedError, HttpServer, Request
from tests.emulator.scripted import RawClient, chunk, head

CHUNKED = head("POST", "/a?b=c", {"Transfer-Encoding": "chunked", "Trailer": "x-end"})
WITH_TRAILER = CHUNKED + chunk(b"hello ") + chunk(b"world") + b"0\r\nX-End: yes\r\n\r\n"
WITH_LENGTH = head("POST", "/a?b=c", {"Content-Length": "11"}) + b"hello world"


@asynccontextmanager
async def serving(serve: Callable[[Request], Awaitable[None]]) -> AsyncIterator[tuple[HttpServer, RawClient]]:
    """A server and a client that is connected to it."""
    async with asyncio.TaskGroup() as group:
        server = HttpServer(serve, group)
        client = await RawClient.connect(await server.start())
        try:
            yield server, client
        finally:
            await client.close()
            server.close()


async def echo(request: Request) -> None:
    body = b""
    while piece := await request.body.read():
        body += piece
    trailer = request.trailers.get("x-end", "none")
    request.respond(200, f"{request.method} {request.target} {trailer} ".encode() + body, {})


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        pytest.param(WITH_TRAILER, b"POST /a?b=c yes hello world", id="chunked-with-trailer"),
        pytest.param(WITH_LENGTH, b"POST /a?b=c none hello world", id="length"),
        pytest.param(head("GET", "/x", {}), b"GET /x none ", id="no-body"),
    ],
)
async def test_a_request_may_arrive_split_at_any_byte(raw: bytes, expected: bytes) -> None:
    async with serving(echo) as (_, client):
        for cut in range(1, len(raw)):
            await client.send(raw[:cut])
            # Let the server read the first part alone.
            await asyncio.sleep(0)
            await client.send(raw[cut:])
            assert (await client.response()).body == expected


async def test_pipelined_requests_are_answered_in_order_on_one_connection() -> None:
    async with serving(echo) as (_, client):
        await client.send(b"".join(head("GET", f"/{number}", {}) for number in range(20)))
        answers = [(await client.response()).body for _ in range(20)]
        assert answers == [f"GET /{number} none ".encode() for number in range(20)]


async def test_connection_close_is_honoured() -> None:
    async with serving(echo) as (_, client):
        response = await client.request("GET", "/", headers={"Connection": "close"})
        assert response.header("connection") == "close"
        assert await client.reader.read() == b""


async def test_head_is_answered_without_a_body() -> None:
    async with serving(echo) as (_, client):
        await client.send(head("HEAD", "/h", {}) + head("GET", "/g", {}))
        assert (await client.response("HEAD")).header("content-length") == str(len(b"HEAD /h none "))
        assert (await client.response()).body == b"GET /g none "


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        pytest.param(b"nonsense\r\n\r\n", 400, id="no-http"),
        pytest.param(head("GET", "/", {"Upgrade": "websocket", "Connection": "upgrade"}), 200, id="upgrade"),
        pytest.param(head("GET", "/", {}) + b"nonsense\r\n\r\n", 200, id="nonsense-after-a-request"),
    ],
)
async def test_after_what_is_no_request_the_connection_is_closed(raw: bytes, status: int) -> None:
    async with serving(echo) as (_, client):
        await client.send(raw)
        response = await client.response()
        assert (response.status, response.header("connection")) == (status, "close")
        assert await client.reader.read() == b""


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(b"", id="hung-up"),
        pytest.param(b"zz\r\n", id="broken-chunk-size"),
    ],
)
async def test_a_body_without_its_end_is_truncated_after_its_last_piece(rest: bytes) -> None:
    pieces: list[bytes] = []
    truncated = asyncio.Event()

    async def collect(request: Request) -> None:
        try:
            while piece := await request.body.read():
                pieces.append(piece)
        except BodyTruncatedError:
            truncated.set()
        request.respond(400, b"", {})

    async with serving(collect) as (_, client):
        await client.send(CHUNKED + chunk(b"hello"))
        await client.send(rest)
        client.writer.write_eof()
        await truncated.wait()
        assert pieces == [b"hello"]
        if rest:
            assert (await client.response()).header("connection") == "close"


async def test_a_slow_reader_stops_the_client() -> None:
    size = 32 * 1024 * 1024
    go_on = asyncio.Event()
    waiting: list[int] = []

    async def slow(request: Request) -> None:
        received = len(await request.body.read())
        await go_on.wait()
        while piece := await request.body.read():
            waiting.append(request.body.size_waiting)
            received += len(piece)
        request.respond(200, str(received).encode(), {})

    async with serving(slow) as (_, client):
        client.writer.write(head("POST", "/", {"Content-Length": str(size)}) + bytes(size))
        # The sockets' own buffers take a part; then nothing moves, however long one waits.
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await client.writer.drain()
        go_on.set()
        assert (await client.response()).body == str(size).encode()
    # One read of the socket may go over the mark: 256 KiB in asyncio.
    assert max(waiting) <= BODY_HIGH_WATER + 256 * 1024


async def test_an_early_answer_throws_the_rest_of_the_body_away() -> None:
    async def refuse(request: Request) -> None:
        await request.body.read()
        request.respond(413, b"", {})

    async with serving(refuse) as (_, client):
        await client.send(head("POST", "/", {"Content-Length": "5000000"}) + b"x")
        assert (await client.response()).status == 413
        await client.send(b"x" * 4999999)
        assert (await client.request("POST", "/again", b"x")).status == 413


async def test_whoever_serves_is_told_that_the_client_is_gone() -> None:
    served = asyncio.Event()

    async def wait(request: Request) -> None:
        await request.gone
        served.set()

    async with serving(wait) as (server, client):
        await client.send(head("GET", "/", {}))
        client.abort()
        await served.wait()
        await server.until_disconnected()
