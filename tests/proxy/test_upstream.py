"""Connections to the app: their reuse, their flow control, and their end."""

from __future__ import annotations

import asyncio
import threading

import pytest

from adapter.config.load import load
from adapter.config.ports import app_address
from adapter.errors import AppUnreachable, TruncatedResponse
from adapter.proxy.upstream import READ_HIGH_WATER, READ_LOW_WATER, Upstream, UpstreamConnection
from tests.scripted_app import PATIENCE, Received, ScriptedApp, response

REQUEST = b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n"


def upstream(app: ScriptedApp, **settings: str) -> Upstream:
    config = load({}, settings)
    return Upstream(config, app_address(config, app.port))


async def fetch(connection: UpstreamConnection) -> bytes:
    connection.begin("GET", REQUEST)
    connection.end_request()
    await connection.next_head()
    body = b""
    while pieces := await connection.read():
        body += b"".join(pieces)
    return body


async def test_a_connection_is_used_again_at_once() -> None:
    with ScriptedApp() as app:
        pool = upstream(app)
        for _ in range(3):
            connection = await pool.acquire()
            assert await fetch(connection) == b"ok"
            pool.release(connection)
        pool.close()
        assert {received.connection for received in app.requests} == {1}


@pytest.mark.parametrize(
    "reply",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok", id="closed-by-the-app"),
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore", id="more-than-the-response"),
    ],
)
async def test_a_connection_that_may_not_be_used_again_is_closed(reply: bytes) -> None:
    with ScriptedApp(default=reply) as app:
        pool = upstream(app)
        for _ in range(2):
            connection = await pool.acquire()
            assert await fetch(connection) == b"ok"
            pool.release(connection)
        assert [received.connection for received in app.requests] == [1, 2]


async def test_a_connection_with_half_a_request_on_it_is_closed() -> None:
    with ScriptedApp() as app:
        pool = upstream(app)
        connection = await pool.acquire()
        connection.begin("GET", REQUEST)
        await connection.next_head()
        while await connection.read():
            pass
        pool.release(connection)
        second = await pool.acquire()
        assert second is not connection
        second.close()


async def test_idle_connections_are_closed_after_the_idle_timeout() -> None:
    ended = threading.Semaphore(0)

    def reply(received: Received) -> None:
        received.send(response(b"ok"))
        received.wait_for_hang_up()
        ended.release()

    with ScriptedApp(default=reply) as app:
        pool = upstream(app, app_idle_timeout="0.02")
        connections = [await pool.acquire() for _ in range(3)]
        for connection in connections:
            await fetch(connection)
        for connection in connections:
            pool.release(connection)
        for _ in connections:
            assert await asyncio.to_thread(ended.acquire, timeout=PATIENCE)


async def test_an_idle_timeout_of_zero_means_a_connection_for_each_request() -> None:
    with ScriptedApp() as app:
        pool = upstream(app, app_idle_timeout="0")
        for _ in range(2):
            connection = await pool.acquire()
            await fetch(connection)
            pool.release(connection)
        assert [received.connection for received in app.requests] == [1, 2]


async def test_a_fin_that_the_loop_has_not_seen_yet_is_noticed() -> None:
    answered, closed = threading.Event(), threading.Event()

    def reply(received: Received) -> None:
        received.send(response(b"ok"))
        assert answered.wait(PATIENCE)
        received.hang_up()
        closed.set()

    with ScriptedApp(default=reply) as app:
        pool = upstream(app)
        connection = await pool.acquire()
        await fetch(connection)
        pool.release(connection)
        answered.set()
        # Blocks the loop on purpose: it cannot process the FIN before it is asked for a connection.
        assert closed.wait(PATIENCE)
        again = await pool.acquire()
        assert again is not connection
        again.close()


async def test_a_response_that_is_not_read_is_left_in_the_socket() -> None:
    total = 30_000_000
    with ScriptedApp(default=response(b"x" * total)) as app:
        pool = upstream(app)
        connection = await pool.acquire()
        connection.begin("GET", REQUEST)
        await connection.next_head()
        for _ in range(500):
            await asyncio.sleep(0)
        taken = [sum(map(len, connection.read_available()))]
        assert READ_HIGH_WATER < taken[0] <= 2 * READ_HIGH_WATER
        while pieces := await connection.read():
            taken.append(sum(map(len, pieces)))
        assert sum(taken) == total
        assert max(taken) <= 2 * READ_HIGH_WATER
        connection.close()


