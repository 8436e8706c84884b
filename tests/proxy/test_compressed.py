"""Compression of streamed pieces; what may be compressed is tested in tests/net."""

from __future__ import annotations

import zlib
from collections.abc import Iterator

import pytest

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import Permission, get, pieces_on
from tests.raw_client import ask, raw_client
from tests.scripted_app import ScriptedApp, response


@pytest.fixture(scope="module")
def compressing_proxy(shared_app: ScriptedApp) -> Iterator[ProxyProcess]:
    with ProxyProcess("--compression", "--readiness-protocol", "tcp", app_port=shared_app.port) as process:
        yield process


@pytest.fixture
def compressing(compressing_proxy: ProxyProcess) -> int:
    return compressing_proxy.port


async def test_each_compressed_piece_can_be_read_when_it_arrives(app: ScriptedApp, compressing: int) -> None:
    permission = Permission()
    app.replies["/stream"] = pieces_on(permission, b"one", b"two", b"three")
    async with raw_client(compressing) as client:
        await client.send(get("/stream", "Accept-Encoding: gzip"))
        head = await client.head()
        assert (head.headers["content-encoding"], head.headers["vary"]) == ("gzip", "accept-encoding")
        inflater = zlib.decompressobj(31)
        for expected in (b"one", b"two", b"three"):
            permission.give()
            inflated = b""
            while not inflated:
                inflated += inflater.decompress(await client.chunk())
            assert inflated == expected
        while chunk := await client.chunk():
            assert inflater.decompress(chunk) == b""
    assert inflater.eof


@pytest.mark.parametrize(
    ("status", "lines"),
    [
        pytest.param(206, ("Content-Type: text/plain", "Content-Range: bytes 0-9/100"), id="range"),
        pytest.param(200, ("Content-Type: text/event-stream",), id="event-stream"),
        pytest.param(200, ("Content-Type: text/plain", "Content-Encoding: br"), id="compressed-already"),
        pytest.param(200, ("Content-Type: text/plain", "Cache-Control: no-transform"), id="no-transform"),
        pytest.param(200, ("Content-Type: image/png",), id="picture"),
    ],
)
async def test_responses_that_must_not_change_are_not_compressed(
    app: ScriptedApp, compressing: int, status: int, lines: tuple[str, ...]
) -> None:
    app.default = response(b"x" * 100, *lines, status=status)
    answer = await ask(compressing, get("/", "Accept-Encoding: gzip", "Range: bytes=0-9"))
    assert (answer.status, answer.body, answer.headers["content-length"]) == (status, b"x" * 100, "100")
    assert app.requests[0].headers["range"] == "bytes=0-9"


async def test_a_compressed_response_has_no_length_and_a_weak_etag(app: ScriptedApp, compressing: int) -> None:
    app.default = response(b"x" * 100, "Content-Type: text/plain", 'ETag: "1"')
    answer = await ask(compressing, get("/", "Accept-Encoding: gzip"))
    assert zlib.decompress(answer.body, 31) == b"x" * 100
    assert "content-length" not in answer.headers
    assert answer.headers["etag"] == 'W/"1"'


async def test_the_buffered_limit_applies_to_the_compressed_body(app: ScriptedApp) -> None:
    """The app may send more than the limit if the compressed body is smaller."""
    body = b"x" * (BUFFERED_RESPONSE_LIMIT + 1)
    app.default = response(body, "Content-Type: text/plain")
    with ProxyProcess("--compression", "--invoke-mode", "buffered", app_port=app.port) as proxy:
        answer = await ask(proxy.port, get("/", "Accept-Encoding: gzip"))
        assert (answer.status, zlib.decompress(answer.body, 31)) == (200, body)
        assert (await ask(proxy.port, get("/"))).status == 502
