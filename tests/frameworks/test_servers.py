"""The proxy and the runtime, each in front of every server that people use: what they carry is the same for all.

Each app runs once for each way in. A test about what only one server does belongs elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from base64 import b64decode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from signal import SIGKILL, SIGTERM
from time import monotonic
from typing import NamedTuple

import pytest

from tests.apps import app_dir
from tests.frameworks.ways_in import ViaRuntime, WayIn, via_proxy, via_runtime

HERE = Path(__file__).resolve().parent
BINARY = bytes(range(256)) * 3
MIB = 1024**2


class Server(NamedTuple):
    """``command`` starts it in ``directory``; it is a Python module's unless ``program`` names another one.

    ``exit_code`` is what it ends with after SIGTERM: some raise the signal again once they have shut down.
    """

    directory: Path
    command: str
    program: str | None = None
    exit_code: int = 0

    def command_line(self) -> list[str]:
        return [*([sys.executable, "-m"] if self.program is None else [self.program]), *self.command.split()]


TERMINATED, KILLED = 128 + SIGTERM, 128 + SIGKILL

FASTAPI, FLASK, DJANGO = app_dir("fastapi"), app_dir("flask"), HERE / "django_app"

SERVERS = {
    "uvicorn": Server(FASTAPI, "uvicorn main:app --port {port} --log-level warning", exit_code=TERMINATED),
    "hypercorn": Server(FASTAPI, "hypercorn main:app --bind 127.0.0.1:{port}"),
    "granian": Server(FASTAPI, "granian main:app --interface asgi --host 127.0.0.1 --port {port}"),
    "gunicorn": Server(FLASK, "gunicorn main:app --bind 127.0.0.1:{port} --threads 4 --no-control-socket"),
    "waitress": Server(FLASK, "waitress --listen=127.0.0.1:{port} main:app", exit_code=TERMINATED),
    "django": Server(DJANGO, "uvicorn main:app --port {port} --log-level warning", exit_code=TERMINATED),
    "node": Server(HERE / "node_app", "server.js {port}", program="node"),
}
WAYS_IN: dict[str, Callable[[Path, list[str]], AbstractContextManager[WayIn]]] = {
    "proxy": via_proxy,
    "runtime": via_runtime,
}


@pytest.fixture(scope="module", params=SERVERS)
def server(request: pytest.FixtureRequest) -> Server:
    return SERVERS[request.param]


@pytest.fixture(scope="module", params=WAYS_IN)
def way_in(request: pytest.FixtureRequest, server: Server) -> Iterator[WayIn]:
    if server.program is not None and shutil.which(server.program) is None:
        # Where everything is to be tested this is a failure; on a machine that lacks the means it is said aloud.
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"NOT TESTED: {server.program} is not installed")
    with WAYS_IN[request.param](server.directory, server.command_line()) as running:
        yield running


def pattern(size: int) -> bytes:
    """Return the body of ``/download?bytes=size``."""
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def test_json(way_in: WayIn) -> None:
    answer = way_in.ask("/")

    assert (answer.status, answer.is_cut) == (200, False)
    assert answer.headers["content-type"] == "application/json"
    assert answer.json()["framework"] in ("fastapi", "flask", "django", "node")


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_the_method_the_raw_path_the_query_and_the_body_arrive_as_they_are(way_in: WayIn, method: str) -> None:
    body = b"" if method in ("GET", "OPTIONS") else BINARY
    answer = way_in.ask("/echo/a%2Fb/%E2%82%AC//c?x=1&x=%20+&e=", method, body=body, headers={"x-own": "a b"})

    echo = answer.json()
    assert (echo["method"], echo["path"], echo["query"]) == (method, "/echo/a%2Fb/%E2%82%AC//c", "x=1&x=%20+&e=")
    assert b64decode(echo["body"]) == body
    assert ["x-own", "a b"] in [[name.lower(), value] for name, value in echo["headers"]]


def test_the_pieces_of_a_stream_come_when_they_are_sent(way_in: WayIn) -> None:
    arrivals, body = [], b""
    for piece in way_in.pieces("/stream?chunks=3&interval=0.2"):
        arrivals.append(monotonic())
        body += piece

    assert body == b"chunk 1 of 3\nchunk 2 of 3\nchunk 3 of 3\n"
    # 0.4 s were spent between the first and the last; half of it is left for a machine that is busy.
    assert arrivals[-1] - arrivals[0] > 0.2


@pytest.mark.parametrize("size", [0, 1, 3 * MIB + 1])
def test_a_download_is_the_same_byte_for_byte(way_in: WayIn, size: int) -> None:
    answer = way_in.ask(f"/download?bytes={size}")

    assert (answer.status, answer.is_cut) == (200, False)
    assert answer.body == pattern(size)


@pytest.mark.parametrize("size", [0, 4 * MIB])
def test_an_upload_has_its_digest(way_in: WayIn, size: int) -> None:
    body = pattern(size)

    answer = way_in.ask("/upload", "POST", body=body, headers={"content-type": "application/octet-stream"})

    assert answer.json() == {"length": size, "sha256": hashlib.sha256(body).hexdigest()}


def test_two_cookies_come_apart(way_in: WayIn) -> None:
    answer = way_in.ask("/cookies", headers={"cookie": "a=1; b=2"})

    session, theme = answer.all("set-cookie")
    assert session.startswith("session=abc123;")
    assert "expires=fri, 01 jan 2038 00:00:00 gmt" in theme.lower()
    assert answer.json() == {"received": {"a": "1", "b": "2"}}


def test_two_lines_of_cookies_are_read_as_one(way_in: WayIn) -> None:
    answer = way_in.ask("/cookies", headers={"cookie": "a=1", "Cookie": "b=2"})

    assert answer.json() == {"received": {"a": "1", "b": "2"}}


def test_204_has_no_body(way_in: WayIn) -> None:
    answer = way_in.ask("/status/204")

    assert (answer.status, answer.body, answer.is_cut) == (204, b"", False)


@pytest.mark.parametrize("target", ["/", "/download?bytes=70000"])
def test_head_is_answered_without_a_body(way_in: WayIn, target: str) -> None:
    answer = way_in.ask(target, "HEAD")

    assert (answer.status, answer.body, answer.is_cut) == (200, b"", False)
    assert way_in.ask("/status/204").status == 204


def test_a_crash_in_mid_stream_is_told_from_an_end(way_in: WayIn) -> None:
    answer = way_in.ask("/crash-midstream?bytes=100000")

    assert (answer.status, answer.is_cut) == (200, True)
    assert answer.body == pattern(100000)
    assert json.loads(way_in.ask("/").body)


def test_sigterm_ends_it_all(way_in: WayIn, server: Server) -> None:
    """The last test of an app: nothing runs after it."""
    code = way_in.end()

    # On Lambda, a process that has not ended within 300 ms is killed. If the workers end first, their master exits with
    # 1.
    assert code == server.exit_code or (code in (KILLED, 1) and isinstance(way_in, ViaRuntime))
