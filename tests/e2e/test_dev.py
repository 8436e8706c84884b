"""``adapter dev`` with both examples in both modes: real processes, a real client, Lambda's limits.

How processes are found that should be gone is Linux's: /proc.
"""

from __future__ import annotations

import hashlib
import http.client
import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from typing import cast

import pytest

from tests.apps import FRAMEWORKS, Framework, app_command, app_dir
from tests.e2e.local_lambda import LocalLambda, local_lambda
from tests.e2e.output import PATIENCE
from tests.e2e.running_function import BUFFERED, INVOKE_MODES, STREAMED

MIB = 1024 * 1024
PATTERN = bytes(range(251))
UNLIMITED = ("--bandwidth", "unlimited")
PERMITTED_APPS = app_dir("flask").parent.parent / "tests" / "e2e" / "permitted"
FUNCTIONS = [
    pytest.param((framework, mode), id=f"{framework}-{mode}") for framework in FRAMEWORKS for mode in INVOKE_MODES
]


class Function:
    """An example in the local Lambda."""

    def __init__(self, local: LocalLambda, framework: Framework, invoke_mode: str) -> None:
        self.local = local
        self.ask = local.ask
        self.framework = framework
        self.streams = invoke_mode == STREAMED


@pytest.fixture(scope="module", params=FUNCTIONS)
def function(request: pytest.FixtureRequest) -> Iterator[Function]:
    framework, invoke_mode = cast("tuple[Framework, str]", request.param)
    flags = ("--invoke-mode", invoke_mode, *UNLIMITED)
    with local_lambda(*app_command(framework), directory=app_dir(framework), flags=flags) as local:
        yield Function(local, framework, invoke_mode)


def pattern(size: int) -> bytes:
    """What /download sends."""
    return (PATTERN * (size // len(PATTERN) + 1))[:size]


def test_the_app_answers_under_the_function_url(function: Function) -> None:
    reply = function.ask("/")
    assert reply.status == 200
    assert reply.all("content-type") == ["application/json"]
    assert json.loads(reply.body)["framework"] == function.framework
    assert reply.all("x-amzn-requestid")


def test_a_request_arrives_as_the_client_sent_it(function: Function) -> None:
    seen = json.loads(function.ask("/echo/a%2Fb//c?x=1&x=2&y=%20", method="PATCH", body=b"\xff\x00").body)
    assert (seen["method"], seen["path"], seen["query"]) == ("PATCH", "/echo/a%2Fb//c", "x=1&x=2&y=%20")
    assert seen["body"] == "/wA="


def test_a_download_arrives_byte_for_byte(function: Function) -> None:
    size = 10 * MIB if function.streams else 4 * MIB
    reply = function.ask(f"/download?bytes={size}")
    assert (reply.status, reply.is_cut) == (200, False)
    assert reply.body == pattern(size)


def test_a_download_over_the_limit_of_buffered_responses_is_refused(function: Function) -> None:
    reply = function.ask(f"/download?bytes={10 * MIB + 1}")
    if function.streams:
        assert len(reply.body) == 10 * MIB + 1
        return
    assert reply.status == 502
    line = function.local.output.wait_for("GET /download 502")
    assert "Function.ResponseSizeTooLarge" in line


def test_two_cookies_arrive_as_two_headers(function: Function) -> None:
    cookies = function.ask("/cookies").all("set-cookie")
    assert [cookie.partition(";")[0] for cookie in cookies] == ["session=abc123", "theme=dark"]


def test_an_upload_arrives_whole(function: Function) -> None:
    body = pattern(4 * MIB)
    answer = json.loads(function.ask("/upload", method="POST", body=body).body)
    assert answer == {"length": len(body), "sha256": hashlib.sha256(body).hexdigest()}


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        pytest.param("HEAD", "/download?bytes=1000", 200, id="head"),
        pytest.param("GET", "/status/204", 204, id="204"),
        pytest.param("GET", "/status/304", 304, id="304"),
    ],
)
def test_a_response_without_a_body_ends_at_once_on_a_connection_that_lives(
    function: Function, method: str, target: str, status: int
) -> None:
    with function.local.connect() as connection:
        for _ in range(2):
            connection.request(method, target)
            response = connection.getresponse()
            assert (response.status, response.read()) == (status, b"")


def test_a_404_is_the_apps(function: Function) -> None:
    reply = function.ask("/nothing-here")
    assert reply.status == 404
    assert "detail" in json.loads(reply.body)


def test_a_crash_amid_the_body_cannot_be_taken_for_the_end(function: Function) -> None:
    reply = function.ask("/crash-midstream?bytes=251000")
    if function.streams:
        assert (reply.status, reply.is_cut) == (200, True)
        assert reply.body == PATTERN * 1000
    else:
        assert reply.status == 502
    assert "Function.TruncatedResponse" in function.local.output.wait_for("GET /crash-midstream")
    assert function.ask("/").status == 200


