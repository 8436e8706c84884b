"""A client that goes away in plain HTTP, at every stage of its request: the app's request ends within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from queue import SimpleQueue
from time import monotonic

import pytest

from tests.hardening import figures
from tests.proxy.process import ProxyProcess
from tests.raw_client import RawClient, raw_client
from tests.scripted_app import PATIENCE, Received, ScriptedApp

LIMIT = 1.0
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
KIB = 1024


class Watched:
    """An app whose replies say that they have begun, and when the other end was gone."""

    def __init__(self, app: ScriptedApp, proxy: ProxyProcess) -> None:
        self.port = proxy.port
        self.begun: SimpleQueue[None] = SimpleQueue()
        self.ended: SimpleQueue[float] = SimpleQueue()
        app.replies |= {
            "/silent": self._silent,
            "/stream": self._streams,
            "/throttled": self._throttled,
            "/reads": self._reads,
            "/full": self._stuck,
        }

    def _wait(self, received: Received) -> None:
        self.begun.put(None)
        try:
            while received.receive():
                pass
        except ConnectionError:
            pass
        self.ended.put(monotonic())

    def _silent(self, received: Received) -> None:
        self._wait(received)

    def _streams(self, received: Received) -> None:
        received.send(CHUNKED + b"3\r\none\r\n")
        self._wait(received)

    def _throttled(self, received: Received) -> None:
        """More than the cap lets through for many seconds, but not more than what the proxy reads of it."""
        received.send(CHUNKED + b"%x\r\n%b\r\n" % (200 * KIB, b"x" * 200 * KIB))
        self._wait(received)

    def _reads(self, received: Received) -> None:
        received.receive()
        self._wait(received)

    def _stuck(self, received: Received) -> None:
        """Reads nothing; that the other end is gone shows in the socket all the same."""
        self.begun.put(None)
        received.wait_for_reset()
        self.ended.put(monotonic())


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    flags = ("--bandwidth", f"{32 * KIB}+{32 * KIB}")
    with ScriptedApp() as app, ProxyProcess(*flags, app_port=app.port) as proxy:
        yield Watched(app, proxy)


async def begin(client: RawClient, stage: str) -> None:
    """Get as far as ``stage``."""
    if stage in ("/reads", "/full"):
        await client.send(b"POST %b HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" % stage.encode())
        # Not waited for: where the app is stuck most of it stays here.
        client.writer.write(b"x" * (100 if stage == "/reads" else 8_000_000))
    else:
        await client.send(b"GET %b HTTP/1.1\r\nHost: a\r\n\r\n" % stage.encode())
    if stage in ("/stream", "/throttled"):
        await client.head()


SLOWEST = [0.0]


STAGES = {
    "/silent": "before-the-head",
    "/stream": "mid-stream",
    "/throttled": "while-throttled",
    "/reads": "mid-upload",
}


@pytest.mark.parametrize(
    ("stage", "how"),
    [
        *(
            pytest.param(stage, how, id=f"{name}-{how}")
            for stage, name in STAGES.items()
            for how in ("reset", "close", "half-close")
        ),
        # What such a client could not get rid of holds up any other end of its connection.
        pytest.param("/full", "reset", id="mid-upload-to-an-app-that-does-not-read"),
    ],
)
async def test_the_apps_request_is_cancelled_within_a_second(watched: Watched, stage: str, how: str) -> None:
    async with raw_client(watched.port) as client:
        await begin(client, stage)
        await asyncio.to_thread(watched.begun.get, timeout=PATIENCE)
        left = monotonic()
        if how == "reset":
            client.leave()
        elif how == "close":
            client.writer.close()
        else:
            client.half_close()
        seconds = await asyncio.to_thread(watched.ended.get, timeout=PATIENCE) - left
    assert seconds < LIMIT
    SLOWEST[0] = max(SLOWEST[0], seconds)


def test_figure() -> None:
    figures.show(
        "client disconnect",
        f"the app's request cancelled within {SLOWEST[0] * 1000:.0f} ms at {len(STAGES) + 1} stages",
    )
