"""A reused connection that the app closes, and an app that refuses connections while it restarts."""

from __future__ import annotations

import asyncio
from time import monotonic

import pytest

from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import GET, error_of, get
from tests.raw_client import ask, raw_client
from tests.scripted_app import Received, Reply, ScriptedApp, response

IDEMPOTENT = ["GET", "HEAD", "OPTIONS", "TRACE", "PUT", "DELETE"]
OTHERS = ["POST", "PATCH"]
KEPT = 64 * 1024


def request_of(method: str, target: str, body: bytes) -> bytes:
    return get(target, f"Content-Length: {len(body)}", method=method) + body


def closing(how: str, first: bytes = b"", *, body: int | None = None) -> Reply:
    """Return a reply that sends ``first`` and closes, once ``body`` bytes of the body have arrived, or all of it."""

    def reply(received: Received) -> None:
        if body is None:
            received.read_body()
        else:
            received.read_some(body)
        received.send(first)
        received.headers["connection"] = "close"
        if how == "reset":
            received.reset_on_close()
        else:
            received.hang_up()

    return reply


def once(reply: Reply, app: ScriptedApp, path: str) -> None:
    """Let ``app`` answer the first request for ``path`` with ``reply``, and the next ones as usual."""

    def first(received: Received) -> None:
        app.replies.pop(path)
        assert not isinstance(reply, bytes)
        reply(received)

    app.replies[path] = first


@pytest.fixture(autouse=True)
async def reusable(app: ScriptedApp, proxy: int) -> None:
    """One idle connection to the app in the pool. The one that it may replace is closed."""
    app.replies["/close"] = response(b"", "Connection: close")
    assert (await ask(proxy, get("/close"))).status == 200
    assert (await ask(proxy, GET)).status == 200
    app.requests.clear()


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("method", IDEMPOTENT)
async def test_an_idempotent_request_is_sent_once_more_over_a_new_connection(
    app: ScriptedApp, proxy: int, method: str, how: str
) -> None:
    body = b"x" * KEPT if method == "PUT" else b""
    once(closing(how), app, "/x")
    answer = await ask(proxy, request_of(method, "/x", body), method=method)
    assert answer.status == 200
    assert [(received.method, received.body) for received in app.requests] == [(method, body)] * 2
    assert len({received.connection for received in app.requests}) == 2


async def test_a_body_that_has_arrived_only_in_part_is_sent_whole_the_second_time(app: ScriptedApp, proxy: int) -> None:
    once(closing("close", body=3), app, "/x")
    async with raw_client(proxy) as client:
        await client.send(get("/x", "Content-Length: 6", method="PUT") + b"one")
        await asyncio.to_thread(app.wait_for_request, 2)
        await client.send(b"two")
        assert (await client.answer()).status == 200
    assert [received.body for received in app.requests] == [b"one", b"onetwo"]


@pytest.mark.parametrize("method", OTHERS)
async def test_other_requests_get_a_new_connection_and_are_sent_once(app: ScriptedApp, proxy: int, method: str) -> None:
    used = (await asyncio.gather(ask(proxy, GET)), app.requests[0].connection)[1]
    app.replies["/x"] = closing("close")
    answer = await ask(proxy, request_of(method, "/x", b"x"))
    assert (answer.status, error_of(answer)) == (502, "Adapter.AppUnreachable")
    [received] = app.requests[1:]
    assert received.connection != used


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(request_of("PUT", "/x", b"x" * (KEPT + 1)), id="over-64-kb"),
        pytest.param(get("/x", "Transfer-Encoding: chunked", method="PUT") + b"1\r\nx\r\n0\r\n\r\n", id="unknown"),
    ],
)
async def test_a_body_that_is_not_kept_is_sent_over_a_new_connection(
    app: ScriptedApp, proxy: int, request_bytes: bytes
) -> None:
    assert (await ask(proxy, GET)).status == 200
    app.replies["/x"] = closing("close", body=1)
    assert (await ask(proxy, request_bytes)).status == 502
    assert [received.target for received in app.requests] == ["/", "/x"]
    assert app.requests[0].connection != app.requests[1].connection


