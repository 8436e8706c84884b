"""Request smuggling: whatever a client sends, the app sees the requests that RFC 9112 sees in it, or fewer."""

from __future__ import annotations

import asyncio

import pytest

from tests.hardening import figures
from tests.hardening.dev_process import DOORS, DevProcess
from tests.hardening.gadgets import Gadget, gadgets
from tests.hardening.recorder import Recorder
from tests.proxy.process import ProxyProcess
from tests.raw_client import RawClient, ask, raw_client

GADGETS = list(gadgets())
# How many gadgets are under way at once.
AT_ONCE = 32
# How long a server may keep silent about a request that is whole, in seconds. One that waits for more bytes has seen
# no request in what it got, and nothing is to be learned from waiting with it.
PATIENCE = 0.4


def test_there_are_enough_gadgets() -> None:
    assert len(GADGETS) >= 500


async def test_the_proxy_passes_no_smuggled_request_on(app: Recorder, proxy: ProxyProcess) -> None:
    await play_all(proxy.port, app)
    figures.show("request smuggling, proxy", f"0 extra requests of {len(GADGETS)} gadgets")


@pytest.mark.parametrize("door", DOORS)
async def test_no_front_door_passes_a_smuggled_request_on(app: Recorder, dev: DevProcess, door: str) -> None:
    await play_all(dev.ports[door], app)
    figures.show(f"request smuggling, {door}", f"0 extra requests of {len(GADGETS)} gadgets")


# Where the parser forgives more than RFC 9112 asks of it. Each stays one request, which goes on in a form of our own.
LENIENT = [
    pytest.param(b"GET   /first   HTTP/1.1\r\nHost: a\r\n\r\n", id="spaces-between-the-parts"),
    pytest.param(b"\n\r\n\nGET /first HTTP/1.1\r\nHost: a\r\n\r\n", id="empty-lines-before-it"),
    pytest.param(b"GET /first RTSP/1.0\r\nHost: a\r\n\r\n", id="another-protocols-name"),
]


@pytest.mark.parametrize("payload", LENIENT)
async def test_what_is_forgiven_stays_one_request(app: Recorder, proxy: ProxyProcess, payload: bytes) -> None:
    assert (await ask(proxy.port, payload)).status == 200
    assert [(each.method, each.target) for each in app.requests] == [("GET", "/first")]
    assert app.violations == []


async def play_all(port: int, app: Recorder) -> None:
    """Send every gadget, and a good request after each batch; the app must have seen nothing that was smuggled."""
    for start in range(0, len(GADGETS), AT_ONCE):
        batch = GADGETS[start : start + AT_ONCE]
        await asyncio.gather(*(play(port, gadget) for gadget in batch))
        good = await ask(port, f"GET /good-{start} HTTP/1.1\r\nHost: app.example\r\n\r\n".encode())
        assert (good.status, good.body) == (200, f"/good-{start}".encode())
        seen = {each.target for each in app.requests if "smuggled" in each.target}
        assert not seen, f"seen after one of {[name for name, _ in batch]}"
    assert app.violations == []
    targets = {each.target.partition("-")[0] for each in app.requests}
    assert targets == {"/first", "/good", "/settled"}


async def play(port: int, gadget: Gadget) -> None:
    """Send a gadget on a connection of its own, until the server has made of it whatever it makes of it."""
    name, payload = gadget
    async with raw_client(port) as client:
        try:
            async with asyncio.timeout(PATIENCE):
                await client.send(payload)
                await settle(client)
        except (TimeoutError, ConnectionError, asyncio.IncompleteReadError):
            return
        raise AssertionError(f"{name}: the connection has not settled")


async def settle(client: RawClient) -> None:
    """Read answers until the connection ends. A connection that stays open is asked for one thing more: when that is
    answered, everything that was read as a request before it has been as well.
    """
    asked = False
    while True:
        answer = await client.answer()
        if answer.body == b"/settled" or answer.headers.get("connection") == "close":
            await client.send(b"GET /settled HTTP/1.1\r\nHost: app.example\r\nConnection: close\r\n\r\n")
            await client.rest()
            raise ConnectionResetError
        if not asked:
            asked = True
            await client.send(b"GET /settled HTTP/1.1\r\nHost: app.example\r\n\r\n")
