"""Connections that switch protocols: WebSocket with a real client and server, and any other, byte for byte."""

from __future__ import annotations

import asyncio
import threading

import pytest
import websockets
from websockets.asyncio.client import connect
from websockets.asyncio.server import ServerConnection, serve

from tests.proxy.process import ProxyProcess
from tests.raw_client import ask, raw_client
from tests.scripted_app import PATIENCE, Received, ScriptedApp

OFFER = b"GET /tunnel HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: Echo\r\n\r\n"
SWITCHED = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX-A: 1\r\n\r\n"


async def test_a_websocket_conversation() -> None:
    closed: asyncio.Queue[tuple[int | None, str | None]] = asyncio.Queue()

    async def converse(connection: ServerConnection) -> None:
        try:
            async for message in connection:
                await connection.send(message)
        finally:
            await connection.wait_closed()
            closed.put_nowait((connection.close_code, connection.close_reason))

    async with serve(converse, "127.0.0.1", 0, max_size=None, subprotocols=[websockets.Subprotocol("chat")]) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        with await asyncio.to_thread(ProxyProcess, "--readiness-protocol", "tcp", app_port=port) as proxy:
            async with connect(
                f"ws://127.0.0.1:{proxy.port}/chat?room=1", subprotocols=[websockets.Subprotocol("chat")], max_size=None
            ) as client:
                assert client.subprotocol == "chat"
                for message in ("text", b"binary", "x" * 5_000_000):
                    await client.send(message)
                    assert await asyncio.wait_for(client.recv(), PATIENCE) == message
                pong = await client.ping()
                await asyncio.wait_for(pong, PATIENCE)
                await client.close(4000, "enough")
            assert await asyncio.wait_for(closed.get(), PATIENCE) == (4000, "enough")
            await asyncio.to_thread(proxy.wait_for_line, "request", "status=101", "path=/chat ")


def echoes(received: Received) -> None:
    """Switch protocols, then send everything back in capitals until the client ends."""
    received.send(SWITCHED + b"hello ")
    while data := received.receive():
        received.send(data.upper())
    received.send(b"bye")


async def test_any_protocol_is_tunnelled_from_its_first_byte(app: ScriptedApp, proxy: int) -> None:
    def reply(received: Received) -> None:
        echoes(received)
        received.hang_up()

    app.replies["/tunnel"] = reply
    async with raw_client(proxy) as client:
        await client.send(OFFER + b"early ")
        head = await client.head()
        assert (head.status, head.headers["upgrade"], head.headers["connection"], head.headers["x-a"]) == (
            101,
            "echo",
            "upgrade",
            "1",
        )
        assert await client.exactly(12) == b"hello EARLY "
        payload = b"x" * 3_000_000
        client.writer.write(payload)
        assert await client.exactly(len(payload)) == payload.upper()
        # The client ends first; the app can still send.
        client.half_close()
        assert await client.rest() == b"bye"
    received = app.requests[0]
    assert (received.headers["upgrade"], received.headers["connection"]) == ("echo", "upgrade")


async def test_the_client_may_send_after_the_app_has_ended_its_side(app: ScriptedApp, proxy: int) -> None:
    got: list[bytes] = []
    ended = threading.Event()

    def reply(received: Received) -> None:
        received.send(SWITCHED + b"bye")
        received.half_close()
        while data := received.receive():
            got.append(data)
        ended.set()

    app.replies["/tunnel"] = reply
    async with raw_client(proxy) as client:
        await client.send(OFFER)
        await client.head()
        assert await client.rest() == b"bye"
        for _ in range(10):
            await client.send(b"x" * 100_000)
        client.half_close()
        assert await asyncio.to_thread(ended.wait, PATIENCE)
    assert len(b"".join(got)) == 1_000_000


async def test_the_apps_side_ends_when_the_client_disconnects(app: ScriptedApp, proxy: int) -> None:
    ended = threading.Event()

    def reply(received: Received) -> None:
        received.send(SWITCHED)
        received.wait_for_hang_up()
        ended.set()

    app.replies["/tunnel"] = reply
    async with raw_client(proxy) as client:
        await client.send(OFFER)
        await client.head()
        client.leave()
        assert await asyncio.to_thread(ended.wait, 1.0)


async def test_the_clients_side_ends_when_the_app_disconnects(app: ScriptedApp, proxy: int) -> None:
    def reply(received: Received) -> None:
        received.send(SWITCHED)
        received.hang_up()

    app.replies["/tunnel"] = reply
    async with raw_client(proxy) as client:
        await client.send(OFFER)
        await client.head()
        assert await client.rest() == b""


@pytest.mark.parametrize("first", ["client", "app"])
async def test_no_end_of_a_tunnel_is_an_error(app: ScriptedApp, first: str) -> None:
    def reply(received: Received) -> None:
        """Say goodbye, and close: at once, or as the answer to the client's goodbye."""
        received.send(SWITCHED)
        if first == "client":
            while received.receive():
                pass
        received.send(b"goodbye")
        received.close()

    app.replies["/tunnel"] = reply
    ends = 30
    with ProxyProcess("--bandwidth", "unlimited", app_port=app.port) as proxy:
        for number in range(ends):
            async with raw_client(proxy.port) as client:
                await client.send(OFFER.replace(b"Host", b"X-Request-Id: end-%d.\r\nHost" % number))
                await client.head()
                if first == "app":
                    assert await client.rest() == b"goodbye"
                await client.send(b"goodbye")
                await client.close()
            await asyncio.to_thread(proxy.wait_for_line, f"requestId=end-{number}.", "status=101")
        proxy.terminate()
        lines = proxy.stderr()
    assert lines.count("status=101") == ends
    assert [line for line in lines.splitlines() if "rror" in line or "Traceback" in line] == []


async def test_an_upgrade_that_the_app_declines_is_an_ordinary_request(app: ScriptedApp, proxy: int) -> None:
    async with raw_client(proxy) as client:
        for _ in range(3):
            await client.send(OFFER)
            answer = await client.answer()
            assert (answer.status, answer.body) == (200, b"ok")
    assert [received.headers["upgrade"] for received in app.requests] == ["echo"] * 3


@pytest.mark.parametrize(
    ("offer", "seen"),
    [
        pytest.param(b"h2c", None, id="h2c"),
        pytest.param(b"H2C, Echo", "echo", id="among-others"),
    ],
)
async def test_cleartext_http_2_is_never_offered(app: ScriptedApp, proxy: int, offer: bytes, seen: str | None) -> None:
    await ask(proxy, OFFER.replace(b"Echo", offer))
    assert app.requests[0].headers.get("upgrade") == seen
