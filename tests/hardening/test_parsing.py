"""The table of docs/security.md about parsing, line by line, in both directions."""

from __future__ import annotations

import pytest

from tests.events import function_url
from tests.hardening.dev_process import DOORS, DevProcess
from tests.hardening.recorder import PROBE, Recorder
from tests.proxy.process import ProxyProcess
from tests.raw_client import ask, raw_client
from tests.runtime_process import RuntimeProcess
from tests.scripted_runtime_api import ScriptedRuntimeApi

INVOKE = b"/2015-03-31/functions/function/invocations"
CHUNKED = b"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
REFUSED = [
    pytest.param(b"GET /x HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", 400, id="line-folding"),
    pytest.param(b"GET /x HTTP/1.1\nHost: a\n\n", 400, id="line-feed-alone"),
    pytest.param(b"GET /x HTTP/1.1\r\nHost: a\nX: 1\r\n\r\n", 400, id="line-feed-alone-behind-a-field"),
    pytest.param(b"GET /x HTTP/1.1\r\nHost: a\rX: 1\r\n\r\n", 400, id="carriage-return-alone"),
    pytest.param(b"GET /x HTTP/1.1\r\nHost: a\r\nX : 1\r\n\r\n", 400, id="space-behind-a-name"),
    pytest.param(b"GET /x HTTP/1.1\r\n Host: a\r\n\r\n", 400, id="space-before-a-name"),
    pytest.param(CHUNKED + b" 1\r\nx\r\n0\r\n\r\n", 400, id="space-before-a-size"),
    pytest.param(CHUNKED + b"1 \r\nx\r\n0\r\n\r\n", 400, id="space-behind-a-size"),
    pytest.param(b"POST /x HTTP/1.1\r\nHost: a\r\n" + b"Content-Length: 1\r\n" * 2 + b"\r\nx", 400, id="two-lengths"),
    pytest.param(CHUNKED[:-2] + b"Content-Length: 6\r\n\r\n1\r\nx\r\n0\r\n\r\n", 400, id="length-and-coding"),
    pytest.param(CHUNKED.replace(b"chunked", b"gzip, chunked") + b"0\r\n\r\n", 400, id="another-coding"),
    pytest.param(CHUNKED.replace(b"chunked", b"chunked, chunked") + b"0\r\n\r\n", 400, id="coding-twice"),
    pytest.param(CHUNKED.replace(b"1.1", b"1.0") + b"0\r\n\r\n", 400, id="coding-in-http-1.0"),
    pytest.param(b"GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="delete-in-a-target"),
    pytest.param(b"GET /\xc3\xa9 HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="target-in-utf-8"),
    pytest.param(b"FETCH /x HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="unknown-method"),
    pytest.param(b"GET /x HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, id="two-hosts"),
    pytest.param(b"GET /x HTTP/1.1\r\n\r\n", 400, id="no-host"),
    pytest.param(b"GET /x HTTP/1.1\r\nHost: a/b\r\n\r\n", 400, id="host-that-is-none"),
    pytest.param(b"GET /x HTTP/2.0\r\nHost: a\r\n\r\n", 505, id="version-2"),
    pytest.param(b"GET /x HTTP/0.9\r\nHost: a\r\n\r\n", 505, id="version-0.9"),
    pytest.param(b"GET /x#y HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="fragment"),
]
LENIENT = [
    pytest.param(b"GET   /x   HTTP/1.1\r\nHost: a\r\n\r\n", "/x", id="spaces-between-the-parts"),
    pytest.param(b"\n\r\n\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n", "/x", id="empty-lines-before-it"),
    pytest.param(b"GET /x RTSP/1.0\r\nHost: a\r\n\r\n", "/x", id="rtsp"),
    pytest.param(b"SOURCE /x ICE/1.0\r\nHost: a\r\n\r\n", "/x", id="ice"),
    pytest.param(b'GET /"<>\\^`{|} HTTP/1.1\r\nHost: a\r\n\r\n', '/"<>\\^`{|}', id="target-that-is-not-encoded"),
]


@pytest.mark.parametrize(("payload", "status"), REFUSED)
async def test_a_request_that_is_refused_ends_its_connection(
    app: Recorder, proxy: ProxyProcess, admin: int, dev: DevProcess, payload: bytes, status: int
) -> None:
    paths = dict.fromkeys((proxy.port, *dev.ports.values()), b"/x") | {admin: b"/healthz", dev.invoke_port: INVOKE}
    for port, path in paths.items():
        async with raw_client(port) as client:
            await client.send(payload.replace(b"/x", path))
            answer = await client.answer()
            assert answer.status == status, port
            assert answer.headers["connection"] == "close"
            assert await client.rest() == b""
    assert app.requests == []


@pytest.mark.parametrize(("payload", "target"), LENIENT)
async def test_a_request_that_is_forgiven_is_written_anew(
    app: Recorder, proxy: ProxyProcess, payload: bytes, target: str
) -> None:
    assert (await ask(proxy.port, payload)).status == 200
    assert [each.target for each in app.requests] == [target]
    assert app.violations == []


OK = b"HTTP/1.1 200 OK\r\n"
IN_CHUNKS = OK + b"Transfer-Encoding: chunked\r\n\r\n"
RESPONSES = [
    pytest.param(OK + b"X: 1\r\n 2\r\nContent-Length: 2\r\n\r\nok", id="line-folding"),
    pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", id="line-feed-alone"),
    pytest.param(OK + b"X: 1\nContent-Length: 2\r\n\r\nok", id="line-feed-alone-behind-a-field"),
    pytest.param(OK + b"X: 1\rY: 2\r\nContent-Length: 2\r\n\r\nok", id="carriage-return-alone"),
    pytest.param(OK + b"Content-Length : 2\r\n\r\nok", id="space-behind-a-name"),
    pytest.param(OK + b" Content-Length: 2\r\n\r\nok", id="space-before-a-name"),
    pytest.param(OK + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok", id="two-lengths"),
    pytest.param(OK + b"Content-Length: 12\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", id="both"),
    pytest.param(OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", id="another-coding"),
    pytest.param(OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", id="coding-twice"),
    pytest.param(b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", id="coding-in-http-1.0"),
    pytest.param(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", id="version"),
    pytest.param(b"HTTP/1.1 200 O\0K\r\nContent-Length: 2\r\n\r\nok", id="control-in-a-reason"),
]
LATE = [
    pytest.param(IN_CHUNKS + b"2\nok\r\n0\r\n\r\n", id="line-feed-alone"),
    pytest.param(IN_CHUNKS + b" 2\r\nok\r\n0\r\n\r\n", id="space-before-a-size"),
    pytest.param(IN_CHUNKS + b"2\r\nok!\r\n0\r\n\r\n", id="longer-than-its-size"),
    pytest.param(IN_CHUNKS + b"2\r\nok\r\n0\r\nX y: 1\r\n\r\n", id="trailer-name"),
    pytest.param(IN_CHUNKS + b"2\r\nok\r\n0\r\nX: \0\r\n\r\n", id="trailer-value"),
]


@pytest.mark.parametrize("reply", RESPONSES)
async def test_a_response_that_is_not_http_is_502(app: Recorder, proxy: ProxyProcess, reply: bytes) -> None:
    app.replies["/x"] = reply
    answer = await ask(proxy.port, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
    assert (answer.status, answer.json()["error"]) == (502, "Adapter.InvalidAppResponse")
    assert (await ask(proxy.port, b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n")).body == b"/good"


@pytest.mark.parametrize("reply", LATE)
async def test_a_body_that_is_not_chunked_is_502_or_cut_off(app: Recorder, proxy: ProxyProcess, reply: bytes) -> None:
    app.replies["/x"] = reply
    async with raw_client(proxy.port) as client:
        await client.send(b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")
        answer = await client.rest() if (await client.head()).status == 200 else b""
    assert not answer.endswith(b"0\r\n\r\n")
    assert (await ask(proxy.port, b"GET /good HTTP/1.1\r\nHost: a\r\n\r\n")).body == b"/good"


async def test_white_space_behind_a_chunk_size_of_the_app_is_ignored(app: Recorder, proxy: ProxyProcess) -> None:
    app.replies["/x"] = IN_CHUNKS + b"2  \r\nok\r\n0 ;a=b\r\n\r\n"
    assert (await ask(proxy.port, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")).body == b"ok"


@pytest.mark.parametrize("door", DOORS)
async def test_in_events_and_payloads_text_is_utf_8_and_other_bytes_are_latin_1(
    app: Recorder, dev: DevProcess, door: str
) -> None:
    app.replies["/x"] = OK + b"X-Utf: \xc3\xa9\r\nX-Latin: \xe9\r\nContent-Length: 2\r\n\r\nok"
    answer = await ask(dev.ports[door], b"GET /x HTTP/1.1\r\nHost: a\r\nX-Utf: \xc3\xa9\r\nX-Latin: \xe9\r\n\r\n")
    (recorded,) = app.requests
    assert recorded.all("x-utf") == recorded.all("x-latin") == ["\xc3\xa9"]
    assert (answer.all("x-utf"), answer.all("x-latin")) == (["é"], ["é"])


def test_the_payload_of_the_runtime_is_json_whatever_bytes_the_app_sends(app: Recorder) -> None:
    app.replies["/x"] = b"HTTP/1.1 200 \xe9\r\nX: \xff\xfe\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
    environ = {"AWS_LWA_PORT": str(app.port), "AWS_LWA_READINESS_CHECK_PATH": PROBE}
    with ScriptedRuntimeApi() as api, RuntimeProcess(api, environ=environ):
        payload = api.invoke(function_url("/x")).answer().json()
    assert payload["headers"]["x"] == "\xff\xfe"
