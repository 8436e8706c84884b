"""An app whose replies end too early, at every byte: the client can always tell, and no part passes for the whole."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from tests.hardening import figures
from tests.hardening.ways import WAYS, way_to
from tests.scripted_app import Received, ScriptedApp, response

BODY = bytes(range(32, 127))
LENGTH = response(BODY, "Content-Type: text/plain", "X-A: b")
CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"20\r\n%b\r\n3;ext=1\r\n%b\r\n3c\r\n%b\r\n0\r\nX-Trailer: t\r\n\r\n"
) % (BODY[:32], BODY[32:35], BODY[35:])
UNTIL_EOF = b"HTTP/1.0 200 OK\r\nContent-Type: text/plain\r\n\r\n" + BODY


def ends_after(count: int, reply: bytes, received: Received) -> None:
    received.send(reply[:count])
    received.hang_up()


def resets_after(count: int, reply: bytes, received: Received) -> None:
    received.reset_on_close()
    received.send(reply[:count])
    received.headers["connection"] = "close"


# Every cut of every kind of reply. A body that lasts until the connection ends has no mark of its end but that, so that
# only a reset can break it off, and one right behind its last byte does.
CUTS: list[tuple[bytes, Callable[[Received], None]]] = [
    *((LENGTH[:count], partial(ends_after, count, LENGTH)) for count in range(len(LENGTH))),
    *((LENGTH[:count], partial(resets_after, count, LENGTH)) for count in range(len(LENGTH))),
    *((CHUNKED[:count], partial(ends_after, count, CHUNKED)) for count in range(len(CHUNKED))),
    *((UNTIL_EOF[:count], partial(resets_after, count, UNTIL_EOF)) for count in range(len(UNTIL_EOF) + 1)),
]


@pytest.mark.parametrize("name", WAYS)
def test_every_cut_reply_is_told_from_a_whole_one(name: str) -> None:
    detected = 0
    with ScriptedApp() as app, way_to(app.port, name) as way:
        for whole in (LENGTH, CHUNKED):
            app.default = whole
            assert (way.ask("/").kind, way.ask("/").body) == ("whole", BODY)
        app.default = partial(ends_after, len(UNTIL_EOF), UNTIL_EOF)
        assert way.ask("/").body == BODY
        for sent, app.default in CUTS:
            outcome = way.ask("/")
            assert outcome.kind != "whole", sent
            assert BODY.startswith(outcome.body), sent
            head_came = b"\r\n\r\n" in sent
            if name.endswith("buffered") or not head_came:
                assert outcome.kind == "error", sent
            detected += 1
    figures.show(f"truncated replies, {name}", f"{detected} of {len(CUTS)} detected, 0 passed off as whole")
