"""Responses through a real proxy process, between a raw client and an app that follows a script."""

from __future__ import annotations

import json

import pytest

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT, MIB
from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import CHUNKED, GET, Permission, error_of, get, pieces_on
from tests.raw_client import ask, raw_client
from tests.scripted_app import Received, ScriptedApp, response


async def test_each_piece_arrives_before_the_app_makes_the_next(app: ScriptedApp, proxy: int) -> None:
    permission = Permission()
    app.replies["/stream"] = pieces_on(permission, b"one", b"two", b"three")
    async with raw_client(proxy) as client:
        await client.send(get("/stream"))
        assert (await client.head()).headers["content-type"] == "text/plain"
        for expected in (b"one", b"two", b"three"):
            permission.give()
            assert await client.chunk() == expected
        assert await client.chunk() == b""
        assert await client.trailers() == []


async def test_a_length_is_kept_and_so_is_the_connection(app: ScriptedApp, proxy: int) -> None:
    app.default = response(b"x" * 1000)
    async with raw_client(proxy) as client:
        for _ in range(3):
            await client.send(GET)
            answer = await client.answer()
            assert (answer.body, answer.headers["content-length"]) == (b"x" * 1000, "1000")
    assert len({received.connection for received in app.requests}) == 1


async def test_a_body_until_the_end_of_the_connection_is_complete(app: ScriptedApp, proxy: int) -> None:
    def reply(received: Received) -> None:
        received.send(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        received.hang_up()

    app.default = reply
    answer = await ask(proxy, GET)
    assert (answer.body, answer.is_cut) == (b"all of it", False)


async def test_headers_are_passed_on_except_connection_headers(app: ScriptedApp, proxy: int) -> None:
    app.default = response(
        b"", "Set-Cookie: a=1", "Set-Cookie: b=2", "Connection: X-Private", "X-Private: 1", "Keep-Alive: timeout=5"
    )
    answer = await ask(proxy, GET)
    assert [value for name, value in answer.pairs if name == "set-cookie"] == ["a=1", "b=2"]
    assert not {"x-private", "keep-alive", "connection"} & set(answer.headers)


async def test_interim_responses_and_trailers_are_passed_on(app: ScriptedApp, proxy: int) -> None:
    app.default = (
        b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n" + CHUNKED + b"2\r\nok\r\n0\r\nX-Sum: 7\r\nTE: x\r\n\r\n"
    )
    async with raw_client(proxy) as client:
        await client.send(GET)
        early = await client.head()
        assert (early.status, early.headers["link"]) == (103, "</a.css>")
        answer = await client.answer()
    assert (answer.body, answer.trailers) == (b"ok", [("X-Sum", "7")])


@pytest.mark.parametrize(
    "mode", [pytest.param("response_stream", id="streamed"), pytest.param("buffered", id="buffered")]
)
@pytest.mark.parametrize(
    ("method", "reply", "expected"),
    [
        pytest.param(
            "HEAD",
            b"HTTP/1.1 200 OK\r\nContent-Length: 5000\r\nETag: x\r\n\r\n",
            (200, {"content-length": "5000", "etag": "x"}),
            id="head",
        ),
        pytest.param(
            "HEAD", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", (200, {}), id="head-of-a-stream"
        ),
        pytest.param(
            "GET",
            b"HTTP/1.1 304 Not Modified\r\nETag: x\r\nCache-Control: max-age=5\r\nContent-Length: 9\r\n\r\n",
            (304, {"etag": "x", "cache-control": "max-age=5", "content-length": "9"}),
            id="304",
        ),
        pytest.param("GET", b"HTTP/1.1 204 No Content\r\nX-A: 1\r\n\r\n", (204, {"x-a": "1"}), id="204"),
    ],
)
async def test_responses_without_a_body_keep_their_headers(
    app: ScriptedApp,
    buffering: int,
    proxy: int,
    mode: str,
    method: str,
    reply: bytes,
    expected: tuple[int, dict[str, str]],
) -> None:
    app.default = reply
    async with raw_client(buffering if mode == "buffered" else proxy) as client:
        for _ in range(2):
            await client.send(get("/", method=method))
            answer = await client.answer(method=method)
            kept = {name: value for name, value in answer.headers.items() if name != "x-request-id"}
            assert (answer.status, kept) == expected
    # No one waits for a body. If the head has a length, a body could still come and look like the next response.
    names_body = b"Content-Length" in reply or b"chunked" in reply
    assert len({received.connection for received in app.requests}) == (2 if names_body else 1)


async def test_a_stream_is_cut_off_at_its_limit(app: ScriptedApp) -> None:
    app.replies["/exact"] = response(b"x" * 1000)
    app.replies["/more"] = CHUNKED + b"3e9\r\n" + b"x" * 1001 + b"\r\n0\r\n\r\n"
    with ProxyProcess("--stream-limit", "1000", app_port=app.port) as proxy:
        assert not (await ask(proxy.port, get("/exact"))).is_cut
        answer = await ask(proxy.port, get("/more"))
        assert (answer.status, answer.body, answer.is_cut) == (200, b"x" * 1000, True)
        assert "error=Adapter.ResponseTooLarge" in proxy.wait_for_line("/more")


async def test_a_buffered_response_is_sent_with_its_length(app: ScriptedApp, buffering: int) -> None:
    app.default = CHUNKED + b"3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n"
    answer = await ask(buffering, GET)
    assert (answer.body, answer.headers["content-length"]) == (b"onetwo", "6")


async def test_the_largest_buffered_response_passes(app: ScriptedApp, buffering: int) -> None:
    app.default = response(b"x" * BUFFERED_RESPONSE_LIMIT)
    assert len((await ask(buffering, GET)).body) == BUFFERED_RESPONSE_LIMIT


@pytest.mark.parametrize("has_length", [pytest.param(True, id="length"), pytest.param(False, id="chunked")])
async def test_a_buffered_response_over_the_limit_is_a_named_502(
    app: ScriptedApp, buffering: int, has_length: bool
) -> None:
    size = BUFFERED_RESPONSE_LIMIT + 1
    body = b"x" * size
    app.default = response(body) if has_length else CHUNKED + b"%x\r\n%b\r\n0\r\n\r\n" % (size, body)
    answer = await ask(buffering, GET)
    assert (answer.status, error_of(answer)) == (502, "Adapter.ResponseTooLarge")
    # The log has what to change; the client must not see it.
    assert json.loads(answer.body)["message"] == "Bad Gateway"


async def test_a_truncated_buffered_response_is_an_error_and_not_a_partial_200(
    app: ScriptedApp, buffering: int
) -> None:
    def reply(received: Received) -> None:
        received.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\npart")
        received.hang_up()

    app.default = reply
    answer = await ask(buffering, GET)
    assert (answer.status, error_of(answer)) == (502, "Adapter.TruncatedResponse")


async def test_nothing_is_capped_below_the_burst(app: ScriptedApp) -> None:
    app.default = response(b"x" * 6 * MIB)
    with ProxyProcess("--bandwidth", "lambda", app_port=app.port) as proxy:
        assert len((await ask(proxy.port, GET)).body) == 6 * MIB
        assert "heldMs" not in proxy.wait_for_line("request requestId")
