"""Clients that stall and clients that go away while nobody reads from them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import cast

import pytest

from adapter.net.server import ClientStalledError, Exchange, Limits
from adapter.net.server.client_watch import Deadline
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


async def test_a_client_that_takes_nothing_is_given_up() -> None:
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


async def test_a_client_that_takes_a_little_now_and_then_is_waited_for() -> None:
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


async def test_silence_of_whoever_serves_is_not_held_against_the_client() -> None:
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
async def test_a_client_that_goes_away_is_noticed_while_its_body_is_left_unread(how: str) -> None:
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
        # More than is read for nobody, so the socket is left alone; little enough for the end to follow at once.
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


class Timer:
    """What a loop's ``call_at`` gives."""

    def __init__(self, when: float, look: Callable[[], None]) -> None:
        self.look = look
        self.cancelled = False
        self._when = when

    def when(self) -> float:
        return self._when

    def cancel(self) -> None:
        self.cancelled = True


class Clock:
    """The loop's time, which passes when it is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.timers: list[Timer] = []

    def time(self) -> float:
        return self.now

    def call_at(self, when: float, look: Callable[[], None]) -> Timer:
        self.timers.append(Timer(when, look))
        return self.timers[-1]

    def pass_to(self, now: float) -> None:
        while due := [timer for timer in self.timers if timer.when() <= now and not timer.cancelled]:
            self.now = max(self.now, due[0].when())
            self.timers.remove(due[0])
            due[0].look()
        self.now = now


class Waiting:
    """A patience, its clock, and when it ended."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.ended: list[float] = []
        loop = cast(asyncio.AbstractEventLoop, self.clock)
        self.patience = Deadline(loop, lambda: self.ended.append(self.clock.now))


def test_patience_ends_at_its_limit_and_once() -> None:
    waiting = Waiting()
    waiting.patience.limit(5.0)
    waiting.clock.pass_to(104.9)
    assert not waiting.ended
    waiting.clock.pass_to(200.0)
    assert waiting.ended == [105.0]
    assert not waiting.patience.is_limited


def test_a_limit_that_is_put_off_again_and_again_takes_one_timer() -> None:
    waiting = Waiting()
    for second in range(20):
        waiting.clock.pass_to(100.0 + second)
        waiting.patience.limit(30.0)
    assert len(waiting.clock.timers) == 1
    waiting.clock.pass_to(200.0)
    assert waiting.ended == [149.0]


def test_a_nearer_limit_counts() -> None:
    waiting = Waiting()
    waiting.patience.limit(75.0)
    waiting.patience.limit(5.0)
    waiting.clock.pass_to(200.0)
    assert waiting.ended == [105.0]


@pytest.mark.parametrize("stop", [pytest.param(True, id="stopped"), pytest.param(False, id="without-a-limit")])
def test_patience_without_a_limit_does_not_end(stop: bool) -> None:
    waiting = Waiting()
    waiting.patience.limit(5.0)
    if stop:
        waiting.patience.stop()
        assert not [timer for timer in waiting.clock.timers if not timer.cancelled]
    else:
        waiting.patience.limit(None)
    assert not waiting.patience.is_limited
    waiting.clock.pass_to(200.0)
    assert not waiting.ended
    waiting.patience.limit(5.0)
    waiting.clock.pass_to(300.0)
    assert waiting.ended == [205.0]
