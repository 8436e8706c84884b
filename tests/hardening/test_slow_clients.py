"""Clients that hold connections for nothing: slow heads, stalled bodies and readers, and more of them than places."""

from __future__ import annotations

import asyncio
import resource
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from time import monotonic

import pytest

from tests.hardening import figures
from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import CHUNKED, GET, get
from tests.raw_client import RawAnswer, RawClient, ask, raw_client
from tests.scripted_app import PATIENCE, Received, ScriptedApp, response
from tests.supervision.supervised import Supervisor, descriptors_of

SLOW = 1000
LIMIT_MS = 100.0
REQUESTS = 20
# Room for 96 clients: see adapter/descriptors.py.
DESCRIPTORS = 256
ROOM = 96
# Seconds.
CLIENT_TIMEOUT = "0.3"
SLOWEST_END = 1.0
LARGE = bytes(96 * 1024)


@pytest.fixture(autouse=True)
def many_descriptors() -> Iterator[None]:
    """Allow the test to open a thousand connections."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def slow_clients(port: int, count: int, sent: bytes) -> AsyncIterator[list[RawClient]]:
    async with AsyncExitStack() as stack:
        # All at once: more than are accepted in one go.
        clients = await asyncio.gather(*(stack.enter_async_context(raw_client(port)) for _ in range(count)))
        for client in clients:
            client.writer.write(sent)
        yield clients


async def slowest_request(port: int) -> float:
    """Return the longest that a normal request, on a connection of its own, takes among REQUESTS; in milliseconds."""
    slowest = 0.0
    for _ in range(REQUESTS):
        began = monotonic()
        answer = await ask(port, GET)
        slowest = max(slowest, (monotonic() - began) * 1000)
        assert (answer.status, answer.body) == (200, b"ok")
    return slowest


@contextmanager
def few_descriptors(app: ScriptedApp) -> Iterator[tuple[Supervisor, int]]:
    """Yield a proxy that may have DESCRIPTORS descriptors, and its port."""
    with Supervisor("--app-port", str(app.port), command=[], begin=f"ulimit -n {DESCRIPTORS};") as supervisor:
        supervisor.wait_until_ready()
        yield supervisor, supervisor.port()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"", id="silent"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX-Slow: ", id="half-a-head"),
    ],
)
async def test_a_thousand_slow_clients_slow_nobody_else_down(sent: bytes) -> None:
    with ScriptedApp() as app, ProxyProcess(app_port=app.port) as proxy:
        async with slow_clients(proxy.port, SLOW, sent):
            slowest = await slowest_request(proxy.port)
    assert slowest < LIMIT_MS
    figures.show(f"{SLOW} slow-loris sockets", f"a normal request at most {slowest:.1f} ms")


async def test_where_descriptors_are_short_slow_clients_make_room_and_nothing_is_left_of_them() -> None:
    with ScriptedApp() as app, few_descriptors(app) as (supervisor, port):
        before = descriptors_of(supervisor.pid)
        async with slow_clients(port, SLOW, b"GET / HTTP/1.1\r\nX-Slow: ") as clients:
            slowest = await slowest_request(port)
            # The last ones are connected, the first ones had to go.
            assert await clients[0].rest() == b""
            await clients[-1].send(b"\r\nHost: a\r\n\r\n")
            assert (await clients[-1].answer()).status == 200
            assert descriptors_of(supervisor.pid) <= DESCRIPTORS - 32
        after = await slowest_request(port)
        # Each request is a turn of the proxy's loop, in which it learns of the ends.
        give_up = monotonic() + PATIENCE
        while descriptors_of(supervisor.pid) > before + 1:
            assert monotonic() < give_up, (before, descriptors_of(supervisor.pid))
            await ask(port, GET)
        assert "out of system resource" not in supervisor.log()
    assert max(slowest, after) < LIMIT_MS
    figures.show(
        "descriptors exhausted",
        f"a normal request at most {slowest:.1f} ms beside {SLOW} slow clients in {ROOM} places, {after:.1f} ms after",
    )


async def test_where_every_place_is_taken_by_a_request_others_are_refused_until_one_is_free() -> None:
    go_on = threading.Event()

    def streams(received: Received) -> None:
        received.send(CHUNKED)
        go_on.wait(PATIENCE)
        received.send(b"0\r\n\r\n")

    with ScriptedApp() as app, few_descriptors(app) as (supervisor, port):
        app.replies["/stream"] = streams
        async with slow_clients(port, ROOM, get("/stream")) as clients:
            for client in clients:
                assert (await client.head()).status == 200
            refused: list[RawAnswer] = [await ask(port, GET) for _ in range(REQUESTS)]
            assert {answer.status for answer in refused} == {503}
            assert {answer.headers["retry-after"] for answer in refused} == {"1"}
            go_on.set()
            for client in clients:
                assert await client.chunk() == b""
            await slowest_request(port)
        assert "out of system resource" not in supervisor.log()


class Stalling:
    """An app whose ``/stream`` and ``/upload`` tell when the other end was gone."""

    def __init__(self, app: ScriptedApp) -> None:
        self.ended = threading.Event()
        app.replies |= {
            "/stream": self._streams,
            "/upload": self._uploads,
            "/pauses": self._pauses,
            "/large": response(LARGE),
        }

    def _streams(self, received: Received) -> None:
        try:
            received.send(CHUNKED)
            while True:
                received.send(b"10000\r\n" + bytes(65536) + b"\r\n")
        except ConnectionError:
            self.ended.set()

    def _uploads(self, received: Received) -> None:
        while received.receive():
            pass
        self.ended.set()

    def _pauses(self, received: Received) -> None:
        """Server-sent events: silent for longer than a client may be."""
        received.send(CHUNKED + b"3\r\none\r\n")
        self.ended.wait(3 * float(CLIENT_TIMEOUT))
        received.send(b"3\r\ntwo\r\n0\r\n\r\n")

    async def seconds_until_ended(self) -> float:
        began = monotonic()
        assert await asyncio.to_thread(self.ended.wait, PATIENCE)
        return monotonic() - began


@contextmanager
def impatient(*flags: str) -> Iterator[tuple[ProxyProcess, Stalling]]:
    """Yield a proxy that gives clients CLIENT_TIMEOUT, and its app."""
    with ScriptedApp() as app:
        flags = ("--client-timeout", CLIENT_TIMEOUT, *(flags or ("--bandwidth", "unlimited")))
        with ProxyProcess(*flags, app_port=app.port) as proxy:
            yield proxy, Stalling(app)


async def test_a_client_that_stops_reading_does_not_hold_the_app() -> None:
    with impatient() as (proxy, stalling):
        async with raw_client(proxy.port, receive_buffer=65536) as client:
            await client.send(get("/stream"))
            await client.head()
            assert await stalling.seconds_until_ended() < SLOWEST_END
        line = proxy.wait_for_line("/stream")
    reason = "the client made no progress for 0.3 s; --client-timeout sets this limit"
    assert f'error="client stalled" reason="{reason}"' in line


async def test_a_client_that_stops_sending_its_body_is_told_so_and_does_not_hold_the_app() -> None:
    with impatient() as (proxy, stalling):
        async with raw_client(proxy.port) as client:
            await client.send(get("/upload", "Content-Length: 1000", method="POST") + b"begun")
            assert await stalling.seconds_until_ended() < SLOWEST_END
            answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (408, "close")
        assert "the client made no progress for 0.3 s" in proxy.wait_for_line("/upload")


async def test_neither_a_silent_app_nor_the_throttle_is_held_against_the_client() -> None:
    # What is beyond the burst takes two seconds.
    with impatient("--bandwidth", f"{32 * 1024}+{32 * 1024}") as (proxy, _):
        for path, body in (("/pauses", b"onetwo"), ("/large", LARGE)):
            async with raw_client(proxy.port) as client:
                await client.send(get(path))
                answer = await client.answer()
            assert (answer.body, answer.is_cut) == (body, False)
    figures.show("stalled clients", f"given up after {CLIENT_TIMEOUT} to {2 * float(CLIENT_TIMEOUT):g} s, 0 wrongly")
