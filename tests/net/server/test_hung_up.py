"""What a server is told of a client that goes away while its request is served, and throwing a body away."""

from __future__ import annotations

import asyncio

import pytest

from adapter.net.server import BodyTruncatedError, Exchange
from tests.net.server.serving import PATIENCE, happened, serving
from tests.raw_client import raw_client

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\nx"


@pytest.mark.parametrize("way", ["closes", "sends-no-more"])
async def test_whoever_serves_can_wait_for_the_client_to_hang_up(way: str) -> None:
    begun, over = asyncio.Event(), asyncio.Event()

    async def wait(exchange: Exchange) -> None:
        begun.set()
        await asyncio.shield(exchange.disconnected)
        over.set()

    async with serving(wait, cancels=False) as server, raw_client(server.port) as client:
        await client.send(GET)
        await happened(begun)
        assert not over.is_set()
        if way == "closes":
            client.writer.close()
        else:
            client.writer.write_eof()
        await happened(over)


async def test_who_reads_a_body_that_is_discarded_is_told_that_this_is_the_end() -> None:
    pieces: asyncio.Queue[bytes] = asyncio.Queue()

    async def discard(exchange: Exchange) -> None:
        async with asyncio.TaskGroup() as group:
            pieces.put_nowait(await exchange.body.read())
            reading = group.create_task(exchange.body.read())
            await asyncio.sleep(0)
            exchange.body.discard()
            pieces.put_nowait(await reading)
        exchange.respond(413, [], b"")

    async with serving(discard, cancels=False) as server, raw_client(server.port) as client:
        await client.send(POST)
        assert await pieces.get() == b"x"
        assert await pieces.get() == b""
        assert (await client.head()).status == 413


async def test_a_discarded_body_is_not_kept_while_its_end_is_waited_for() -> None:
    waiting: list[int] = []

    async def drop(exchange: Exchange) -> None:
        await exchange.body.drop()
        waiting.append(exchange.body.waiting)
        exchange.respond(200, [], b"")

    async with serving(drop, cancels=False) as server, raw_client(server.port) as client:
        await client.send(POST + bytes(4_999_999))
        assert (await client.head()).status == 200
        assert waiting == [0]


async def test_dropping_a_body_tells_that_its_end_is_missing() -> None:
    truncated = asyncio.Event()

    async def drop(exchange: Exchange) -> None:
        with pytest.raises(BodyTruncatedError):
            await exchange.body.drop()
        truncated.set()

    async with asyncio.timeout(PATIENCE), serving(drop, cancels=False) as server, raw_client(server.port) as client:
        await client.send(POST)
        client.writer.write_eof()
        await happened(truncated)
