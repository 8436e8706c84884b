"""A Runtime API that refuses, breaks off, lies or hesitates at each call: no loop, no second answer, a reason."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Callable
from contextlib import ExitStack
from time import monotonic

import pytest

from tests.events import function_url
from tests.hardening import figures
from tests.runtime_process import RuntimeProcess
from tests.scripted_app import Received, ScriptedApp
from tests.scripted_runtime_api import Call, ScriptedRuntimeApi

# Delays before /next is asked again add up to less than 2 s; the rest is for a busy machine.
BOUND = 10.0
# The first attempt and one after each delay.
ATTEMPTS = 6
STREAMED = {"AWS_LWA_INVOKE_MODE": "response_stream"}
# Longer than anything else takes, in seconds.
HESITATION = 0.5


def status(code: int) -> Callable[[socket.socket], None]:
    body = json.dumps({"errorMessage": "because", "errorType": "Whatever"})
    answer = f"HTTP/1.1 {code} Whatever\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode()

    def fail(connection: socket.socket) -> None:
        connection.sendall(answer)

    return fail


def sends(answer: bytes) -> Callable[[socket.socket], None]:
    """``answer``, and then the end of the connection."""

    def fail(connection: socket.socket) -> None:
        connection.sendall(answer)
        connection.shutdown(socket.SHUT_RDWR)

    return fail


def resets(connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    connection.close()


FAULTS = {
    "400": status(400),
    "403": status(403),
    "404": status(404),
    "413": status(413),
    "429": status(429),
    "500": status(500),
    "503": status(503),
    "reset": resets,
    "hangs-up": sends(b""),
    "half-a-head": sends(b"HTTP/1.1 202 Acc"),
    "half-a-body": sends(b"HTTP/1.1 202 Accepted\r\nContent-Length: 100\r\n\r\nhalf"),
    "garbage": sends(b"\x15\x03\x03\x00\x02\x02\x46"),
    "broken-chunks": sends(b"HTTP/1.1 202 Accepted\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n"),
}
# What /response and /error may answer and still have taken what was sent.
ANSWERS = {name for name in FAULTS if name.isdigit()}


# One entry for each faulty call that had the end it should have.
RIGHT_ENDS: list[str] = []


class FaultyRuntimeApi(ScriptedRuntimeApi):
    """``faults`` maps the end of a path to what happens to a call of it, as often as it is called."""

    def __init__(self) -> None:
        self.faults: dict[str, Callable[[socket.socket], None]] = {}
        super().__init__()

    def _reply(self, call: Call, connection: socket.socket) -> bool:
        for end, fail in self.faults.items():
            if call.path.endswith(end):
                fail(connection)
                return fail in [FAULTS[name] for name in ANSWERS] or fail is hesitates
        return super()._reply(call, connection)

    def paths(self, end: str) -> int:
        return sum(call.path.endswith(end) for call in self.calls)


def hesitates(connection: socket.socket) -> None:
    assert not threading.Event().wait(HESITATION)
    connection.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")


def breaks_off(received: Received) -> None:
    received.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    received.hang_up()


def assert_next_is_served(api: FaultyRuntimeApi) -> None:
    api.faults.clear()
    invoked = api.invoke(function_url("/fine"))
    assert b"ok" in invoked.answer().body
    assert len(invoked.ends) == 1


@pytest.mark.parametrize(
    ("path", "environ", "end"),
    [
        pytest.param("/fine", {}, "/response", id="response"),
        pytest.param("/fine", STREAMED, "/response", id="streamed-response"),
        pytest.param("/broken", STREAMED, "/response", id="stream-that-failed"),
        pytest.param("/broken", {}, "/error", id="error"),
    ],
)
def test_an_answer_is_given_once_whatever_becomes_of_it(path: str, environ: dict[str, str], end: str) -> None:
    with ScriptedApp() as app, FaultyRuntimeApi() as api, RuntimeProcess(api, app=app, environ=environ) as runtime:
        app.replies["/broken"] = breaks_off
        for name, fault in {**FAULTS, "hesitates": hesitates}.items():
            api.wait_until_waiting()
            api.faults[end] = fault
            invoked = api.invoke(function_url(path))
            ended = invoked.begun().wait()
            assert ended.path.endswith(end), name
            # It has come back from the fault, and asks for the next invocation.
            api.wait_until_waiting()
            assert [call.path for call in invoked.ends] == [ended.path], name
            if fault is not hesitates:
                assert "ERROR" in runtime.wait_for_line(invoked.request_id), name
            assert_next_is_served(api)
            RIGHT_ENDS.append(name)


def test_without_invocations_the_runtime_ends_after_a_bounded_number_of_attempts() -> None:
    with ScriptedApp() as app, ExitStack() as stack:
        # All at once, since each of them spends its time waiting.
        began = monotonic()
        running = []
        for name, fault in FAULTS.items():
            api = stack.enter_context(FaultyRuntimeApi())
            api.faults["/invocation/next"] = fault
            running.append((name, api, stack.enter_context(RuntimeProcess(api, app=app))))
        for name, api, runtime in running:
            assert runtime.exit_code() == 1, name
            assert "adapter ERROR the runtime ends: the Runtime API at " in runtime.stderr(), name
            assert " sent no invocation: " in runtime.stderr(), name
            assert api.paths("/invocation/next") == ATTEMPTS, name
            RIGHT_ENDS.append(name)
        assert monotonic() - began < BOUND


def test_a_runtime_api_that_is_gone_ends_the_runtime_which_has_answered_once() -> None:
    with ScriptedApp() as app, FaultyRuntimeApi() as api, RuntimeProcess(api, app=app) as runtime:
        api.wait_until_waiting()
        api.faults["/response"] = lambda connection: gone(api, connection)
        invoked = api.invoke(function_url())
        began = monotonic()
        assert runtime.exit_code() == 1
        assert monotonic() - began < BOUND
        assert len(invoked.ends) == 1
        assert "refused" in runtime.stderr()
        RIGHT_ENDS.append("gone")


def gone(api: ScriptedRuntimeApi, connection: socket.socket) -> None:
    """Close the listener and all connections."""
    api.stop_listening()
    for each in api.connections:
        if each.fileno() >= 0:
            each.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize("fault", FAULTS)
def test_without_registration_as_an_extension_the_runtime_works_all_the_same(fault: str) -> None:
    with ScriptedApp() as app, FaultyRuntimeApi() as api:
        api.faults["/extension/register"] = FAULTS[fault]
        with RuntimeProcess(api, app=app) as runtime:
            runtime.wait_for_line("not registered as an extension")
            assert_next_is_served(api)
            assert api.paths("/extension/register") == 1
            RIGHT_ENDS.append(fault)


@pytest.mark.parametrize("fault", FAULTS)
def test_an_init_error_that_nobody_takes_is_logged_and_ends_the_runtime(fault: str) -> None:
    with FaultyRuntimeApi() as api:
        api.faults["/init/error"] = FAULTS[fault]
        with RuntimeProcess(api, "sh", "-c", "exit 3", "{port}") as runtime:
            assert runtime.exit_code() == 3
            assert "the app ended with exit code 3 before it was ready" in runtime.stderr()
        assert api.paths("/init/error") == 1
        assert api.paths("/invocation/next") == 0
        RIGHT_ENDS.append(fault)


def test_figure() -> None:
    figures.show("Runtime API faults", f"{len(RIGHT_ENDS)} faulty calls, each answered at most once, 0 loops")
