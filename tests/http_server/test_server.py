"""The server as a whole: how many connections it takes, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from adapter.http_server import Exchange, Limits, listen
from tests.http_server.serving import Recorder, happened, serving
from tests.raw_client import PATIENCE, RawClient, ask, raw_client

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


async def send_for_ever(client: RawClient) -> None:
    while True:
        await client.send(b"x" * 100_000)


async def test_connections_beyond_the_cap_are_told_so_and_served_later() -> None:
    recorder = Recorder()
    async with serving(recorder, limits=Limits(connections=2)) as running:
        async with raw_client(running.port) as one, raw_client(running.port) as two:
            for client in (one, two):
                await client.send(GET)
                assert (await client.answer()).status == 200
            async with raw_client(running.port) as three:
                await three.send(GET)
                answer = await three.answer()
                assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (
                    503,
                    "1",
                    "close",
                )
                assert await three.rest() == b""
            await one.send(GET)
            assert (await one.answer()).status == 200
        await asyncio.wait_for(running.server.drained(), PATIENCE)
        assert (await ask(running.port, GET)).status == 200
    assert len(recorder.exchanges) == 4


async def test_one_that_is_turned_away_cannot_stay() -> None:
    limits = Limits(connections=1, linger_timeout=0.05)
    async with serving(Recorder(), limits=limits) as running, raw_client(running.port) as one:
        await one.send(GET)
        await one.answer()
        async with raw_client(running.port) as two:
            await two.send(b"x" * 100_000)
            assert (await two.answer()).status == 503
            with pytest.raises(ConnectionError):
                await send_for_ever(two)


async def test_close_ends_what_is_idle_and_lets_the_rest_finish() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        if exchange.target == "/slow":
            asked.set()
            await go_on.wait()
        exchange.respond(200, [], b"done")

    async with serving(serve) as running, raw_client(running.port) as idle, raw_client(running.port) as busy:
        await idle.send(GET)
        assert (await idle.answer()).headers.get("connection") is None
        await busy.send(b"GET /slow HTTP/1.1\r\nHost: a\r\n\r\n")
        await happened(asked)
        running.server.close()
        assert await idle.rest() == b""
        with pytest.raises(ConnectionRefusedError):
            async with raw_client(running.port):
                pass
        drained = asyncio.create_task(running.server.drained())
        go_on.set()
        answer = await busy.answer()
        assert (answer.body, answer.headers["connection"]) == (b"done", "close")
        assert await busy.rest() == b""
        await asyncio.wait_for(drained, PATIENCE)


async def test_abort_ends_what_is_under_way() -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        exchange.begin(200, [], pieces=(b"part",))
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(GET)
        await happened(asked)
        running.server.abort()
        await happened(cancelled)
        assert (await client.answer()).is_cut


def test_listening_twice_on_a_port_is_an_error() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", first.getsockname()[1])


def test_an_ipv6_address_is_listened_on() -> None:
    with listen("::1", 0) as listener:
        assert listener.getsockname()[0] == "::1"


async def test_a_fault_costs_one_connection_and_is_told() -> None:
    faults: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: faults.append(context["exception"]))
    fault = RuntimeError("unforeseen")

    async def serve(exchange: Exchange) -> None:
        if exchange.target == "/fault":
            raise fault
        exchange.respond(200, [], b"ok")

    async with serving(serve) as running:
        async with raw_client(running.port) as client:
            await client.send(b"GET /fault HTTP/1.1\r\nHost: a\r\n\r\n")
            assert await client.rest() == b""
        assert (await ask(running.port, GET)).status == 200
    assert faults == [fault]
