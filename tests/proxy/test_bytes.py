"""The proxy forwards header values, trailers and reason phrases as bytes, both ways, and refuses what ends a line."""

from __future__ import annotations

import gzip

import pytest

from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import GET, error_of, get
from tests.raw_client import ask, raw_client
from tests.scripted_app import Received, ScriptedApp

# Every byte that a field value may have besides the white space at its ends (RFC 9110, section 5.5).
ALL_BYTES = bytes(range(0x21, 0x7F)) + b"\t " + bytes(range(0x80, 0x100))
VALUES = [
    pytest.param(ALL_BYTES, id="every-byte"),
    pytest.param(b"caf\xe9", id="latin-1"),
    pytest.param(b"caf\xc3\xa9", id="utf-8"),
    pytest.param(b"caf\xc3\xa9 caf\xe9", id="utf-8-and-latin-1"),
    pytest.param(b"\x82\xa0\x83\\", id="shift-jis"),
    pytest.param(b"\xed\xa0\x80\xed\xb3\xbf", id="surrogates-in-utf-8"),
    pytest.param(b"\xc0\xaf\xf5\x80\x80\x80", id="overlong"),
    pytest.param(b"\xf0\x9f\x98", id="cut-utf-8"),
    pytest.param(b"\x85\xa0\xc2\x85", id="next-line"),
]
# No field value and no reason phrase has these.
CONTROLS = [bytes([byte]) for byte in (*range(0x20), 0x7F) if byte != 0x09]


@pytest.mark.parametrize("value", VALUES)
async def test_a_request_keeps_the_bytes_of_its_values(app: ScriptedApp, proxy: int, value: bytes) -> None:
    app.default = read_chunked
    head = b"POST / HTTP/1.1\r\nHost: a\r\nX-Value: %b\r\nx-value: 2\r\nTransfer-Encoding: chunked\r\n\r\n" % value
    assert (await ask(proxy, head + b"1\r\nx\r\n0\r\nX-Late: %b\r\n\r\n" % value)).status == 200
    (received,) = app.requests
    assert b"\r\nX-Value: %b\r\nx-value: 2\r\n" % value in received.head
    assert received.body.endswith(b"\r\n0\r\nX-Late: %b\r\n\r\n" % value)


def read_chunked(received: Received) -> None:
    while not received.body.endswith(b"\r\n\r\n"):
        received.read_some(1)
    received.send(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")


async def test_what_a_trusted_proxy_says_keeps_its_bytes(app: ScriptedApp) -> None:
    with ProxyProcess("--trusted-proxies", "127.0.0.1", app_port=app.port) as trusting:
        await ask(trusting.port, b"GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: _caf\xe9\r\n\r\n")
    assert b"\r\nx-forwarded-for: _caf\xe9, 127.0.0.1\r\n" in app.requests[0].head


@pytest.mark.parametrize("value", VALUES)
async def test_a_response_keeps_the_bytes_of_its_values(
    app: ScriptedApp, proxy: int, buffering: int, value: bytes
) -> None:
    lines = b"Content-Type: text/plain\r\nX-Value: %b\r\nx-value: 2\r\n" % value
    app.default = b"HTTP/1.1 200 OK\r\n%bTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Late: %b\r\n\r\n" % (
        lines,
        value,
    )
    for port in (proxy, buffering):
        answer = await ask(port, GET)
        assert (answer.status, answer.body) == (200, b"ok")
        assert lines in answer.raw_head
        if port == proxy:
            assert [(name, text.encode(errors="surrogateescape")) for name, text in answer.trailers] == [
                ("X-Late", value)
            ]


REASONS = [
    pytest.param(200, b"Fine", id="another"),
    pytest.param(299, b"Our Own", id="unregistered-status"),
    pytest.param(200, b"", id="empty"),
    pytest.param(200, b"Tr\xe8s bien", id="latin-1"),
    pytest.param(404, b"\xe8\xa6\x8b\xe3\x81\xa4\xe3\x81\x8b\xe3\x82\x89\xe3\x81\xaa\xe3\x81\x84", id="utf-8"),
    pytest.param(200, ALL_BYTES, id="every-byte"),
]


@pytest.mark.parametrize(("status", "reason"), REASONS)
async def test_a_reason_phrase_is_forwarded(
    app: ScriptedApp, proxy: int, buffering: int, status: int, reason: bytes
) -> None:
    line = b"HTTP/1.1 %d %b\r\n" % (status, reason)
    app.default = line + b"Content-Length: 2\r\n\r\nok"
    for port in (proxy, buffering):
        answer = await ask(port, GET)
        assert answer.body == b"ok"
        assert answer.raw_head.startswith(line)


async def test_a_status_line_without_a_reason_is_answered_with_an_empty_one(app: ScriptedApp, proxy: int) -> None:
    app.default = b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok"
    assert (await ask(proxy, GET)).raw_head.startswith(b"HTTP/1.1 200 \r\n")


async def test_an_interim_response_keeps_its_bytes(app: ScriptedApp, proxy: int) -> None:
    app.default = b"HTTP/1.1 103 D\xe9j\xe0\r\nLink: \xe9\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
    async with raw_client(proxy) as client:
        await client.send(GET)
        assert (await client.head()).raw_head == b"HTTP/1.1 103 D\xe9j\xe0\r\nLink: \xe9\r\n\r\n"
        assert (await client.answer()).status == 200


async def test_a_switch_of_protocols_keeps_its_bytes(app: ScriptedApp, proxy: int) -> None:
    app.default = b"HTTP/1.1 101 On y va \xe0\r\nConnection: Upgrade\r\nUpgrade: echo\r\nX: \xe9\r\n\r\n"
    async with raw_client(proxy) as client:
        await client.send(get("/", "Connection: Upgrade", "Upgrade: echo"))
        raw_head = (await client.head()).raw_head
    assert raw_head.startswith(b"HTTP/1.1 101 On y va \xe0\r\nX: \xe9\r\n")


async def test_a_compressed_response_keeps_its_bytes(app: ScriptedApp) -> None:
    app.default = (
        b"HTTP/1.1 200 D'accord \xe9\r\nContent-Type: text/plain\r\nX: \xe9\r\nContent-Length: 400\r\n\r\n"
        + (b"a" * 400)
    )
    with ProxyProcess("--compression", app_port=app.port) as compressing:
        answer = await ask(compressing.port, get("/", "Accept-Encoding: gzip"))
    assert gzip.decompress(answer.body) == b"a" * 400
    assert answer.raw_head.startswith(b"HTTP/1.1 200 D'accord \xe9\r\nContent-Type: text/plain\r\nX: \xe9\r\n")


@pytest.mark.parametrize("control", CONTROLS)
async def test_no_control_character_is_forwarded(app: ScriptedApp, proxy: int, control: bytes) -> None:
    answer = await ask(proxy, b"GET / HTTP/1.1\r\nHost: a\r\nX: a%bb\r\n\r\n" % control)
    assert answer.status == 400
    assert not app.requests
    heads = [b"HTTP/1.1 200 a%bb\r\n" % control, b"HTTP/1.1 200 OK\r\nX: a%bb\r\n" % control]
    for head in (*heads, *(head.replace(b"a" + control, b"\xe9" + control) for head in heads)):
        app.default = head + b"Content-Length: 2\r\n\r\nok"
        answer = await ask(proxy, GET)
        assert (answer.status, error_of(answer)) == (502, "Adapter.InvalidAppResponse")
    app.default = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX: \xe9%bb\r\n\r\n" % control
    async with raw_client(proxy) as client:
        await client.send(GET)
        assert not (await client.rest()).endswith(b"0\r\n\r\n")
