"""Requests whose client disconnects, whose app fails, or that take too long."""

from __future__ import annotations

import asyncio
import threading

import pytest

from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import CHUNKED, GET, Permission, error_of, get
from tests.raw_client import ask, raw_client
from tests.scripted_app import PATIENCE, Received, ScriptedApp, response


@pytest.mark.parametrize("how", ["reset", "half-close"])
@pytest.mark.parametrize("begun", [pytest.param(False, id="before-the-answer"), pytest.param(True, id="mid-stream")])
async def test_a_client_that_disconnects_cancels_the_apps_request(
    app: ScriptedApp, proxy: int, how: str, begun: bool
) -> None:
    ended = threading.Event()

    def reply(received: Received) -> None:
        if begun:
            received.send(CHUNKED + b"3\r\none\r\n")
        received.wait_for_hang_up()
        ended.set()

    app.replies["/wait"] = reply
    async with raw_client(proxy) as client:
        await client.send(get("/wait"))
        app.wait_for_request()
        if begun:
            await client.head()
        if how == "reset":
            client.leave()
        else:
            client.half_close()
        assert await asyncio.to_thread(ended.wait, 1.0)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart", id="length"),
        pytest.param(CHUNKED + b"4\r\npart\r\n", id="chunked"),
        pytest.param(CHUNKED + b"4\r\npart\r\nnonsense\r\n", id="broken-chunks"),
    ],
)
async def test_the_response_is_cut_off_if_the_app_dies_in_mid_body(app: ScriptedApp, proxy: int, sent: bytes) -> None:
    def reply(received: Received) -> None:
        received.send(sent)
        received.hang_up()

    app.default = reply
    answer = await ask(proxy, GET)
    assert (answer.status, answer.is_cut) == (200, True)
    assert b"part".startswith(answer.body)


async def test_a_reset_does_not_complete_a_body_without_framing(app: ScriptedApp, proxy: int) -> None:
    go = Permission()

    def reply(received: Received) -> None:
        received.send(b"HTTP/1.0 200 OK\r\n\r\npart")
        go.wait()
        received.reset_on_close()
        received.headers["connection"] = "close"

    app.default = reply
    async with raw_client(proxy) as client:
        await client.send(GET)
        answer = await client.head()
        assert await client.chunk() == b"part"
        go.give()
        await client.read_body(answer)
    assert answer.is_cut


@pytest.mark.parametrize(
    ("reply", "name"),
    [
        pytest.param(b"SSH-2.0-secret\r\n", "Adapter.InvalidAppResponse", id="not-http"),
        pytest.param(b"HTTP/1.1 200 OK\r\nse cret: 1\r\n\r\n", "Adapter.InvalidAppResponse", id="bad-header"),
        pytest.param(
            b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "Adapter.InvalidAppResponse",
            id="two-framings",
        ),
        pytest.param(
            b"HTTP/1.1 101 Secret\r\nConnection: upgrade\r\nUpgrade: secret\r\n\r\n",
            "Adapter.InvalidAppResponse",
            id="switched-unasked",
        ),
        pytest.param(b"", "Adapter.AppUnreachable", id="nothing"),
        pytest.param(b"HTTP/1.1 200 OK\r\nX: secr", "Adapter.AppUnreachable", id="half-a-head"),
    ],
)
async def test_an_invalid_response_is_a_502_that_does_not_quote_it(
    app: ScriptedApp, proxy: int, reply: bytes, name: str
) -> None:
    def answer_and_hang_up(received: Received) -> None:
        received.send(reply)
        received.hang_up()

    app.default = answer_and_hang_up
    answer = await ask(proxy, GET)
    assert (answer.status, error_of(answer)) == (502, name)
    assert b"ecr" not in answer.body
    assert str(app.port).encode() not in answer.body
    app.default = response(b"fine")
    assert (await ask(proxy, GET)).body == b"fine"


async def test_an_app_that_has_ended_is_a_502_until_it_is_back() -> None:
    with ScriptedApp() as first:
        port = first.port
        with ProxyProcess(app_port=port) as proxy:
            assert (await ask(proxy.port, GET)).status == 200
            first.close()
            answer = await ask(proxy.port, GET)
            assert (answer.status, error_of(answer)) == (502, "Adapter.AppUnreachable")
            with ScriptedApp(port=port):
                assert (await ask(proxy.port, GET)).status == 200


async def test_a_connection_that_the_app_has_closed_is_not_used_again(app: ScriptedApp, proxy: int) -> None:
    closed = threading.Semaphore(0)

    def reply(received: Received) -> None:
        received.send(response(b"ok"))
        received.hang_up()
        closed.release()

    app.default = reply
    async with raw_client(proxy) as client:
        for _ in range(200):
            await client.send(GET)
            assert (await client.answer()).status == 200
            assert closed.acquire(timeout=PATIENCE)
    assert len(app.requests) == 200


async def test_timeouts(app: ScriptedApp) -> None:
    ended = threading.Semaphore(0)

    def silent(received: Received) -> None:
        if received.target == "/stalls":
            received.send(CHUNKED + b"3\r\none\r\n")
        received.wait_for_hang_up()
        ended.release()

    app.default = silent
    with ProxyProcess(
        "--request-timeout", "0.1", "--idle-timeout", "0.1", "--readiness-protocol", "tcp", app_port=app.port
    ) as proxy:
        answer = await ask(proxy.port, get("/silent"))
        assert (answer.status, error_of(answer)) == (504, "Adapter.AppTimeout")
        answer = await ask(proxy.port, get("/stalls"))
        assert (answer.status, answer.body, answer.is_cut) == (200, b"one", True)
    for _ in range(2):
        assert ended.acquire(timeout=PATIENCE)