@pytest.mark.parametrize("first", [b"H", b"HTTP/1.1 103 Early Hints\r\n\r\n"])
async def test_a_request_is_not_repeated_once_a_byte_of_a_response_has_arrived(
    app: ScriptedApp, proxy: int, first: bytes
) -> None:
    assert (await ask(proxy, GET)).status == 200
    app.replies["/x"] = closing("close", first)
    answer = await ask(proxy, get("/x"))
    assert answer.status == 502
    assert [received.target for received in app.requests] == ["/", "/x"]
    assert app.requests[0].connection == app.requests[1].connection


async def test_a_request_is_repeated_only_once(app: ScriptedApp, proxy: int) -> None:
    app.replies["/x"] = closing("close")
    assert (await ask(proxy, get("/x"))).status == 502
    assert len(app.requests) == 2
    # The pool is empty now, and a new connection is not tried again.
    assert (await ask(proxy, get("/x"))).status == 502
    assert len(app.requests) == 3


@pytest.mark.parametrize(
    ("reply", "reused"),
    [
        pytest.param(response(b"", status=499), True, id="4xx"),
        pytest.param(response(b"", status=500), False, id="500"),
        pytest.param(response(b"", status=503), False, id="503"),
        pytest.param(b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", False, id="http-1.0"),
        pytest.param(b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n", True, id="kept-1.0"),
    ],
)
async def test_a_connection_is_not_used_again_after_a_server_error(
    app: ScriptedApp, proxy: int, reply: bytes, reused: bool
) -> None:
    app.replies["/x"] = reply
    await ask(proxy, get("/x"))
    await ask(proxy, GET)
    first, second = app.requests
    assert (first.connection == second.connection) is reused


async def test_a_timeout_is_not_a_reason_to_repeat(app: ScriptedApp) -> None:
    with ProxyProcess("--request-timeout", "0.3", app_port=app.port) as proxy:
        await ask(proxy.port, GET)
        app.requests.clear()
        app.replies["/x"] = Received.wait_for_hang_up
        answer = await ask(proxy.port, get("/x"))
        assert (answer.status, error_of(answer)) == (504, "Adapter.AppTimeout")
        assert len(app.requests) == 1


@pytest.mark.parametrize("method", ["GET", "POST"])
async def test_a_request_waits_for_an_app_that_refuses_connections(method: str) -> None:
    with ScriptedApp() as first:
        port = first.port
        with ProxyProcess(app_port=port) as proxy:
            first.close()
            async with asyncio.TaskGroup() as group:
                waiting = [
                    group.create_task(ask(proxy.port, request_of(method, f"/{number}", b"x"))) for number in range(20)
                ]
                done, _ = await asyncio.wait(waiting, timeout=0.3)
                assert not done
                with ScriptedApp(port=port) as second:
                    answers = await asyncio.gather(*waiting)
                    assert {answer.status for answer in answers} == {200}
                    assert len(second.requests) == 20


async def test_the_wait_ends_with_a_502_that_names_it() -> None:
    with ScriptedApp() as app:
        proxy = ProxyProcess("--request-timeout", "0.2", app_port=app.port)
    with proxy:
        begun = monotonic()
        answer = await ask(proxy.port, GET)
        assert 0.2 <= monotonic() - begun < 3
        assert (answer.status, error_of(answer)) == (502, "Adapter.AppUnreachable")
        assert b"accepted no connection within 0.2 s" in answer.body
        assert str(app.port).encode() not in answer.body
        line = proxy.wait_for_line("status=502")
        assert "cannot be reached" in line
        assert "waited 0.2 s for a restart" in line


async def test_a_client_that_leaves_ends_the_wait() -> None:
    with ScriptedApp() as app:
        port = app.port
        proxy = ProxyProcess(app_port=port)
    with proxy:
        begun = monotonic()
        async with raw_client(proxy.port) as client:
            await client.send(request_of("POST", "/left", b"x"))
            await asyncio.sleep(0)
            client.leave()
        line = await asyncio.to_thread(proxy.wait_for_line, "path=/left")
        assert monotonic() - begun < 3
        assert "client left" in line
        with ScriptedApp(port=port) as back:
            assert (await ask(proxy.port, GET)).status == 200
            assert [received.target for received in back.requests] == ["/"]
