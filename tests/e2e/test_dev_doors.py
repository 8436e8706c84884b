"""``adapter dev`` with several front doors, faults and recordings: real processes, a real app, real clients."""

from __future__ import annotations

import gzip
import http.client
import json
import os
import re
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from tests.answer import Answer, read_answer
from tests.apps import app_command, app_dir
from tests.e2e.local_lambda import LocalLambda, local_lambda
from tests.e2e.output import PATIENCE

DOORS = ("function-url", "http-api", "rest-api", "alb", "alb-multi-value", "lattice", "lattice-v1")
PATTERN = bytes(range(251))


def ports(running: LocalLambda) -> list[int]:
    """Where the front doors are, in their order, as the start lines tell."""
    running.output.wait_for("curl -N")
    return [int(port) for port in re.findall(r" at http://127\.0\.0\.1:(\d+)/", running.output.text)]


def ask(port: int, target: str, *, method: str = "GET", body: bytes | None = None) -> Answer:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
        connection.request(method, target, body, {"Content-Type": "text/plain"})
        return read_answer(connection.getresponse())


@pytest.mark.parametrize("invoke_mode", ["buffered", "response_stream"])
def test_every_front_door_at_once_shows_the_app_the_same_request(invoke_mode: str) -> None:
    flags = [part for door in DOORS for part in ("--front-door", door)] + ["--invoke-mode", invoke_mode]
    command = app_command("fastapi")
    with local_lambda(*command, directory=app_dir("fastapi"), flags=(*flags, "--environments", "1")) as running:
        found = ports(running)
        assert len(found) == len(DOORS)
        for door, port in zip(DOORS, found, strict=True):
            seen = json.loads(ask(port, "/echo/a%2Fb?x=1", method="POST", body=b"hi").body)
            # An HTTP API decodes paths.
            path = "/echo/a/b" if door == "http-api" else "/echo/a%2Fb"
            assert (seen["method"], seen["path"], seen["query"]) == ("POST", path, "x=1"), door
            assert seen["body"] == "aGk="
            assert ask(port, "/status/404").status == 404
            assert f"{door} GET /status/404 404" in running.output.wait_for(f"{door} GET /status/404")


def test_an_app_that_is_killed_amid_its_response_cuts_it_and_the_next_request_works() -> None:
    flags = ("--fault", "kill=1000@x-fault", "--environments", "1")
    with local_lambda(*app_command("fastapi"), directory=app_dir("fastapi"), flags=flags) as running:
        assert running.ask("/status/200").status == 200
        with running.connect() as connection:
            connection.request("GET", "/stream?chunks=2000&interval=0.01", headers={"X-Fault": "1"})
            response = connection.getresponse()
            with pytest.raises(http.client.IncompleteRead):
                response.read()
        assert "Truncated" in running.output.wait_for("GET /stream 200")
        assert running.ask("/status/201").status == 201
        assert "cold start" in running.output.wait_for("GET /status/201 201")


def test_an_init_that_fails_on_purpose_is_told_as_one_that_failed_by_itself() -> None:
    with local_lambda(*app_command("flask"), directory=app_dir("flask"), flags=("--fault", "init")) as running:
        assert running.ask("/").status == 502
        assert "exit status 1" in running.output.wait_for("GET / 502")


def test_a_recorded_request_can_be_made_again(tmp_path: Path) -> None:
    flags = ("--record", str(tmp_path))
    with local_lambda(*app_command("flask"), directory=app_dir("flask"), flags=flags) as running:
        assert running.ask("/download?bytes=251").body == PATTERN
        running.output.wait_for("GET /download 200")
        (recording,) = tmp_path.iterdir()
        again = subprocess.run(
            [sys.executable, "-I", "-m", "adapter", "invoke", str(recording)],
            env={"PATH": os.environ["PATH"], "ADAPTER_INVOKE_PORT": str(running.invoke_port)},
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
        assert again.returncode == 0
        assert again.stdout.endswith(PATTERN)
        assert b"the answer equals the recorded one" in again.stderr


def test_a_compressed_stream_is_plain_from_a_function_url_and_compressed_from_a_rest_api() -> None:
    flags = ("--front-door", "function-url", "--front-door", "rest-api", "--compression", "--environments", "1")
    with local_lambda(*app_command("fastapi"), directory=app_dir("fastapi"), flags=flags) as running:
        bodies = {}
        for port, coding in zip(ports(running), (None, "gzip"), strict=True):
            with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
                connection.request("GET", "/stream?chunks=3&interval=0.01", headers={"Accept-Encoding": "gzip"})
                answer = read_answer(connection.getresponse())
            assert answer.header("content-encoding") == coding
            bodies[coding] = answer.body
        assert gzip.decompress(bodies["gzip"]) == bodies[None]
        assert "gzip decoded (field report)" in running.output.wait_for("function-url GET /stream 200")
        assert "decoded" not in running.output.wait_for("rest-api GET /stream 200")


def test_a_load_balancer_has_all_cookies_if_that_is_wanted() -> None:
    for flags, count in ((("--alb-cookies", "all"), 2), ((), 1)):
        options = ("--front-door", "function-url", "--front-door", "alb", *flags)
        with local_lambda(
            *app_command("fastapi"), directory=app_dir("fastapi"), flags=(*options, "--invoke-mode", "buffered")
        ) as running:
            url, alb = ports(running)
            for _ in range(2):
                assert len(ask(alb, "/cookies").all("set-cookie")) == count
            assert len(ask(url, "/cookies").all("set-cookie")) == 2
    assert running.output.join().count("cookies are lost") == 1
