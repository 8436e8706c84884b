"""Responses on the wire: framing by version and method, interim heads, trailers, back-pressure, and cuts that show."""

from __future__ import annotations

import asyncio

import pytest

from adapter.net.server import Exchange, Limits
from adapter.net.server.server_limits import WRITE_HIGH_WATER
from tests.net.server.serving import Serve, happened, serving
from tests.raw_client import ask, raw_client

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
GET_1_0 = b"GET / HTTP/1.0\r\n\r\n"
HEAD = b"HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
EXPECTING = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n"


async def streams(exchange: Exchange) -> None:
    exchange.begin(200, [("x-a", "1"), ("x-a", "2")], pieces=(b"one", b"", memoryview(b"two")))
    await exchange.write((b"three",))
    await exchange.write((b"",))
    exchange.end([("x-sum", "7")])


async def has_length(exchange: Exchange) -> None:
    exchange.begin(200, [], length=5, pieces=(b"he",))
    await exchange.write((b"llo",))
    exchange.end([("x-sum", "7")])


def answers(status: int, *, length: int | None) -> Serve:
    async def serve(exchange: Exchange) -> None:
        exchange.begin(status, [], length=length)
        exchange.end()

    return serve


@pytest.mark.parametrize(
    ("serve", "request_bytes", "expected"),
    [
        pytest.param(
            streams,
            GET,
            b"HTTP/1.1 200 OK\r\nx-a: 1\r\nx-a: 2\r\ntransfer-encoding: chunked\r\n\r\n"
            b"6\r\nonetwo\r\n5\r\nthree\r\n0\r\nx-sum: 7\r\n\r\n",
            id="chunked",
        ),
        pytest.param(
            streams,
            GET_1_0,
            b"HTTP/1.1 200 OK\r\nx-a: 1\r\nx-a: 2\r\nconnection: close\r\n\r\nonetwothree",
            id="until-the-end-for-1.0",
        ),
        pytest.param(streams, HEAD, b"HTTP/1.1 200 OK\r\nx-a: 1\r\nx-a: 2\r\n\r\n", id="head"),
        pytest.param(has_length, GET, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello", id="length"),
        pytest.param(
            has_length,
            GET_1_0,
            b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello",
            id="length-1.0",
        ),
        pytest.param(has_length, HEAD, b"HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n", id="head-with-length"),
        pytest.param(answers(204, length=0), GET, b"HTTP/1.1 204 No Content\r\n\r\n", id="204"),
        pytest.param(answers(304, length=9), GET, b"HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n\r\n", id="304"),
        pytest.param(answers(304, length=None), GET, b"HTTP/1.1 304 Not Modified\r\n\r\n", id="304-without-length"),
        pytest.param(answers(799, length=0), GET, b"HTTP/1.1 799 \r\ncontent-length: 0\r\n\r\n", id="odd-status"),
    ],
)
async def test_a_response_is_framed_for_its_request(serve: Serve, request_bytes: bytes, expected: bytes) -> None:
    async with serving(serve, cancels=False) as running, raw_client(running.port) as client:
        await client.send(request_bytes)
        client.half_close()
        assert await client.rest() == expected


async def test_interim_responses_go_before_the_final_one() -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.send_interim(103, [("link", "</a>")])
        exchange.send_interim(102, [])
        exchange.respond(200, [], b"")

    async with serving(serve) as running:
        async with raw_client(running.port) as client:
            await client.send(GET)
            early = await client.head()
            assert (early.status, early.pairs) == (103, [("link", "</a>")])
            assert [(await client.head()).status for _ in range(2)] == [102, 200]
        async with raw_client(running.port) as client:
            await client.send(GET_1_0)
            assert (await client.head()).status == 200


async def test_a_client_that_waits_for_100_gets_it_when_the_body_is_wanted() -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.send_continue()
        exchange.send_continue()
        exchange.respond(200, [], await exchange.body.read())

    async with serving(serve) as running, raw_client(running.port) as client:
        for _ in range(2):
            await client.send(EXPECTING)
            assert (await client.head()).status == 100
            await client.send(b"hi")
            assert (await client.answer()).body == b"hi"


async def test_a_client_that_waits_for_100_is_refused_without_it() -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.respond(413, [], b"")
        exchange.send_continue()

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(EXPECTING)
        answer = await client.head()
        assert (answer.status, answer.headers["connection"]) == (413, "close")
        assert await client.rest() == b""


async def test_http_1_0_is_never_asked_to_continue() -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.send_continue()
        exchange.respond(200, [], await exchange.body.read())

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(EXPECTING.replace(b"1.1", b"1.0") + b"hi")
        assert (await client.head()).status == 200


async def test_a_writer_waits_for_a_client_that_does_not_read() -> None:
    progress = [0]
    piece = b"x" * 65536
    waiting = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        exchange.begin(200, [])
        loop = asyncio.get_running_loop()
        while progress[0] < 1000:
            # Noted only if the write below takes more than this round of the loop.
            mark = loop.call_soon(lambda: loop.call_soon(waiting.set))
            await exchange.write((piece,))
            mark.cancel()
            waiting.clear()
            progress[0] += 1
        exchange.end()

    async with serving(serve) as running, raw_client(running.port, receive_buffer=4096) as client:
        await client.send(GET)
        await happened(waiting)
        # What the kernel's own buffers take is megabytes; the rest is still to be made.
        assert progress[0] < 200
        await client.head()
        total = 0
        while chunk := await client.chunk():
            total += len(chunk)
        assert total == 1000 * len(piece)


@pytest.mark.parametrize(
    ("serve_length", "request_bytes"),
    [
        pytest.param(None, GET, id="chunked"),
        pytest.param(10, GET, id="length"),
        pytest.param(None, GET_1_0, id="until-the-end"),
    ],
)
async def test_a_cut_response_can_be_told_from_a_whole_one(serve_length: int | None, request_bytes: bytes) -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.begin(200, [], length=serve_length, pieces=(b"part",))
        await exchange.write(())
        exchange.cut()

    async with serving(serve) as running:
        if request_bytes is GET_1_0:
            with pytest.raises(ConnectionResetError):
                await ask(running.port, request_bytes)
        else:
            answer = await ask(running.port, request_bytes)
            assert answer.is_cut
            assert answer.body == b"part"


async def test_a_response_that_serve_leaves_unfinished_is_cut() -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.begin(200, [], pieces=(b"part",))

    async with serving(serve) as running:
        assert (await ask(running.port, GET)).is_cut


async def test_a_client_that_does_not_receive_the_end_of_its_response_is_disconnected() -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.begin(200, [], length=50_000_000, pieces=(b"x" * 50_000_000,))
        exchange.end()
        exchange.keep_alive = False

    limits = Limits(flush_timeout=0.05)
    async with serving(serve, limits=limits) as running, raw_client(running.port, receive_buffer=4096) as client:
        await client.send(GET)
        await client.head()
        async with asyncio.timeout(5):
            await running.server.wait_until_drained()


async def test_the_tunnel_waits_for_a_client_that_does_not_read() -> None:
    sent = [0]
    waiting = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        tunnel = exchange.switch_protocols([])
        loop = asyncio.get_running_loop()
        while sent[0] < 1000:
            mark = loop.call_soon(lambda: loop.call_soon(waiting.set))
            await tunnel.write(b"x" * WRITE_HIGH_WATER)
            mark.cancel()
            sent[0] += 1

    async with serving(serve) as running, raw_client(running.port, receive_buffer=4096) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
        await happened(waiting)
        assert sent[0] < 200


@pytest.mark.parametrize(
    ("request_bytes", "expected"),
    [
        pytest.param(b"Content-Length: 5\r\n\r\nhello", b"hello", id="exactly-the-limit"),
        pytest.param(b"Content-Length: 6\r\n\r\nhello!", None, id="one-byte-more"),
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", b"hello", id="pieces"),
        # The rest never arrives: what exceeds the limit is not read to its end.
        pytest.param(b"Transfer-Encoding: chunked\r\n\r\n6\r\nhello!\r\n", None, id="not-to-the-end"),
        pytest.param(b"\r\n", b"", id="no-body"),
    ],
)
async def test_a_body_is_read_up_to_a_limit(request_bytes: bytes, expected: bytes | None) -> None:
    bodies: list[bytes | None] = []

    async def serve(exchange: Exchange) -> None:
        bodies.append(await exchange.read_body(5))
        exchange.respond(200, [], b"")

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n" + request_bytes)
        assert (await client.answer()).status == 200
    assert bodies == [expected]


async def test_reading_a_body_asks_for_it() -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.respond(200, [], await exchange.read_body(2) or b"")

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(EXPECTING)
        assert (await client.head()).status == 100
        await client.send(b"hi")
        assert (await client.answer()).body == b"hi"
