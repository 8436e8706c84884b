"""A client that disconnects while its request is served, and a body that is thrown away."""

from __future__ import annotations

import asyncio
import logging
import socket

import pytest

from adapter.net.server import Exchange
from tests.net.server.serving import happened, serving
from tests.raw_client import raw_client

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\nx"


@pytest.mark.parametrize("way", ["closes", "sends-no-more"])
async def test_serve_can_wait_for_the_client_to_disconnect(way: str) -> None:
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


async def test_discarding_a_body_ends_a_read_of_it() -> None:
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


async def test_the_rest_of_an_unwanted_body_is_thrown_away() -> None:
    exchanges: list[Exchange] = []

    async def serve(exchange: Exchange) -> None:
        exchanges.append(exchange)
        exchange.respond(413, [], b"")

    async with serving(serve, cancels=False) as server, raw_client(server.port) as client:
        await client.send(POST)
        assert (await client.answer()).status == 413
        await client.send(bytes(4_999_999))
        assert await client.rest() == b""
        await asyncio.wait_for(server.server.wait_until_drained(), 1.0)
    assert exchanges[0].body.unread_bytes == 0


async def test_nothing_is_logged_about_the_answers_to_a_client_that_has_gone(caplog: pytest.LogCaptureFixture) -> None:
    asked = asyncio.Event()

    async def answer(exchange: Exchange) -> None:
        asked.set()
        exchange.respond(200, [], b"ok")

    async with serving(answer) as running:
        with socket.create_connection(("127.0.0.1", running.port)) as client, caplog.at_level(logging.WARNING):
            client.sendall(GET * 30)
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        await happened(asked)
        await asyncio.wait_for(running.server.wait_until_drained(), 1.0)
    assert caplog.records == []
