"""An app that answers in every wrong way: what can be read is passed on, what cannot is an error.

Neither spoils the next request.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from tests.hardening import figures
from tests.hardening.ways import WAYS, Way, way_to
from tests.scripted_app import PATIENCE, Received, Reply, ScriptedApp, response

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def drips(received: Received) -> None:
    reply = (
        response(b"drop by drop", "X-A: 1")
        if received.target == "/length"
        else CHUNKED + b"c\r\ndrop by drop\r\n0\r\n\r\n"
    )
    for byte in reply:
        received.send(bytes([byte]))


def floods_with_interim_heads(received: Received) -> None:
    interim = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 1000
    try:
        while True:
            received.send(interim)
    finally:
        received.hang_up()


def sends(reply: bytes) -> Reply:
    """``reply``, and then the end of the connection."""

    def send(received: Received) -> None:
        received.send(reply)
        received.hang_up()

    return send


def closes_at_once(received: Received) -> None:
    received.hang_up()


def resets_at_once(received: Received) -> None:
    received.reset_on_close()
    received.headers["connection"] = "close"


READABLE = [
    pytest.param(drips, 200, b"drop by drop", id="drips"),
    pytest.param(b"HTTP/1.1 100 Continue\r\n\r\n" + response(b"ok"), 200, b"ok", id="100"),
    pytest.param(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n" * 500 + response(b"ok"), 200, b"ok", id="many-103"),
    pytest.param(
        b"HTTP/1.1 102 Processing\r\nContent-Length: 5\r\n\r\n" + response(b"ok"), 200, b"ok", id="102-length"
    ),
    pytest.param(response(b"odd", status=999), 999, b"odd", id="status-999"),
    pytest.param(b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\nok", 200, b"ok", id="no-reason"),
    pytest.param(sends(b"HTTP/1.0 200 OK\r\n\r\nold"), 200, b"old", id="http-1.0-to-the-end"),
    pytest.param(
        b"HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nold", 200, b"old", id="http-1.0"
    ),
    pytest.param(sends(OK + b"\r\nto the end"), 200, b"to the end", id="no-framing"),
    pytest.param(OK + b"Content-Length: 2\r\n\r\nokand more", 200, b"ok", id="more-than-its-length"),
    pytest.param(CHUNKED + b"2\r\nok\r\n0\r\n\r\nHTTP/1.1 200 OK\r\n", 200, b"ok", id="more-than-its-chunks"),
    pytest.param(CHUNKED + b"2\r\nok\r\n0\r\nX-T: 1\r\n\r\n", 200, b"ok", id="trailers"),
    pytest.param(b"HTTP/1.1 204 No Content\r\nContent-Length: 4\r\n\r\nbody", 204, b"", id="204-with-a-body"),
    pytest.param(b"HTTP/1.1 304 Not Modified\r\nContent-Length: 4\r\n\r\nbody", 304, b"", id="304-with-a-body"),
    pytest.param(
        b"HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
        204,
        b"",
        id="204-with-chunks",
    ),
]

UNREADABLE = [
    pytest.param(closes_at_once, id="closes-at-once"),
    pytest.param(resets_at_once, id="resets-at-once"),
    pytest.param(floods_with_interim_heads, id="1xx-without-end"),
    pytest.param(OK + b"X-A: 1\r\n folded\r\nContent-Length: 2\r\n\r\nok", id="obs-fold"),
    pytest.param(OK + b"X-A: 1\r\n\tfolded\r\nContent-Length: 2\r\n\r\nok", id="obs-fold-tab"),
    pytest.param(OK + b"X-A : 1\r\nContent-Length: 2\r\n\r\nok", id="space-before-colon"),
    pytest.param(OK + b"no colon\r\nContent-Length: 2\r\n\r\nok", id="no-colon"),
    pytest.param(OK + b": empty name\r\nContent-Length: 2\r\n\r\nok", id="empty-name"),
    pytest.param(OK + b"X-A: a\0b\r\nContent-Length: 2\r\n\r\nok", id="nul-in-a-value"),
    pytest.param(OK + b"X-A: a\rb\r\nContent-Length: 2\r\n\r\nok", id="cr-in-a-value"),
    pytest.param(b"HTTP/1.1 200 OK\nContent-Length: 2\n\nok", id="bare-lf"),
    pytest.param(b"\r\n" + response(b"ok"), id="empty-line-first"),
    pytest.param(sends(OK + b"Content-Length: 9\r\n\r\nok"), id="less-than-its-length"),
    pytest.param(OK + b"Content-Length: -2\r\n\r\nok", id="negative-length"),
    pytest.param(OK + b"Content-Length: +2\r\n\r\nok", id="signed-length"),
    pytest.param(OK + b"Content-Length: 0x2\r\n\r\nok", id="hexadecimal-length"),
    pytest.param(OK + b"Content-Length: \r\n\r\nok", id="empty-length"),
    pytest.param(OK + b"Content-Length: 99999999999999999999999\r\n\r\nok", id="endless-length"),
    pytest.param(OK + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\nok", id="two-lengths"),
    pytest.param(OK + b"Content-Length: 2, 2\r\n\r\nok", id="list-of-lengths"),
    pytest.param(
        OK + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", id="both-framings"
    ),
    pytest.param(sends(OK + b"Transfer-Encoding: gzip\r\n\r\nok"), id="another-coding"),
    pytest.param(OK + b"Transfer-Encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n", id="chunked-twice"),
    pytest.param(CHUNKED + b"-2\r\nok\r\n0\r\n\r\n", id="negative-chunk"),
    pytest.param(CHUNKED + b"0x2\r\nok\r\n0\r\n\r\n", id="chunk-with-0x"),
    pytest.param(CHUNKED + b"g\r\nok\r\n0\r\n\r\n", id="no-hexadecimal"),
    pytest.param(CHUNKED + b"ffffffffffffffffff\r\nok\r\n0\r\n\r\n", id="endless-chunk"),
    pytest.param(CHUNKED + b"1\r\nok\r\n0\r\n\r\n", id="more-than-its-chunk"),
    pytest.param(sends(CHUNKED + b"5\r\nok\r\n0\r\n\r\n"), id="less-than-its-chunk"),
    pytest.param(CHUNKED + b"2\nok\n0\n\n", id="chunks-with-bare-lf"),
    pytest.param(CHUNKED + b"2\r\nok\r\n0\r\nno colon\r\n\r\n", id="trailer-without-colon"),
    pytest.param(CHUNKED + b"2\r\nok\r\n0\r\nX: a\rb\r\n\r\n", id="cr-in-a-trailer"),
    pytest.param(sends(b"SSH-2.0-OpenSSH_9.6\r\n"), id="ssh"),
    pytest.param(sends(b"\x15\x03\x03\x00\x02\x02\x46"), id="tls"),
    pytest.param(sends(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), id="http-2-preface"),
    pytest.param(b"HTTP/2.0 200 OK\r\nContent-Length: 2\r\n\r\nok", id="http-2-as-text"),
    pytest.param(sends(b"\0" * 100_000), id="nothing-but-nul"),
    pytest.param(b"HTTP/1.1 20 OK\r\nContent-Length: 2\r\n\r\nok", id="status-of-two-digits"),
    pytest.param(b"HTTP/1.1 2000 OK\r\nContent-Length: 2\r\n\r\nok", id="status-of-four-digits"),
    pytest.param(b"HTTP/1.1 000 OK\r\nContent-Length: 2\r\n\r\nok", id="status-0"),
    pytest.param(sends(OK + b"X-A: " + b"a" * 2_000_000 + b"\r\n\r\n"), id="head-of-2-mb"),
    pytest.param(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", id="unasked-101"),
]


# One entry for each misdeed that was dealt with, in one way.
DEALT_WITH: list[str] = []


@pytest.fixture(scope="module")
def scripted() -> Iterator[ScriptedApp]:
    with ScriptedApp() as app:
        app.replies["/next"] = response(b"the next one")
        yield app


@pytest.fixture(scope="module", params=WAYS)
def way(request: pytest.FixtureRequest, scripted: ScriptedApp) -> Iterator[Way]:
    with way_to(scripted.port, request.param) as made:
        yield made


def assert_served(way: Way) -> None:
    outcome = way.ask("/next")
    assert (outcome.kind, outcome.body) == ("whole", b"the next one")
    DEALT_WITH.append("and the next one served")


@pytest.mark.parametrize(("reply", "status", "body"), READABLE)
def test_what_can_be_read_is_passed_on(scripted: ScriptedApp, way: Way, reply: Reply, status: int, body: bytes) -> None:
    scripted.default = reply
    for target in ("/length", "/chunked"):
        outcome = way.ask(target)
        assert (outcome.kind, outcome.status, outcome.body) == ("whole", status, body)
    assert_served(way)


@pytest.mark.parametrize("reply", UNREADABLE)
def test_what_cannot_be_read_is_an_error(scripted: ScriptedApp, way: Way, reply: Reply) -> None:
    scripted.default = reply
    assert way.ask("/").kind != "whole"
    assert_served(way)


@pytest.mark.parametrize(
    ("method", "head"),
    [
        pytest.param("HEAD", OK + b"Content-Length: 38\r\n\r\n", id="head"),
        pytest.param("HEAD", OK + b"Transfer-Encoding: chunked\r\n\r\n", id="head-of-a-stream"),
        pytest.param("GET", b"HTTP/1.1 204 No Content\r\nContent-Length: 38\r\n\r\n", id="204"),
        pytest.param("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 38\r\n\r\n", id="304"),
    ],
)
def test_a_body_that_comes_too_late_is_not_taken_for_the_next_response(
    scripted: ScriptedApp, way: Way, method: str, head: bytes
) -> None:
    asked_again = threading.Event()

    def reply(received: Received) -> None:
        received.send(head)
        asked_again.wait(PATIENCE)
        received.send(response(b"poison"))

    def next_reply(received: Received) -> None:
        asked_again.set()
        received.send(response(b"the right one"))

    scripted.default = reply
    scripted.replies["/again"] = next_reply
    first = way.ask("/", method=method)
    assert (first.kind, first.body) == ("whole", b"")
    # Where the connection is used again, the poison is the answer as soon as the app has waited long enough.
    threading.Timer(0.5, asked_again.set).start()
    assert way.ask("/again").body == b"the right one"
    assert_served(way)


def test_figure() -> None:
    figures.show(
        "misbehaving app", f"{len(DEALT_WITH)} misdeeds dealt with, in {len(WAYS)} ways, and as many next ones served"
    )
