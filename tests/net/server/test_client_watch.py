"""Clients that stall, and clients that disconnect while their socket is not read."""

from __future__ import annotations

import asyncio

import pytest

from adapter.net.server import ClientStalledError, Exchange, Limits
from tests.net.server.serving import happened, serving
from tests.raw_client import raw_client

PATIENCE = 10.0
# Seconds: short beside the tests' patience, long beside what a busy machine needs for one turn.
TIMEOUT = 0.2
UPLOAD = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10000000\r\n\r\n"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


class Outcome:
    """What an exchange ended with."""

    def __init__(self) -> None:
        self.error: BaseException | None = None
        self.ended = asyncio.Event()

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> bool:
        self.error = error
        self.ended.set()
        return isinstance(error, ConnectionError)


async def test_a_client_that_receives_nothing_is_given_up() -> None:
    outcome = Outcome()

    async def serve(exchange: Exchange) -> None:
        with outcome:
            exchange.begin(200, [])
            while True:
                await exchange.write((b"x" * 100_000,))

    async with (
        serving(serve, limits=Limits(client_timeout=TIMEOUT)) as running,
        raw_client(running.port, receive_buffer=16384) as client,
    ):
        await client.send(GET)
        await happened(outcome.ended)
    assert isinstance(outcome.error, ClientStalledError)


async def test_a_client_that_receives_a_little_now_and_then_is_waited_for() -> None:
    outcome = Outcome()
    size = 8 * 2**20

    async def serve(exchange: Exchange) -> None:
        with outcome:
            exchange.begin(200, [], length=size)
            await exchange.write((b"x" * size,))
            exchange.end()

    async with (
        serving(serve, limits=Limits(client_timeout=TIMEOUT)) as running,
        raw_client(running.port, receive_buffer=16384) as client,
    ):
        await client.send(GET)
        await client.head()
        # Far too little for the socket to become writable again: only the kernel knows of it.
        for _ in range(8):
            await client.exactly(16384)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(outcome.ended.wait(), TIMEOUT / 2)
        assert len(await client.exactly(size - 8 * 16384)) == size - 8 * 16384
        await happened(outcome.ended)
    assert outcome.error is None


async def test_a_body_that_stays_away_is_given_up_and_one_that_drips_is_not() -> None:
    outcome = Outcome()
    received = 0

    async def serve(exchange: Exchange) -> None:
        nonlocal received
        with outcome:
            while piece := await exchange.body.read():
                received += len(piece)

    async with serving(serve, limits=Limits(client_timeout=TIMEOUT)) as running, raw_client(running.port) as client:
        await client.send(UPLOAD)
        for _ in range(6):
            await client.send(b"x")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(outcome.ended.wait(), TIMEOUT / 2)
        await happened(outcome.ended)
    assert (type(outcome.error), received) == (ClientStalledError, 6)


async def test_a_pause_of_serve_does_not_count_against_the_client() -> None:
    go_on = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        exchange.begin(200, [], pieces=(b"one",))
        await go_on.wait()
        await exchange.write((b"two",))
        exchange.end()

    async with serving(serve, limits=Limits(client_timeout=TIMEOUT)) as running, raw_client(running.port) as client:
        await client.send(GET)
        await client.head()
        assert await client.chunk() == b"one"
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(client.reader.read(1), 3 * TIMEOUT)
        go_on.set()
        assert await client.chunk() == b"two"
        assert await client.chunk() == b""


@pytest.mark.parametrize("how", ["reset", "close", "half-close"])
async def test_a_disconnect_is_noticed_while_the_body_is_left_unread(how: str) -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(UPLOAD)
        await happened(asked)
        # More than is buffered without a reader, so the socket is left unread; little enough for its end to come soon.
        client.writer.write(b"x" * 300_000)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(cancelled.wait(), 0.05)
        if how == "reset":
            client.leave()
        elif how == "close":
            client.writer.close()
        else:
            client.half_close()
        await asyncio.wait_for(cancelled.wait(), 1.0)


async def test_a_response_that_is_at_hand_is_sent_although_the_end_of_the_body_is_left_unread() -> None:
    asked, go_on = asyncio.Event(), asyncio.Event()
    checks = 0

    def is_at_hand() -> bool:
        nonlocal checks
        checks += 1
        if checks == 2:
            go_on.set()
        return True

    async def serve(exchange: Exchange) -> None:
        exchange.is_response_at_hand = is_at_hand
        asked.set()
        await go_on.wait()
        exchange.respond(200, [], b"early")

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(UPLOAD)
        await happened(asked)
        client.writer.write(b"x" * 300_000)
        client.half_close()
        answer = await client.answer()
    assert (answer.status, answer.body) == (200, b"early")