@pytest.mark.parametrize("was_held", [False, True], ids=["through-the-loop", "at-once"])
@pytest.mark.parametrize("is_chunked", [False, True], ids=["length", "chunks"])
async def test_a_limited_response_is_read_no_further_ahead_than_the_limit(was_held: bool, is_chunked: bool) -> None:
    total = 2_000_000
    body = b"x" * total
    reply = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (total, body)
        if is_chunked
        else response(body)
    )
    with ScriptedApp(default=reply) as app:
        pool = upstream(app)
        connection = await pool.acquire()
        connection.begin("GET", REQUEST)
        connection.end_request()
        connection.limit_read_ahead(0, was_held=False)
        await connection.next_head()
        for _ in range(500):
            # The loop could read ahead in all this time.
            await asyncio.sleep(0)
        taken = [sum(map(len, connection.read_available()))]
        while pieces := await connection.read():
            taken.append(sum(map(len, pieces)))
            connection.limit_read_ahead(0, was_held=was_held)
            for _ in range(3):
                await asyncio.sleep(0)
        assert sum(taken) == total
        assert max(taken) <= 2 * READ_LOW_WATER
        # The next response on the connection is read by the loop again.
        pool.release(connection)
        again = await pool.acquire()
        assert again is connection
        app.default = response(b"ok")
        assert await fetch(again) == b"ok"
        pool.close()


async def test_the_error_of_a_limited_response_comes_after_the_bytes_before_it() -> None:
    def reply(received: Received) -> None:
        received.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100001\r\n\r\n" + b"x" * 100_000)
        received.hang_up()

    with ScriptedApp(default=reply) as app:
        connection = await upstream(app).acquire()
        connection.begin("GET", REQUEST)
        connection.limit_read_ahead(0, was_held=False)
        await connection.next_head()
        taken = 0
        while taken < 100_000:
            connection.limit_read_ahead(0, was_held=True)
            taken += sum(map(len, await connection.read()))
        with pytest.raises(TruncatedResponse, match="1 bytes too early"):
            await connection.read()


async def test_a_writer_waits_for_an_app_that_does_not_read() -> None:
    go = threading.Event()

    def reply(received: Received) -> None:
        assert go.wait(PATIENCE)
        received.read_body()
        received.send(response(b"ok"))

    with ScriptedApp(default=reply) as app:
        connection = await upstream(app).acquire()
        connection.begin("POST", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 30000000\r\n\r\n")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                assert await connection.write(b"x" * 30_000_000)
        go.set()
        assert (await connection.next_head()).status == 200
        connection.close()


async def test_write_returns_false_when_the_app_takes_no_more() -> None:
    def reply(received: Received) -> None:
        received.send(response(b"no"))
        received.hang_up()

    with ScriptedApp(default=reply) as app:
        connection = await upstream(app).acquire()
        connection.begin("POST", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99\r\n\r\n")
        await connection.next_head()
        while await connection.read():
            pass
        async with asyncio.timeout(PATIENCE):
            while await connection.write(b"x" * 65536):
                pass


@pytest.mark.parametrize(
    ("sent", "error", "message"),
    [
        pytest.param(b"", AppUnreachable, "before it answered", id="before-the-head"),
        pytest.param(b"HTTP/1.1 200 OK\r\n", AppUnreachable, "before it answered", id="in-the-head"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nx", TruncatedResponse, "2 bytes too early", id="in-the-body"
        ),
    ],
)
async def test_the_error_of_an_early_end_depends_on_what_has_arrived(
    sent: bytes, error: type[Exception], message: str
) -> None:
    def reply(received: Received) -> None:
        received.send(sent)
        received.hang_up()

    with ScriptedApp(default=reply) as app:
        connection = await upstream(app).acquire()
        with pytest.raises(error, match=message):
            await fetch(connection)


async def test_a_request_on_a_closed_connection_fails() -> None:
    with ScriptedApp() as app:
        connection = await upstream(app).acquire()
        connection.close()
        await asyncio.sleep(0)
        with pytest.raises(AppUnreachable, match="before the request was sent"):
            await fetch(connection)


async def test_a_refused_connection_is_an_error_with_the_address() -> None:
    with ScriptedApp() as app:
        pool = upstream(app)
    with pytest.raises(AppUnreachable, match=rf"127\.0\.0\.1:{app.port} or \[::1\]:{app.port} cannot be reached"):
        await pool.acquire()


@pytest.mark.parametrize(
    ("host", "path", "text", "host_header"),
    [
        pytest.param("127.0.0.1", None, "127.0.0.1:8080", "127.0.0.1:8080", id="ipv4"),
        pytest.param("::1", None, "[::1]:8080", "[::1]:8080", id="ipv6"),
        pytest.param("127.0.0.1", "/run/app.sock", "unix:/run/app.sock", "localhost", id="socket"),
    ],
)
def test_the_address_is_shown_and_sent_as_a_host_header(
    host: str, path: str | None, text: str, host_header: str
) -> None:
    config = load({}, {"app_host": host})
    made = Upstream(config, app_address(config, 8080, path))
    assert (str(made.address), made.address.host_header) == (text, host_header)
