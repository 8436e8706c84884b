"""Trailers through the proxy: asked for with TE, announced with Trailer, and sent where a message can have them."""

from __future__ import annotations

import pytest

from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import get
from tests.raw_client import ask, raw_client
from tests.scripted_app import Received, ScriptedApp

CHUNKED = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n"


def asked_for(received: Received) -> None:
    """Send trailers as hyper does: only to a client that says that it takes them, with the option in Connection."""
    options = received.headers.get("connection", "").lower()
    takes = "trailers" in received.headers.get("te", "") and "te" in [each.strip() for each in options.split(",")]
    announced, late = ("Trailer: X-Sum\r\n", "X-Sum: 7\r\n") if takes else ("", "")
    received.send(f"{CHUNKED}{announced}\r\n2\r\nok\r\n0\r\n{late}\r\n".encode())


@pytest.mark.parametrize(
    ("sent", "forwarded"),
    [
        pytest.param(["TE: trailers"], True, id="alone"),
        pytest.param(["TE: Trailers", "Connection: TE"], True, id="nominated"),
        pytest.param(["TE: gzip;q=0.5, trailers , deflate"], True, id="among-codings"),
        pytest.param(["TE: gzip", "te:trailers"], True, id="second-line"),
        pytest.param(["TE: gzip"], False, id="coding-alone"),
        pytest.param(["TE:"], False, id="empty"),
        pytest.param(["TE: trailersx, x-trailers"], False, id="similar"),
        pytest.param([], False, id="not-sent"),
    ],
)
async def test_an_app_learns_whether_the_client_takes_trailers(
    app: ScriptedApp, proxy: int, sent: list[str], forwarded: bool
) -> None:
    app.default = asked_for
    answer = await ask(proxy, get("/", *sent))
    (received,) = app.requests
    assert [value for name, value in received.pairs if name == "te"] == (["trailers"] if forwarded else [])
    assert (answer.body, answer.trailers) == (b"ok", [("X-Sum", "7")] if forwarded else [])
    assert answer.all("trailer") == (["X-Sum"] if forwarded else [])


async def test_an_upgrade_is_offered_beside_trailers(app: ScriptedApp, proxy: int) -> None:
    app.default = asked_for
    lines = ["Connection: Upgrade, TE", "Upgrade: websocket", "TE: trailers"]
    answer = await ask(proxy, get("/", *lines))
    (received,) = app.requests
    assert (received.headers["connection"], received.headers["upgrade"]) == ("te, upgrade", "websocket")
    assert answer.trailers == [("X-Sum", "7")]


@pytest.mark.parametrize(
    ("sent", "received"),
    [
        pytest.param("X-A", "X-A", id="one"),
        pytest.param("X-A,  x-b ,,X-C", "X-A, x-b, X-C", id="list"),
        pytest.param("X-A\r\nTrailer: X-B", "X-A, X-B", id="two-lines"),
        pytest.param("X-A, Content-Length, transfer-encoding, Host, trailer", "X-A", id="not-trailers"),
        pytest.param("X-A, x y, \xe9, a:b", "X-A", id="not-names"),
        pytest.param("Set-Cookie", None, id="none-left"),
        pytest.param("", None, id="empty"),
    ],
)
async def test_an_announcement_is_forwarded_without_what_is_no_trailer(
    app: ScriptedApp, proxy: int, sent: str, received: str | None
) -> None:
    app.default = f"{CHUNKED}Trailer: {sent}\r\n\r\n2\r\nok\r\n0\r\n\r\n".encode()
    answer = await ask(proxy, get("/"))
    assert answer.all("trailer") == ([] if received is None else [received])


async def test_only_a_response_that_can_have_trailers_announces_them(
    app: ScriptedApp, proxy: int, buffering: int
) -> None:
    app.default = f"{CHUNKED}Trailer: X-Sum\r\n\r\n2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n".encode()
    assert (await ask(buffering, get("/"))).all("trailer") == []
    async with raw_client(proxy) as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        assert (await client.rest()).partition(b"\r\n\r\n")[2] == b"ok"
    app.default = b"HTTP/1.1 200 OK\r\nTrailer: X-Sum\r\nContent-Length: 2\r\n\r\nok"
    assert (await ask(proxy, get("/"))).all("trailer") == []


async def test_trailers_follow_a_compressed_response(app: ScriptedApp) -> None:
    head = f"{CHUNKED}Content-Type: text/plain\r\nTrailer: X-Sum\r\n\r\n"
    app.default = f"{head}2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n".encode()
    with ProxyProcess("--compression", app_port=app.port) as compressing:
        answer = await ask(compressing.port, get("/", "Accept-Encoding: gzip"))
    assert (answer.all("content-encoding"), answer.all("trailer")) == (["gzip"], ["X-Sum"])
    assert answer.trailers == [("X-Sum", "7")]
