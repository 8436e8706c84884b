"""From bytes to exchanges: the same however they are cut, bounded, and refused where they are not HTTP/1."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import suppress

import pytest

from adapter.net.server import BodyTruncatedError, Exchange, HttpServer, Limits
from adapter.net.server.connection import HttpConnection
from adapter.net.server.server_limits import BODY_HIGH_WATER, MAX_PIPELINED
from tests.net.server.serving import PATIENCE, Recorder, happened, read_all, serving
from tests.raw_client import ask, raw_client

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED_POST = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"

REQUESTS = [
    pytest.param(GET, id="no-body"),
    pytest.param(b"GET /a%2Fb/../c?x=%20&y HTTP/1.1\r\nhOsT: a:1\r\nX-A: 1\r\nX-A:  2 \r\nX-B:\r\n\r\n", id="headers"),
    pytest.param("GET / HTTP/1.1\r\nHost: a\r\nX: grün\r\n\r\n".encode(), id="utf-8"),
    pytest.param("GET / HTTP/1.1\r\nHost: a\r\nX: grün\r\n\r\n".encode("latin-1"), id="latin-1"),
    pytest.param(b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", id="asterisk"),
    pytest.param(b"GET http://b/x?y HTTP/1.1\r\nHost: a\r\n\r\n", id="absolute-form"),
    pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", id="length"),
    pytest.param(CHUNKED_POST + b"5;ext=1\r\nhello\r\n1\r\n!\r\n0\r\n\r\n", id="chunked"),
    pytest.param(CHUNKED_POST + b"2\r\nok\r\n0\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n", id="trailers"),
    pytest.param(b"POST / HTTP/1.0\r\nContent-Length: 2\r\n\r\nok", id="http-1.0"),
    pytest.param(GET + b"HEAD /2 HTTP/1.1\r\nHost: a\r\n\r\n" + GET, id="pipelined"),
    pytest.param(CHUNKED_POST + b"1\r\na\r\n0\r\n\r\n" + GET, id="pipelined-behind-a-body"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade, X\r\nUpgrade: h2c\r\n\r\n" + GET, id="upgrade"),
    pytest.param(
        CHUNKED_POST[:-2] + b"Connection: Upgrade\r\nUpgrade: x\r\n\r\n1\r\nh\r\n0\r\nT: 1\r\n\r\n" + GET, id="both"
    ),
    pytest.param(b"\r\n" + GET, id="empty-line-first"),
]


def cuts(raw: bytes) -> Iterator[list[bytes]]:
    """``raw`` whole, byte by byte, and cut in two at every position."""
    yield [raw]
    yield [raw[position : position + 1] for position in range(len(raw))]
    for position in range(1, len(raw)):
        yield [raw[:position], raw[position:]]


async def outcome(pieces: list[bytes]) -> tuple[object, ...]:
    """What ``serve`` and the client see when the connection reads exactly these pieces."""
    recorder = Recorder()
    ours, theirs = socket.socketpair()
    with theirs:
        theirs.setblocking(False)
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
            server = HttpServer(recorder, group, cancels=False)
            _, connection = await loop.connect_accepted_socket(lambda: HttpConnection(server), ours)
            for piece in pieces:
                connection.data_received(piece)
            theirs.shutdown(socket.SHUT_WR)
            answers = b""
            while data := await loop.sock_recv(theirs, 65536):
                answers += data
    seen = [
        (each.method, each.target, each.version, each.headers, each.upgrade, each.body.trailers, each.keep_alive)
        for each in recorder.exchanges
    ]
    return seen, recorder.bodies, answers


@pytest.mark.parametrize("raw", REQUESTS)
async def test_a_request_is_the_same_however_it_is_cut(raw: bytes) -> None:
    whole = await outcome([raw])
    assert whole[0]
    for pieces in cuts(raw):
        assert await outcome(pieces) == whole, pieces


async def test_what_serve_sees_is_what_was_sent() -> None:
    recorder = Recorder()
    async with serving(recorder) as running:
        await ask(
            running.port,
            b"POST /a%2Fb?x=%20 HTTP/1.1\r\nhOsT: a \t\r\nX-A: 1\r\nx-a: 2\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"2\r\nok\r\n0\r\nX-Sum: 7\r\n\r\n",
        )
    exchange = recorder.exchanges[0]
    assert (exchange.method, exchange.target, exchange.version) == ("POST", "/a%2Fb?x=%20", "1.1")
    assert exchange.headers == [("hOsT", "a"), ("X-A", "1"), ("x-a", "2"), ("Transfer-Encoding", "chunked")]
    assert recorder.bodies == [b"ok"]
    assert exchange.body.trailers == [("X-Sum", "7")]
    assert (exchange.client, exchange.upgrade) == ("127.0.0.1", "")


@pytest.mark.parametrize(
    ("head", "stays"),
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", True, id="1.1"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", False, id="1.1-close"),
        pytest.param(b"GET / HTTP/1.0\r\n\r\n", False, id="1.0"),
        pytest.param(b"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", True, id="1.0-keep-alive"),
    ],
)
async def test_the_connection_stays_as_the_request_says(head: bytes, stays: bool) -> None:
    async with serving(Recorder()) as running, raw_client(running.port) as client:
        await client.send(head)
        first = await client.answer()
        assert first.headers.get("connection") == ({True: "keep-alive"} if b"1.0" in head else {}).get(
            stays, None if stays else "close"
        )
        if stays:
            await client.send(head)
            assert (await client.answer()).body == b"ok"
        else:
            assert await client.rest() == b""


async def test_pipelined_requests_are_answered_in_order_even_beyond_the_bound() -> None:
    count = 10 * MAX_PIPELINED

    async def serve(exchange: Exchange) -> None:
        exchange.respond(200, [], exchange.target.encode())

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(b"".join(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number for number in range(count)))
        assert [(await client.answer()).body for _ in range(count)] == [b"/%d" % number for number in range(count)]


async def test_requests_that_wait_for_their_turn_are_left_in_the_socket() -> None:
    pipelined = GET * 600_000
    unread: list[int] = []

    async def serve(exchange: Exchange) -> None:
        # More rounds of the loop than it would take to read everything.
        for _ in range(500):
            await asyncio.sleep(0)
        unread.append(client.writer.transport.get_write_buffer_size())
        exchange.cut()

    async with serving(serve) as running, raw_client(running.port) as client:
        client.writer.write(pipelined)
        with suppress(ConnectionError):
            await client.rest()
    assert unread[0] > len(pipelined) // 2


REFUSED = [
    pytest.param(b"nonsense\r\n\r\n", 400, id="nonsense"),
    pytest.param(b"GET / HTTP/1.1\r\n\r\n", 400, id="no-host"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400, id="two-hosts"),
    pytest.param(b"GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400, id="two-hosts-1.0"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX : b\r\n\r\n", 400, id="space-before-colon"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400, id="folded"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\0c\r\n\r\n", 400, id="nul"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", 400, id="bare-cr"),
    pytest.param(b"GET / HTTP/1.1\nHost: a\n\n", 400, id="bare-lf"),
    pytest.param(b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n", 400, id="illegal-target"),
    pytest.param(
        b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n",
        400,
        id="length-and-chunked",
    ),
    pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", 400, id="lengths"),
    pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +2\r\n\r\n", 400, id="odd-length"),
    pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 400, id="gzip-chunked"),
    pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, x\r\n\r\n", 400, id="not-chunked-last"),
    pytest.param(b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400, id="chunked-1.0"),
    pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nExpect: tea\r\n\r\n", 417, id="odd-expectation"),
    pytest.param(b"GET / HTTP/2.0\r\n\r\n", 505, id="http-2.0"),
    pytest.param(b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 431, id="long-target"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 1200 + b"\r\n", 431, id="many-headers"),
    pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 100_000, 431, id="endless-header"),
]


@pytest.mark.parametrize(("head", "status"), REFUSED)
async def test_a_refused_head_gets_one_answer_and_is_not_served(head: bytes, status: int) -> None:
    recorder = Recorder()
    async with serving(recorder, limits=Limits(head_bytes=2000)) as running, raw_client(running.port) as client:
        await client.send(head + GET)
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (status, "close")
        assert await client.rest() == b""
    assert not recorder.exchanges


async def test_a_refusal_survives_a_client_that_is_still_sending() -> None:
    async with serving(Recorder(), limits=Limits(head_bytes=2000)) as running, raw_client(running.port) as client:
        await client.send(b"x" * 100_000)
        assert (await client.answer()).status == 400
        # What it goes on to send would be answered by a reset, if the server had closed.
        for _ in range(20):
            await client.send(b"x" * 100_000)
        client.half_close()
        assert await client.rest() == b""


async def test_a_refused_head_behind_a_good_one_waits_for_its_turn() -> None:
    async with serving(Recorder()) as running, raw_client(running.port) as client:
        await client.send(GET + b"nonsense\r\n\r\n")
        assert [(await client.answer()).status for _ in range(2)] == [200, 400]
        assert await client.rest() == b""


@pytest.mark.parametrize("begun", [pytest.param(b"GET / HT", id="head"), pytest.param(GET + b"G", id="next-head")])
async def test_a_head_that_does_not_arrive_in_time_is_answered_408(begun: bytes) -> None:
    limits = Limits(head_timeout=0.05, keep_alive_timeout=30)
    async with serving(Recorder(), limits=limits) as running, raw_client(running.port) as client:
        await client.send(begun)
        for _ in range(begun.count(GET)):
            assert (await client.answer()).status == 200
        assert (await client.answer()).status == 408
        assert await client.rest() == b""


async def test_a_client_that_sends_nothing_is_disconnected() -> None:
    limits = Limits(head_timeout=0.05, keep_alive_timeout=30)
    async with serving(Recorder(), limits=limits) as running, raw_client(running.port) as client:
        assert await client.rest() == b""


async def test_a_kept_connection_ends_when_nothing_more_comes() -> None:
    limits = Limits(head_timeout=30, keep_alive_timeout=0.05)
    async with serving(Recorder(), limits=limits) as running, raw_client(running.port) as client:
        await client.send(GET)
        assert (await client.answer()).status == 200
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(b"0\r\n" + b"X: y\r\n" * 500_000, id="trailers"),
        pytest.param(b"0\r\nX: " + b"y" * 3_000_000, id="one-trailer"),
        pytest.param(b"1;" + b"y" * 3_000_000, id="chunk-extension"),
    ],
)
async def test_what_surrounds_a_body_is_bounded_as_heads_are(flood: bytes) -> None:
    truncated = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        try:
            while await exchange.body.read():
                pass
        except BodyTruncatedError:
            assert len(exchange.body.trailers) < 400_000
            truncated.set()

    async with serving(serve) as running, raw_client(running.port) as client:
        client.writer.write(CHUNKED_POST + flood)
        await happened(truncated)


async def test_a_body_that_is_not_read_is_left_in_the_socket() -> None:
    most: list[int] = []

    async def serve(exchange: Exchange) -> None:
        # There is much more to read than these rounds of the loop could read.
        for _ in range(500):
            await asyncio.sleep(0)
            most.append(exchange.body.unread_bytes)
        exchange.respond(200, [], b"enough")

    async with serving(serve, limits=Limits(linger_timeout=0.05)) as running, raw_client(running.port) as client:
        client.writer.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n" + b"x" * 50_000_000)
        reply = await client.answer()
        assert (reply.body, reply.headers["connection"]) == (b"enough", "close")
        assert await client.rest() == b""
    assert BODY_HIGH_WATER < max(most) <= 2 * BODY_HIGH_WATER


async def test_a_client_that_finishes_its_unwanted_body_is_not_reset() -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.respond(413, [], b"too much")

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 20000000\r\n\r\n" + b"x" * 20_000_000)
        assert (await client.answer()).status == 413
        assert await client.rest() == b""


async def test_bytes_right_behind_the_head_reach_the_tunnel() -> None:
    received: list[bytes] = []
    ended = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        assert exchange.upgrade == "echo"
        tunnel = exchange.switch_protocols([("connection", "upgrade"), ("upgrade", "echo")])
        while data := await tunnel.read():
            received.append(data)
            await tunnel.write(data.upper())
        tunnel.write_eof()
        ended.set()

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: Echo\r\n\r\nGET / early")
        assert (await client.head()).status == 101
        assert await client.exactly(11) == b"GET / EARLY"
        await client.send(b"x" * 1_000_000)
        assert await client.exactly(1_000_000) == b"X" * 1_000_000
        client.half_close()
        await happened(ended)
        assert await client.rest() == b""
    assert b"".join(received) == b"GET / early" + b"x" * 1_000_000


UPGRADE = b"Connection: Upgrade\r\nUpgrade: h2c\r\n"


@pytest.mark.parametrize(
    "request_bytes",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\n" + UPGRADE + b"\r\n", id="get"),
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n" + UPGRADE + b"\r\nhi", id="length"),
        pytest.param(CHUNKED_POST[:-2] + UPGRADE + b"\r\n1\r\nh\r\n1\r\ni\r\n0\r\n\r\n", id="chunked"),
    ],
)
async def test_after_a_declined_upgrade_the_connection_goes_on(request_bytes: bytes) -> None:
    recorder = Recorder()
    async with serving(recorder) as running, raw_client(running.port) as client:
        await client.send(request_bytes + request_bytes + GET)
        assert [(await client.answer()).body for _ in range(3)] == [b"ok"] * 3
        await client.send(request_bytes)
        assert (await client.answer()).body == b"ok"
    has_body = request_bytes.startswith(b"POST")
    # An upgrade is not offered in the middle of a body.
    offer = "" if has_body else "h2c"
    assert [each.upgrade for each in recorder.exchanges] == [offer, offer, "", offer]
    assert recorder.bodies == [b"hi" if has_body else b""] * 2 + [b""] + [b"hi" if has_body else b""]


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\n\r\n", id="not-in-connection"),
        pytest.param(b"GET / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", id="http-1.0"),
    ],
)
async def test_an_upgrade_that_is_not_offered_properly_is_ignored(head: bytes) -> None:
    recorder = Recorder()
    async with serving(recorder) as running:
        await ask(running.port, head)
    assert recorder.exchanges[0].upgrade == ""


@pytest.mark.parametrize("offer", [pytest.param(b"", id="plain"), pytest.param(UPGRADE, id="upgrade-offered")])
@pytest.mark.parametrize("how", ["reset", "half-close"])
async def test_a_client_that_disconnects_cancels_its_request(how: str, offer: bytes) -> None:
    asked, cancelled = asyncio.Event(), asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        asked.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(b"GET / HTTP/1.1\r\nHost: a\r\n" + offer + b"\r\n")
        await happened(asked)
        if how == "reset":
            client.leave()
        else:
            client.half_close()
        await happened(cancelled)


async def test_a_request_outlives_its_client_if_the_server_does_not_cancel() -> None:
    asked, gone, finished = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        asked.set()
        await gone.wait()
        exchange.begin(200, [])
        with pytest.raises(ConnectionResetError):
            await exchange.write((b"too late",))
        finished.set()

    async with serving(serve, cancels=False) as running:
        async with raw_client(running.port) as client:
            await client.send(GET)
            await happened(asked)
            client.leave()
        await running.server.wait_until_drained()
        gone.set()
        await happened(finished)


async def test_a_client_that_only_half_closes_is_answered_if_the_server_does_not_cancel() -> None:
    async with serving(Recorder(), cancels=False) as running, raw_client(running.port) as client:
        await client.send(GET)
        client.half_close()
        assert (await client.answer()).body == b"ok"
        assert await client.rest() == b""


@pytest.mark.parametrize(
    ("more", "statuses"),
    [
        pytest.param(b"", [200], id="alone"),
        pytest.param(GET, [200, 200], id="pipelined"),
        pytest.param(b"GET / HTT", [200], id="part-of-a-head"),
        pytest.param(b"nonsense\r\n\r\n", [200, 400], id="refused"),
        pytest.param(UPGRADE, [200, 200], id="upgrade-offered"),
    ],
)
async def test_a_client_that_half_closes_gets_a_response_that_is_at_hand(more: bytes, statuses: list[int]) -> None:
    async def serve(exchange: Exchange) -> None:
        exchange.is_response_at_hand = lambda: True
        await exchange.disconnected
        exchange.respond(200, [], b"ok")

    async with serving(serve) as running, raw_client(running.port) as client:
        if more == UPGRADE:
            more = b"GET / HTTP/1.1\r\nHost: a\r\n" + UPGRADE + b"\r\n"
        await client.send(GET + more)
        client.half_close()
        for status in statuses:
            assert (await client.answer()).status == status
        assert await client.rest() == b""


@pytest.mark.parametrize(
    "cut",
    [
        pytest.param(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhel", id="length"),
        pytest.param(CHUNKED_POST + b"5\r\nhello\r\n", id="chunked"),
    ],
)
async def test_a_body_without_its_end_is_told_from_a_whole_one(cut: bytes) -> None:
    truncated = asyncio.Event()

    async def serve(exchange: Exchange) -> None:
        with pytest.raises(BodyTruncatedError):
            await read_all(exchange.body)
        truncated.set()

    async with serving(serve, cancels=False) as running, raw_client(running.port) as client:
        await client.send(cut)
        client.half_close()
        await happened(truncated)


async def test_broken_chunks_end_the_body_and_get_no_second_answer() -> None:
    async def serve(exchange: Exchange) -> None:
        with pytest.raises(BodyTruncatedError):
            await read_all(exchange.body)
        exchange.respond(400, [], b"broken")

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(CHUNKED_POST + b"2\r\nok\r\nnonsense\r\n" + GET)
        assert (await client.answer()).body == b"broken"
        assert await client.rest() == b""