@pytest.mark.parametrize(
    "command",
    [
        pytest.param("gunicorn flask_app:app --bind 127.0.0.1:{port} --threads 2 --no-control-socket", id="flask"),
        pytest.param("uvicorn fastapi_app:app --port {port}", id="fastapi"),
    ],
)
def test_a_piece_reaches_the_client_before_the_next_is_produced(command: str) -> None:
    """The app needs a permission for each piece, and gets it when the client has seen the one before."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        listener.settimeout(PATIENCE)
        port = str(listener.getsockname()[1])
        with (
            local_lambda(
                *(sys.executable, "-m", *command.split()), directory=PERMITTED_APPS, PERMISSIONS=port
            ) as local,
            local.connect() as connection,
        ):
            connection.request("GET", "/stream")
            permissions, _ = listener.accept()
            with permissions:
                permissions.send(b".")
                response = connection.getresponse()
                assert response.readline() == b"piece 1\n"
                for number in range(2, 7):
                    permissions.send(b".")
                    assert response.readline() == b"piece %d\n" % number
            assert response.read() == b""


def test_the_cap_and_the_price_are_told_and_on_by_default() -> None:
    with local_lambda(*app_command("fastapi"), directory=app_dir("fastapi")) as local:
        assert "6 MB at once, then 2 MB/s" in local.output.wait_for("bandwidth")
        size = 6 * MIB + MIB // 4
        assert local.ask(f"/download?bytes={size}").body == pattern(size)
        line = local.output.wait_for("GET /download 200")
    assert "held back by the bandwidth cap" in line
    assert "256 KB beyond the free 6 MB" in line
    assert "cold start, init" in line


def test_a_stream_over_its_limit_is_cut_at_the_limit() -> None:
    flags = ("--stream-limit", str(MIB), *UNLIMITED)
    with local_lambda(*app_command("flask"), directory=app_dir("flask"), flags=flags) as local:
        whole, cut = local.ask(f"/download?bytes={MIB}"), local.ask(f"/download?bytes={MIB + 1}")
        line = local.output.wait_for("Function.ResponseSizeTooLarge")
        assert local.ask("/").status == 200
    assert (whole.body, whole.is_cut) == (pattern(MIB), False)
    assert (cut.body, cut.is_cut) == (pattern(MIB), True)
    assert "GET /download 200" in line


def test_a_streaming_function_behind_a_buffered_url_is_collected() -> None:
    flags = ("--invoke-mode", STREAMED, "--url-invoke-mode", BUFFERED)
    with local_lambda(*app_command("fastapi"), directory=app_dir("fastapi"), flags=flags) as local:
        reply = local.ask("/download?bytes=251000")
    assert (reply.status, reply.all("content-length"), reply.body) == (200, ["251000"], PATTERN * 1000)


def test_a_buffered_function_behind_a_streaming_url_shows_its_payload() -> None:
    flags = ("--invoke-mode", BUFFERED, "--url-invoke-mode", STREAMED)
    with local_lambda(*app_command("fastapi"), directory=app_dir("fastapi"), flags=flags) as local:
        payload = json.loads(local.ask("/status/404").body)
    assert (payload["statusCode"], payload["body"]) == (404, '{"status":404}')


@pytest.mark.parametrize("invoke_mode", INVOKE_MODES)
@pytest.mark.parametrize(("path", "status"), [("/nowhere", 404), ("/status/200", 405)])
def test_an_event_that_the_app_has_no_route_for_is_seen(path: str, status: int, invoke_mode: str) -> None:
    flags = ("--invoke-mode", invoke_mode, "--pass-through-path", path)
    with local_lambda(*app_command("fastapi"), directory=app_dir("fastapi"), flags=flags) as local:
        endpoint = f"http://127.0.0.1:{local.invoke_port}"
        command = [sys.executable, "-I", "-m", "adapter", "invoke", "--endpoint", endpoint, "-"]
        for flag, code in ((), 0), (("--fail-on-status",), 1), (("--fail-on-status", "--stream"), 1):
            done = subprocess.run([*command, *flag], input=b'{"Records":[]}', capture_output=True, check=False)
            assert (done.returncode, done.stderr.count(b"\n")) == (code, 1)
            assert f"-: the app answered {status} to POST {path}, which is for events" in done.stderr.decode()
        warning = local.output.wait_for(f"adapter WARN the app answered {status} to POST {path}, ")
        assert "AWS_LWA_PASS_THROUGH_PATH" in warning
        local.output.wait_for(f"| POST {path} {status}")


def test_an_app_that_exits_makes_the_next_request_a_cold_start() -> None:
    with local_lambda(*app_command("fastapi"), directory=app_dir("fastapi")) as local:
        reply = local.ask("/crash-midstream?bytes=251&how=exit")
        assert (reply.body, reply.is_cut) == (PATTERN, True)
        local.output.wait_for("environment ended (exit status 1)")
        assert local.ask("/status/200").status == 200
        assert "cold start" in local.output.wait_for("GET /status/200 200")


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_ctrl_c_ends_everything_that_was_started(framework: Framework) -> None:
    with local_lambda(*app_command(framework), directory=app_dir(framework), flags=("--warm",)) as local:
        local.output.wait_for("the environment is warm")
        # adapter dev, adapter run, the server, and gunicorn's worker.
        assert len(local.pids()) >= 3
        assert local.press_ctrl_c() == 130
        assert local.pids() == set()


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_ctrl_c_amid_a_stream_ends_everything_and_cuts_the_stream(framework: Framework) -> None:
    with (
        local_lambda(*app_command(framework), directory=app_dir(framework)) as local,
        local.connect() as connection,
    ):
        connection.request("GET", "/stream?chunks=2&interval=60")
        response = connection.getresponse()
        assert response.readline() == b"chunk 1 of 2\n"
        assert local.press_ctrl_c() == 130
        assert local.pids() == set()
        with pytest.raises((http.client.IncompleteRead, ConnectionError)):
            response.read()


def test_a_taken_port_is_refused_with_the_name_of_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as owner:
        port = owner.getsockname()[1]
        refused = subprocess.run(
            [sys.executable, "-I", "-m", "adapter", "dev", "--port", str(port), "--", "true"],
            env={"PATH": os.environ["PATH"]},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=PATIENCE,
        )
    assert refused.returncode == 2
    assert f"--port: '{port}' is taken by pid {os.getpid()} (" in refused.stderr.decode()
