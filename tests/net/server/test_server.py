"""The server as a whole: how many connections it takes, and how it ends."""

from __future__ import annotations

import asyncio
import socket
from contextlib import AsyncExitStack

import pytest

from adapter.net.address import listen
from adapter.net.server import Exchange, HttpServer, Limits
from adapter.net.server.server import MAX_REJECTED
from tests.net.server.serving import Recorder, happened, serving
from tests.raw_client import PATIENCE, RawClient, ask, raw_client

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
STREAM = b"GET /stream HTTP/1.1\r\nHost: a\r\n\r\n"


async def send_for_ever(client: RawClient) -> None:
    while True:
        await client.send(b"x" * 100_000)


async def accepted(server: HttpServer, count: int) -> None:
    for _ in range(10):
        await asyncio.sleep(0)
    assert len(server.waiting) == count


class Streams:
    """A ``serve`` whose answers to ``/stream`` go on until ``go_on``; all others are short."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()

    async def __call__(self, exchange: Exchange) -> None:
        if exchange.target == "/stream":
            exchange.begin(200, [])
            await self.go_on.wait()
            exchange.end()
        else:
            exchange.respond(200, [], b"ok")


async def begin_stream(client: RawClient) -> None:
    await client.send(STREAM)
    assert (await client.head()).status == 200


async def test_connections_beyond_the_limit_get_503_and_are_served_later() -> None:
    serve = Streams()
    async with serving(serve, limits=Limits(connections=2)) as running:
        async with raw_client(running.port) as one, raw_client(running.port) as two:
            await begin_stream(one)
            await begin_stream(two)
            async with raw_client(running.port) as three:
                await three.send(GET)
                answer = await three.answer()
                assert (answer.status, answer.headers["retry-after"], answer.headers["connection"]) == (
                    503,
                    "1",
                    "close",
                )
                assert await three.rest() == b""
            serve.go_on.set()
            assert await one.chunk() == b""
            await one.trailers()
            await one.send(GET)
            assert (await one.answer()).status == 200
        await asyncio.wait_for(running.server.wait_until_drained(), PATIENCE)
        assert (await ask(running.port, GET)).status == 200


@pytest.mark.parametrize(
    "idle",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"GET / HTTP/1.1\r\nHo", id="half-a-head"),
        pytest.param(GET, id="a-kept-connection"),
    ],
)
async def test_at_the_limit_the_connection_that_has_waited_for_longest_makes_room(idle: bytes) -> None:
    serve = Streams()
    async with serving(serve, limits=Limits(connections=3)) as running, AsyncExitStack() as stack:
        busy, first, second = [await stack.enter_async_context(raw_client(running.port)) for _ in range(3)]
        await begin_stream(busy)
        for client in (first, second):
            await client.send(idle)
            if idle == GET:
                await client.answer()
        third = await stack.enter_async_context(raw_client(running.port))
        await third.send(GET)
        assert (await third.answer()).status == 200
        assert await first.reader.read() == b""
        await second.send(GET[len(idle) :] if idle != GET else GET)
        assert (await second.answer()).status == 200
        serve.go_on.set()
        assert await busy.chunk() == b""


async def test_a_rejected_connection_cannot_stay() -> None:
    limits = Limits(connections=1, linger_timeout=0.05)
    async with serving(Streams(), limits=limits) as running, raw_client(running.port) as one:
        await begin_stream(one)
        async with raw_client(running.port) as two:
            await two.send(b"x" * 100_000)
            assert (await two.answer()).status == 503
            with pytest.raises(ConnectionError):
                await send_for_ever(two)


async def test_few_rejected_connections_may_linger() -> None:
    async with serving(Streams(), limits=Limits(connections=1)) as running, AsyncExitStack() as stack:
        one = await stack.enter_async_context(raw_client(running.port))
        await begin_stream(one)
        refused = []
        for _ in range(MAX_REJECTED + 1):
            refused.append(await stack.enter_async_context(raw_client(running.port)))
            assert (await refused[-1].answer()).status == 503
        # Sending to a connection that is closed both ways is answered with a reset.
        with pytest.raises(ConnectionError):
            await send_for_ever(refused[0])
        await refused[1].send(b"still there")


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
        drained = asyncio.create_task(running.server.wait_until_drained())
        go_on.set()
        answer = await busy.answer()
        assert (answer.body, answer.headers["connection"]) == (b"done", "close")
        assert await busy.rest() == b""
        await asyncio.wait_for(drained, PATIENCE)


async def test_close_serves_a_new_connection_whose_request_is_still_on_its_way() -> None:
    async with serving(Recorder()) as running, raw_client(running.port) as late, raw_client(running.port) as begun:
        await begun.send(GET[:5])
        await accepted(running.server, 2)
        running.server.close()
        await begun.send(GET[5:])
        await late.send(GET)
        for client in (late, begun):
            answer = await client.answer()
            assert (answer.status, answer.headers["connection"]) == (200, "close")
            assert await client.rest() == b""


async def test_after_close_a_connection_without_a_request_does_not_stay() -> None:
    limits = Limits(late_request_timeout=0.05)
    async with serving(Recorder(), limits=limits) as running:
        async with raw_client(running.port) as silent, raw_client(running.port) as slow:
            await slow.send(GET[:5])
            await accepted(running.server, 2)
            running.server.close()
            assert await silent.rest() == b""
            assert (await slow.answer()).status == 408
        await asyncio.wait_for(running.server.wait_until_drained(), PATIENCE)


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("count", [2, 40])
async def test_close_gently_serves_connections_that_only_the_system_has_accepted(count: int, turns: int) -> None:
    async with serving(Recorder()) as running:
        # Without a turn of the loop, the server cannot have accepted them.
        clients = [socket.create_connection(("127.0.0.1", running.port)) for _ in range(count)]
        for client in clients:
            client.sendall(GET)
        for _ in range(turns):
            await asyncio.sleep(0)
        await running.server.close_gently()
        await asyncio.wait_for(running.server.wait_until_drained(), PATIENCE)
        for client in clients:
            with client:
                client.setblocking(False)
                assert client.recv(100).startswith(b"HTTP/1.1 200 OK")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", running.port))


async def test_while_the_server_winds_down_each_response_ends_its_connection() -> None:
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
        running.server.wind_down()
        go_on.set()
        await idle.send(GET)
        async with raw_client(running.port) as new:
            await new.send(GET)
            for client in (idle, busy, new):
                assert (await client.answer()).headers["connection"] == "close"
                assert await client.rest() == b""


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


async def test_abort_can_cancel_what_is_served_without_regard_to_its_client() -> None:
    asked, gone = asyncio.Event(), asyncio.Event()
    cancelled: list[str] = []

    async def serve(exchange: Exchange) -> None:
        asked.set()
        try:
            await asyncio.shield(exchange.disconnected)
            gone.set()
            await asyncio.Event().wait()
        finally:
            cancelled.append(exchange.target)

    async with serving(serve, cancels=False) as running, raw_client(running.port) as stays:
        async with raw_client(running.port) as leaves:
            await leaves.send(b"GET /leaves HTTP/1.1\r\nHost: a\r\n\r\n")
            await happened(asked)
            leaves.leave()
            await happened(gone)
        asked.clear()
        await stays.send(b"GET /stays HTTP/1.1\r\nHost: a\r\n\r\n")
        await happened(asked)
        running.server.abort()
        await asyncio.sleep(0.05)
        assert not cancelled
        running.server.abort(cancel=True)
    assert sorted(cancelled) == ["/leaves", "/stays"]


def test_listening_twice_on_a_port_is_an_error() -> None:
    with listen("127.0.0.1", 0) as first, pytest.raises(OSError, match="in use"):
        listen("127.0.0.1", first.getsockname()[1])


def test_an_ipv6_address_is_listened_on() -> None:
    with listen("::1", 0) as listener:
        assert listener.getsockname()[0] == "::1"


async def test_a_fault_costs_one_connection_and_is_reported() -> None:
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
