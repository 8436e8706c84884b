"""Servers that close a connection without a word: no request right behind it fails, and none is executed twice."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.frameworks.ways_in import WayIn, via_proxy, via_runtime

APP = Path(__file__).resolve().parent / "closing_app"
SERVERS = {
    "uvicorn": "uvicorn main:app --port {port} --log-level critical",
    "hypercorn": "hypercorn main:app --bind 127.0.0.1:{port} --keep-alive 0 --log-level critical",
}
WAYS_IN: dict[str, Callable[[Path, list[str]], AbstractContextManager[WayIn]]] = {
    "proxy": via_proxy,
    "runtime": via_runtime,
}
REQUESTS = 40
BODY = b"x" * 1000
# A POST is sent once, so only what its connection is like can save it.
METHODS = {"GET": b"", "HEAD": b"", "OPTIONS": b"", "DELETE": b"", "PUT": BODY, "POST": BODY, "PATCH": BODY}


@pytest.fixture(scope="module", params=WAYS_IN)
def ways(request: pytest.FixtureRequest) -> Iterator[dict[str, WayIn]]:
    """Yield the app behind each of the servers."""
    start = WAYS_IN[request.param]
    commands = {name: [sys.executable, "-m", *command.split()] for name, command in SERVERS.items()}
    with start(APP, commands["uvicorn"]) as uvicorn, start(APP, commands["hypercorn"]) as hypercorn:
        yield {"uvicorn": uvicorn, "hypercorn": hypercorn}


def failures(way: WayIn, before: str, method: str) -> list[str]:
    """What became of the failed ones among ``REQUESTS`` requests, each right behind a GET for ``before``."""
    failed = []
    for number in range(REQUESTS):
        way.ask(f"{before}/before-{method}-{number}")
        try:
            answer = way.ask(f"/x/{before}{method}-{number}", method, body=METHODS[method])
        except AssertionError as error:
            failed.append(str(error))
            continue
        if answer.status != 200:
            failed.append(str(answer.status))
        elif method in ("POST", "PATCH"):
            assert answer.headers["executed"] == "1"
    return failed


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("before", ["/500", "/200"])
def test_no_request_right_behind_a_crash_fails(ways: dict[str, WayIn], before: str, method: str) -> None:
    assert failures(ways["uvicorn"], before, method) == []


@pytest.mark.parametrize("method", METHODS)
def test_no_request_fails_where_the_server_closes_after_each_response(ways: dict[str, WayIn], method: str) -> None:
    assert failures(ways["hypercorn"], "/x", method) == []
