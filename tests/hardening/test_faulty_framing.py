"""Framing that is faulty: a request gets 400 and the end of its connection, a response is not taken for a whole one."""

from __future__ import annotations

import json

import pytest

from tests.hardening.dev_process import DOORS, DevProcess
from tests.hardening.recorder import Recorder
from tests.hardening.ways import WAYS, way_to
from tests.proxy.process import ProxyProcess
from tests.raw_client import ask, raw_client
from tests.scripted_app import OK, ScriptedApp

INVOKE = "/2015-03-31/functions/function/invocations"
STREAM = "/2021-11-15/functions/function/response-streaming-invocations"
# Chunked bodies that are none.
MALFORMED = [
    pytest.param(b"z\r\nhello\r\n0\r\n\r\n", id="size"),
    pytest.param(b"5\r\nhelloX\r\n0\r\n\r\n", id="longer-than-its-size"),
    pytest.param(b"5\nhello\r\n0\r\n\r\n", id="line-feed-alone"),
    pytest.param(b"-1\r\n\r\n", id="negative"),
    pytest.param(b"fffffffffffffffff\r\n", id="overflow"),
    pytest.param(b"5\r\nhello\r\n0\r\nX y: 1\r\n\r\n", id="trailer-name"),
    pytest.param(b"5\r\nhello\r\n0\r\nX: \0\r\n\r\n", id="trailer-value"),
    pytest.param(b"\r\n", id="no-size"),
]


def chunked_head(target: str, method: str = "POST") -> bytes:
    return f"{method} {target} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


async def check_refused(port: int, head: bytes, body: bytes, *, apart: bool) -> bytes:
    """Check that a request is answered with 400, and that nothing behind it is. Return the body of the answer."""
    async with raw_client(port) as client:
        if apart:
            await client.send(head + b"1\r\nx\r\n")
            await client.send(body)
        else:
            await client.send(head + body)
        answer = await client.answer()
        assert (answer.status, answer.headers.get("connection")) == (400, "close"), port
        assert await client.rest() == b""
    return answer.body


@pytest.mark.parametrize("apart", [False, True], ids=["with-the-head", "after-it"])
@pytest.mark.parametrize("body", MALFORMED)
async def test_a_malformed_body_is_answered_at_every_door(
    app: Recorder, proxy: ProxyProcess, dev: DevProcess, body: bytes, apart: bool
) -> None:
    for port in (proxy.port, *dev.ports.values()):
        await check_refused(port, chunked_head("/x"), body, apart=apart)
    for path in (INVOKE, STREAM):
        shown = json.loads(await check_refused(dev.invoke_port, chunked_head(path), body, apart=apart))
        assert shown["Type"] == "User"
    assert app.requests == []
    assert (await ask(proxy.port, b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n")).body == b"/good"


@pytest.mark.parametrize("body", MALFORMED)
async def test_a_malformed_body_that_is_not_needed_is_refused_if_it_came_with_its_head(
    proxy: ProxyProcess, admin: int, dev: DevProcess, body: bytes
) -> None:
    await check_refused(admin, chunked_head("/healthz", "GET"), body, apart=False)
    await check_refused(dev.invoke_port, chunked_head("/_adapter/status", "GET"), body, apart=False)
    await check_refused(dev.invoke_port, chunked_head("/_adapter/idle?seconds=1"), body, apart=False)


@pytest.mark.parametrize("door", DOORS)
async def test_a_front_door_answers_as_it_answers_any_bad_request(dev: DevProcess, door: str) -> None:
    malformed = await check_refused(dev.ports[door], chunked_head("/x"), b"z\r\n", apart=False)
    bad_target = (await ask(dev.ports[door], b"GET ftp://a/x HTTP/1.1\r\nHost: a\r\n\r\n")).body
    assert malformed == bad_target
    assert "not HTTP/1.1: Invalid character in chunk size" in dev.wait_for_line("Invalid character in chunk size")


@pytest.mark.parametrize("line", ["Transfer-Encoding: chunked", "Content-Length: 5\r\nTransfer-Encoding: chunked"])
async def test_http_1_0_has_no_transfer_coding_in_requests(
    app: Recorder, proxy: ProxyProcess, admin: int, dev: DevProcess, line: str
) -> None:
    head = f"POST /x HTTP/1.0\r\nHost: localhost\r\nConnection: keep-alive\r\n{line}\r\n\r\n".encode()
    for port in (proxy.port, admin, dev.invoke_port, *dev.ports.values()):
        await check_refused(port, head, b"5\r\nhello\r\n0\r\n\r\n", apart=False)
    assert app.requests == []


FAULTY = [
    ("GET", "Transfer-Encoding: chunked"),
    ("GET", "Connection: keep-alive\r\nTransfer-Encoding: chunked"),
    ("GET", "Connection: keep-alive\r\nTransfer-Encoding: identity"),
    ("GET", "Connection: keep-alive\r\nContent-Length: 12\r\nTransfer-Encoding: chunked"),
    ("HEAD", "Connection: keep-alive\r\nTransfer-Encoding: chunked"),
]


@pytest.mark.parametrize("name", WAYS)
def test_http_1_0_has_no_transfer_coding_in_responses(name: str) -> None:
    with ScriptedApp() as app, way_to(app.port, name) as way:
        for method, lines in FAULTY:
            app.requests.clear()
            app.default = f"HTTP/1.0 200 OK\r\n{lines}\r\n\r\n2\r\nok\r\n0\r\n\r\n".encode()
            outcome = way.ask("/faulty", method=method)
            # The proxy's response to HEAD has no body, which would name the error.
            assert outcome.status == 502 if name.startswith("proxy") and method == "HEAD" else outcome.kind == "error"
            assert outcome.name in ("", "Adapter.InvalidAppResponse")
            app.default = OK
            assert way.ask("/good", method="POST").kind == "whole"
            faulty, good = app.requests
            assert faulty.connection != good.connection, "the connection was reused"
