"""AWS's runtimes for Go and Rust on the local Lambda. They need compilers: ``make test-deploy``.

``tests/emulator/front_doors/test_response_mode.py`` has a scripted runtime that behaves like the one for Go.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest

from tests.answer import Answer
from tests.e2e.local_lambda import LocalLambda, local_lambda
from tests.emulator.aws_clients import lambda_client
from tests.toolchains.build import FIRST_BUILD, go_function, rust_function

pytestmark = pytest.mark.timeout(FIRST_BUILD)

STREAMING = [
    pytest.param(go_function, "stream", id="go"),
    pytest.param(go_function, "lambdaurl", id="go-lambdaurl"),
    pytest.param(rust_function, "stream", id="rust"),
]
BOTH = [pytest.param(go_function, id="go"), pytest.param(rust_function, id="rust")]


def flags(program: Callable[[], Path], handler: str, *more: str) -> tuple[str, ...]:
    """Return the flags that start ``program`` as the runtime, with ``handler`` in _HANDLER."""
    return ("--runtime", f"{shlex.quote(str(program()))} {handler}", *more)


def failed(local: LocalLambda, path: str, error: str) -> Answer:
    """Ask for ``path``, which is to be a function error with this text."""
    reply = local.ask(path)
    assert error in local.output.wait_for(f"GET {path} ")
    return reply


@pytest.mark.parametrize(("program", "handler"), STREAMING)
def test_it_streams_status_headers_cookies_and_pieces(
    program: Callable[[], Path], handler: str, tmp_path: Path
) -> None:
    with local_lambda(directory=tmp_path, flags=flags(program, handler)) as local:
        for _ in range(2):
            reply = local.ask("/hello")
            assert (reply.status, reply.body, reply.is_cut) == (202, b"one two", False)
            assert (reply.all("x-path"), reply.all("set-cookie")) == (["/hello"], ["a=1", "b=2"])
        assert "mismatch" not in local.output.wait_for("GET /hello ")


@pytest.mark.parametrize(("program", "handler"), STREAMING)
def test_the_first_piece_does_not_wait_for_the_second(
    program: Callable[[], Path], handler: str, tmp_path: Path
) -> None:
    with local_lambda(directory=tmp_path, flags=flags(program, handler)) as local, local.connect() as connection:
        connection.request("GET", "/hello")
        response = connection.getresponse()
        assert response.read1() == b"one "
        first = monotonic()
        assert response.read() == b"two"
        assert monotonic() - first > 0.1


@pytest.mark.parametrize(("program", "handler"), STREAMING)
def test_a_stream_reaches_the_invoke_api_with_its_prelude(
    program: Callable[[], Path], handler: str, tmp_path: Path
) -> None:
    event = json.dumps({"rawPath": "/x", "requestContext": {"domainName": "x", "http": {"method": "GET"}}})
    with local_lambda(directory=tmp_path, flags=flags(program, handler)) as local:
        client = lambda_client(local.invoke_port)
        answer = client.invoke_with_response_stream(FunctionName="any", Payload=event)
        *chunks, complete = answer["EventStream"]
        prelude, _, body = b"".join(chunk["PayloadChunk"]["Payload"] for chunk in chunks).partition(bytes(8))
        assert (json.loads(prelude)["statusCode"], body) == (202, b"one two")
        assert complete == {"InvokeComplete": {}}


@pytest.mark.parametrize(("program", "handler"), STREAMING)
def test_a_url_that_does_not_stream_has_the_whole_of_it(
    program: Callable[[], Path], handler: str, tmp_path: Path
) -> None:
    with local_lambda(directory=tmp_path, flags=flags(program, handler, "--invoke-mode", "buffered")) as local:
        reply = local.ask("/hello")
        assert (reply.status, reply.body, reply.header("content-length")) == (202, b"one two", "7")
        assert "mismatch" in local.output.wait_for("GET /hello ")


@pytest.mark.parametrize("program", BOTH)
def test_a_function_that_does_not_stream_answers(program: Callable[[], Path], tmp_path: Path) -> None:
    with local_lambda(directory=tmp_path, flags=flags(program, "whole", "--invoke-mode", "buffered")) as local:
        reply = local.ask("/hello")
        assert (reply.status, reply.body) == (201, b"/hello")
        assert "mismatch" not in local.output.wait_for("GET /hello ")


# --- errors ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("program", BOTH)
def test_an_error_before_the_response_is_a_502(program: Callable[[], Path], tmp_path: Path) -> None:
    with local_lambda(directory=tmp_path, flags=flags(program, "stream")) as local:
        reply = failed(local, "/early", "before the response")
        assert (reply.status, reply.body) == (502, b"Internal Server Error")
        assert local.ask("/hello").body == b"one two"


def test_an_error_amid_gos_response_is_in_its_trailers(tmp_path: Path) -> None:
    with local_lambda(directory=tmp_path, flags=flags(go_function, "stream")) as local:
        reply = failed(local, "/throw", "errorString: amid the response")
        assert (reply.status, reply.body, reply.is_cut) == (202, b"one ", True)
        assert local.ask("/hello").body == b"one two"


def test_a_panic_in_lambdaurl_ends_the_process_and_the_response(tmp_path: Path) -> None:
    with local_lambda(directory=tmp_path, flags=flags(go_function, "lambdaurl")) as local:
        # The panic closes the body before it ends the process. Whether the end of the body still arrives is chance.
        reply = local.ask("/throw")
        assert (reply.status, reply.body) == (202, b"one ")
        local.output.wait_for("the environment ended")
        assert local.ask("/hello").body == b"one two"


def test_an_error_amid_rusts_response_is_in_the_clients_body(tmp_path: Path) -> None:
    """The runtime writes its trailers into the body, so neither Lambda nor the client can tell that it failed."""
    with local_lambda(directory=tmp_path, flags=flags(rust_function, "stream")) as local:
        reply = local.ask("/throw")
        assert (reply.status, reply.is_cut) == (202, False)
        assert reply.body.startswith(b"one Lambda-Runtime-Function-Error-Type: Runtime.StreamError\r\n")
        assert local.ask("/hello").body == b"one two"
