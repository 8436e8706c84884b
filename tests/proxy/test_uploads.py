"""Request bodies that go to the app through a real proxy process."""

from __future__ import annotations

import asyncio
import threading

from tests.proxy.scripts import error_of, get
from tests.raw_client import ask, raw_client
from tests.scripted_app import PATIENCE, Received, ScriptedApp, response


async def test_a_request_body_reaches_the_app_while_it_is_being_sent(app: ScriptedApp, proxy: int) -> None:
    first = threading.Event()

    def reply(received: Received) -> None:
        assert received.read_some(5) == b"first"
        first.set()
        received.read_body()
        received.send(response(received.body))

    app.replies["/upload"] = reply
    async with raw_client(proxy) as client:
        await client.send(get("/upload", "Content-Length: 9", method="POST") + b"first")
        assert await asyncio.to_thread(first.wait, PATIENCE)
        await client.send(b"last")
        assert (await client.answer()).body == b"firstlast"
    assert app.requests[0].headers["content-length"] == "9"


async def test_a_chunked_upload_keeps_its_trailers_but_no_forged_ones(app: ScriptedApp, proxy: int) -> None:
    expected = b"4\r\nbody\r\n0\r\nX-Sum: 7\r\n\r\n"

    def reply(received: Received) -> None:
        received.send(response(received.read_some(len(expected))))

    app.default = reply
    answer = await ask(
        proxy,
        get("/", "Transfer-Encoding: chunked", method="PUT")
        + b"4\r\nbody\r\n0\r\nX-Sum: 7\r\nX-Forwarded-For: 1.1.1.1\r\nX_Request_Id: 1\r\nHost: b\r\n\r\n",
    )
    assert answer.body == expected
    assert app.requests[0].headers["transfer-encoding"] == "chunked"


async def test_a_client_that_expects_100_gets_it(app: ScriptedApp, proxy: int) -> None:
    async with raw_client(proxy) as client:
        await client.send(get("/", "Content-Length: 2", "Expect: 100-continue", method="POST"))
        assert (await client.head()).status == 100
        await client.send(b"hi")
        assert (await client.answer()).status == 200
    assert app.requests[0].body == b"hi"
    assert "expect" not in app.requests[0].headers


async def test_an_answer_that_comes_before_the_body_is_passed_on_at_once(app: ScriptedApp, proxy: int) -> None:
    def reply(received: Received) -> None:
        received.send(response(b"too much", "Connection: close", status=413))

    app.default = reply
    async with raw_client(proxy) as client:
        await client.send(get("/", "Content-Length: 50000000", method="POST") + b"x" * 1000)
        answer = await client.answer()
        assert (answer.status, answer.body, answer.headers["connection"]) == (413, b"too much", "close")


async def test_a_truncated_request_body_never_looks_complete(app: ScriptedApp, proxy: int) -> None:
    ended = threading.Event()

    def reply(received: Received) -> None:
        received.read_some(5)
        received.wait_for_hang_up()
        ended.set()

    app.default = reply
    answer = await ask(proxy, get("/", "Transfer-Encoding: chunked", method="POST") + b"5\r\nhello\r\nnonsense\r\n")
    assert (answer.status, error_of(answer)) == (400, "Adapter.RefusedRequest")
    assert await asyncio.to_thread(ended.wait, PATIENCE)


async def test_a_post_that_offers_an_upgrade_keeps_its_body(app: ScriptedApp, proxy: int) -> None:
    # Java's HttpClient offers h2c on every request in cleartext.
    offer = (
        "Connection: Upgrade, HTTP2-Settings",
        "Upgrade: h2c",
        "HTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA",
    )
    async with raw_client(proxy) as client:
        for _ in range(2):
            await client.send(get("/", "Content-Length: 2", *offer, method="POST") + b"hi")
            assert (await client.answer()).status == 200
        await client.send(get("/", *offer))
        assert (await client.answer()).status == 200
    assert [received.body for received in app.requests] == [b"hi", b"hi", b""]
    assert not any({"upgrade", "http2-settings"} & set(received.headers) for received in app.requests)
