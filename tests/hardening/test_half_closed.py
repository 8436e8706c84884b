"""A client that closes its sending side after its request, which looks as if it had gone, and waits for the response.

While the app is silent, the proxy treats it as a client that has gone (``test_disconnect``). A response that is
complete by then is delivered, and so is every response of the adapter itself.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator
from queue import SimpleQueue

import pytest

from tests.hardening import figures
from tests.hardening.dev_process import DevProcess
from tests.hardening.recorder import Recorder
from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import get
from tests.raw_client import RawAnswer, raw_client
from tests.scripted_app import PATIENCE, Received, ScriptedApp, response
from tests.unused_port import unused_port

KIB = 1024
BODY = bytes(range(251)) * 2500
COUNTS: Counter[str] = Counter()

FRAMINGS = {
    "length": response(BODY),
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n" % (len(BODY), BODY),
    "until-the-end": b"HTTP/1.1 200 OK\r\n\r\n" + BODY,
}


class Complete:
    """An app whose response to ``/framing`` is complete when ``sent`` says so, and that is silent about ``/next``."""

    def __init__(self, app: ScriptedApp) -> None:
        self.app = app
        self.sent: SimpleQueue[None] = SimpleQueue()
        app.replies["/next"] = Received.wait_for_hang_up
        for framing, reply in FRAMINGS.items():
            app.replies[f"/{framing}"] = self._reply(reply, ends=framing == "until-the-end")

    def _reply(self, reply: bytes, *, ends: bool) -> Callable[[Received], None]:
        def send(received: Received) -> None:
            received.send(reply)
            if ends:
                received.half_close()
            self.sent.put(None)

        return send


@pytest.fixture(scope="module")
def complete() -> Iterator[Complete]:
    with ScriptedApp() as app:
        yield Complete(app)


@pytest.fixture(scope="module", params=["throttled", "buffered"])
def holding(complete: Complete, request: pytest.FixtureRequest) -> Iterator[int]:
    """Yield the port of a proxy that still has a part of the response when the app has sent all of it."""
    flags = {
        "throttled": ("--bandwidth", f"{160 * KIB}+{4096 * KIB}"),
        "buffered": ("--invoke-mode", "buffered"),
    }[request.param]
    with ProxyProcess(*flags, app_port=complete.app.port) as proxy:
        yield proxy.port


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("then", [b"", get("/next")], ids=["alone", "pipelined"])
async def test_a_response_that_is_complete_is_delivered(
    complete: Complete, holding: int, framing: str, then: bytes
) -> None:
    async with raw_client(holding) as client:
        await client.send(get(f"/{framing}") + then)
        await asyncio.to_thread(complete.sent.get, timeout=PATIENCE)
        client.half_close()
        answer = await client.answer()
        assert (answer.status, len(answer.body), answer.is_cut) == (200, len(BODY), False)
        assert answer.body == BODY
        # The app is silent about the next request, or does not even get it.
        assert await client.rest() == b""
    COUNTS["complete"] += 1


ERRORS = {
    "target": (b"GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "method": (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405),
    "head": (b"GET / HTTP/1.1\r\n\r\n", 400),
}


@pytest.mark.parametrize("name", ERRORS)
async def test_an_error_of_the_proxy_is_delivered(proxy: ProxyProcess, name: str) -> None:
    request, status = ERRORS[name]
    assert [answer.status for answer in await half_closing(proxy.port, request)] == [status]


@pytest.fixture(scope="module")
def unready() -> Iterator[dict[str, int]]:
    """Yield the ports of a proxy without an app: ``proxy`` and ``admin``."""
    admin = unused_port()
    with ProxyProcess("--admin", f"127.0.0.1:{admin}", app_port=unused_port(), waits=False) as proxy:
        yield {"proxy": proxy.port, "admin": admin}


@pytest.mark.parametrize("count", [1, 3, 30])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    ("where", "path", "status"),
    [("proxy", "/", 503), ("admin", "/healthz", 200), ("admin", "/readyz", 503), ("admin", "/metrics", 200)],
)
async def test_answers_of_the_adapter_itself_are_delivered(
    unready: dict[str, int], where: str, path: str, status: int, method: str, count: int
) -> None:
    answers = await half_closing(unready[where], get(path, method=method) * count, method=method)
    assert [answer.status for answer in answers] == [status] * count


@pytest.mark.parametrize("method", ["GET", "HEAD"])
async def test_every_port_of_dev_answers(dev: DevProcess, app: Recorder, method: str) -> None:
    for port in dev.ports.values():
        answers = await half_closing(port, get("/x", method=method) * 3, method=method)
        assert [answer.status for answer in answers] == [200] * 3
    for path, status in (("/_adapter/status", 200), ("/elsewhere", 404)):
        answers = await half_closing(dev.invoke_port, get(path).replace(b"Host: a", b"Host: localhost") * 3)
        assert [answer.status for answer in answers] == [status] * 3
    invocation = (
        b"POST /2015-03-31/functions/function/invocations HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
    )
    answers = await half_closing(dev.invoke_port, invocation * 3)
    assert [answer.status for answer in answers] == [200] * 3


async def half_closing(port: int, requests: bytes, *, method: str = "GET") -> list[RawAnswer]:
    """Send ``requests``, end the sending side at once, and return the answers."""
    async with raw_client(port) as client:
        client.writer.write(requests)
        client.half_close()
        answers = []
        while not await at_end(client.reader):
            answers.append(await client.answer(method=method))
            COUNTS["own"] += 1
        return answers


async def at_end(reader: asyncio.StreamReader) -> bool:
    """Return whether nothing more comes."""
    async with asyncio.timeout(PATIENCE):
        while not reader._buffer and not reader.at_eof():  # type: ignore[attr-defined]
            await reader._wait_for_data("at_end")  # type: ignore[attr-defined]
    return reader.at_eof()


def test_figure() -> None:
    figures.show(
        "half-closed clients",
        f"{COUNTS['complete']} complete responses of the app and {COUNTS['own']} of the adapter itself are delivered",
    )
