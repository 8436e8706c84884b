"""The Runtime API's client against a scripted server, and against sockets that misbehave."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from time import monotonic

import pytest

from adapter.errors import AppExited, InvocationError, RuntimeApiError, TruncatedResponse
from adapter.net.address import Address
from adapter.payload.messages import Invocation
from adapter.runtime.api_client import RuntimeApiClient
from adapter.runtime.extension_client import register_extension
from tests.scripted_runtime_api import EXTENSION, PATIENCE, RUNTIME, ScriptedRuntimeApi

INVOCATION = Invocation(request_id="request-1", event=b"{}")


ClientOf = Callable[..., RuntimeApiClient]


@pytest.fixture
def client_of() -> Iterator[ClientOf]:
    """Makes clients of a server or an address, and closes them."""
    clients: list[RuntimeApiClient] = []

    def make(server: ScriptedRuntimeApi | Address, wake_up: int | None = None) -> RuntimeApiClient:
        address = server if isinstance(server, Address) else Address.parse(server.address)
        clients.append(RuntimeApiClient(address, wake_up=wake_up))
        return clients[-1]

    yield make
    for client in clients:
        client.close()


def next_of(client: RuntimeApiClient, should_stop: Callable[[], bool] = lambda: False) -> Invocation | None:
    return client.next(should_stop=should_stop, pause=lambda seconds: None)


@contextmanager
def server(*answers: bytes) -> Iterator[tuple[Address, list[float]]]:
    """Accept one connection per answer, read a head and send the answer; then stop listening."""
    times: list[float] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with listener:
            for answer in answers:
                accepted, _ = listener.accept()
                times.append(monotonic())
                with accepted:
                    accepted.recv(65536)
                    accepted.sendall(answer)

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    yield Address(host="127.0.0.1", port=listener.getsockname()[1]), times
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_next_gives_the_raw_event_and_what_lambda_says_about_it(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    api.invoke(
        b'{"n": 1e999 }',
        request_id="8476a536",
        Deadline_Ms="1700000000123",
        Trace_Id="Root=1-5bef4de7",
        Invoked_Function_Arn="arn:aws:lambda:us-east-1:1:function:f",
        Client_Context='{"a":1}',
        Cognito_Identity='{"b":2}',
        Aws_Tenant_Id="tenant",
    )
    invocation = next_of(client_of(api))
    assert invocation is not None
    assert invocation.event == b'{"n": 1e999 }'
    expected = {
        "request_id": "8476a536",
        "deadline_ms": 1700000000123,
        "trace_id": "Root=1-5bef4de7",
        "invoked_function_arn": "arn:aws:lambda:us-east-1:1:function:f",
        "client_context": '{"a":1}',
        "cognito_identity": '{"b":2}',
        "tenant_id": "tenant",
    }
    assert {name: getattr(invocation, name) for name in expected} == expected
    [call] = api.calls
    assert bytes(call.raw) == f"GET {RUNTIME}/invocation/next HTTP/1.1\r\nHost: {api.address}\r\n\r\n".encode()


def test_next_takes_what_lambda_omits_for_nothing(client_of: ClientOf) -> None:
    answer = b"HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: 1\r\nContent-Length: 2\r\n\r\n{}"
    with server(answer) as (address, _):
        invocation = next_of(client_of(address))
    assert invocation is not None
    assert (invocation.deadline_ms, invocation.trace_id, invocation.tenant_id) == (0, "", "")


DEADLINES = [
    ("1700000000123", 1700000000123),
    ("0", 0),
    (str(2**53 - 1), 2**53 - 1),
    # The deadline is then unknown, but the invocation must not be lost.
    *[
        (text, 0)
        for text in ("", "-1", "+1", "1.5", "NaN", "inf", "soon", "1_0", "\u0661", "²", str(2**53), "9" * 5000)
    ],
]


@pytest.mark.parametrize(("text", "deadline"), [pytest.param(*each, id=each[0][:20]) for each in DEADLINES])
def test_a_deadline_has_a_range(text: str, deadline: int, client_of: ClientOf) -> None:
    head = f"HTTP/1.1 200 OK\r\nlambda-runtime-aws-request-id: 1\r\nLambda-Runtime-Deadline-Ms: {text}\r\n"
    with server(head.encode() + b"Content-Length: 2\r\n\r\n{}") as (address, _):
        invocation = next_of(client_of(address))
    assert invocation is not None
    assert invocation.deadline_ms == deadline


def test_a_big_event_arrives_whole(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    event = b'"' + b"x" * 6_000_000 + b'"'
    api.invoke(event)
    invocation = next_of(client_of(api))
    assert invocation is not None
    assert invocation.event == event


BAD_ANSWERS = [
    pytest.param(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 5\r\n\r\nstate", "status 403: state", id="403"),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "the answer has no header 'lambda-runtime-aws-request-id'",
        id="no-request-id",
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 1\r\nContent-Length: 18446744073709551615\r\n\r\n{}",
        "the answer has more than 67108864 bytes",
        id="an-event-that-no-machine-holds",
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n{}", "not HTTP/1", id="a-length-over-64-bits"
    ),
    pytest.param(
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}", "chunk size", id="a-huge-chunk"
    ),
    pytest.param(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n{}", "3 bytes too early", id="truncated"),
    pytest.param(b"", "closed before", id="hung-up"),
    pytest.param(b"what?\r\n", "the response is not HTTP", id="not-http"),
]


@pytest.mark.parametrize(("answer", "reason"), BAD_ANSWERS)
def test_next_tries_again_and_gives_up_with_the_reason(answer: bytes, reason: str, client_of: ClientOf) -> None:
    pauses: list[float] = []
    with server(*[answer] * 6) as (address, times), pytest.raises(RuntimeApiError, match=reason):
        client_of(address).next(should_stop=lambda: False, pause=pauses.append)
    assert len(times) == 6
    assert pauses == [0.01, 0.05, 0.2, 0.5, 1.0]


def test_next_recovers_from_one_bad_answer(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    good = b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 1\r\nContent-Length: 2\r\n\r\n{}"
    with server(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", good) as (address, _):
        invocation = next_of(client_of(address))
    assert invocation is not None


def test_next_does_not_try_again_once_the_end_is_announced(client_of: ClientOf) -> None:
    pauses: list[float] = []
    with server(b"") as (address, _):
        # It is not an error that Lambda has gone by then.
        assert client_of(address).next(should_stop=lambda: True, pause=pauses.append) is None
        client_of(address).restore_next(lambda: True)
    assert pauses == []


def test_next_wakes_up_and_only_ends_if_there_is_a_reason(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    read_end, write_end = os.pipe()
    reasons: list[bool] = [False, True]

    def should_stop() -> bool:
        os.read(read_end, 1)
        reason = reasons.pop(0)
        if not reason:
            os.write(write_end, b"x")
        return reason

    os.write(write_end, b"x")
    assert next_of(client_of(api, read_end), should_stop) is None
    assert reasons == []
    os.close(read_end)
    os.close(write_end)


def test_an_invocation_that_has_arrived_is_given_out_although_the_end_is_announced(
    api: ScriptedRuntimeApi, client_of: ClientOf
) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"x")
    answer = b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: 1\r\nContent-Length: 2\r\n\r\n{}"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = client_of(Address(host="127.0.0.1", port=listener.getsockname()[1]), wake_up=read_end)
        client.connect()
        accepted, _ = listener.accept()
        told: list[bool] = []

        def should_stop() -> bool:
            # The invocation comes while the reason for waking up is looked at.
            if not told:
                told.append(True)
                accepted.sendall(answer)
                return False
            raise AssertionError("asked again although the invocation is there")

        with accepted:
            invocation = next_of(client, should_stop)
    assert invocation is not None
    os.close(read_end)
    os.close(write_end)


def test_a_response_is_posted_with_its_length_and_type(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    client = client_of(api)
    assert client.send_response(INVOCATION, [b'{"a":', b"1}"], "application/json") == ""
    [call] = api.calls
    assert (call.method, call.path) == ("POST", f"{RUNTIME}/invocation/request-1/response")
    assert call.headers == {"content-type": "application/json", "content-length": "7", "host": api.address}
    assert call.wait().json() == {"a": 1}


def test_an_error_is_posted_with_its_type_twice(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    assert client_of(api).send_error(INVOCATION, TruncatedResponse("it broke \udc80")) == ""
    [call] = api.calls
    assert call.wait().path == f"{RUNTIME}/invocation/request-1/error"
    assert call.headers["lambda-runtime-function-error-type"] == "Function.TruncatedResponse"
    assert call.json() == {"errorMessage": "it broke ?", "errorType": "Adapter.TruncatedResponse", "stackTrace": []}


@pytest.mark.parametrize(
    ("send", "path"),
    [
        pytest.param(RuntimeApiClient.send_init_error, "/init/error", id="init"),
        pytest.param(RuntimeApiClient.send_restore_error, "/restore/error", id="restore"),
    ],
)
def test_a_failed_phase_is_reported(
    api: ScriptedRuntimeApi, send: Callable[[RuntimeApiClient, AppExited], None], path: str, client_of: ClientOf
) -> None:
    send(client_of(api), AppExited("it ended", exit_code=3))
    [call] = api.calls
    assert call.wait().path == RUNTIME + path
    assert call.headers["lambda-runtime-function-error-type"] == "Runtime.ExitError"
    assert call.json()["errorMessage"] == "it ended"


@pytest.mark.parametrize("status", [400, 403, 413, 500])
def test_what_lambda_says_against_an_answer_is_returned(
    api: ScriptedRuntimeApi, status: int, client_of: ClientOf
) -> None:
    api.answers["/response"] = api.answers["/error"] = (status, b"because")
    client = client_of(api)
    assert client.send_response(INVOCATION, [b"{}"], "application/json") == f"status {status}: because"
    assert client.send_error(INVOCATION, InvocationError("x")) == f"status {status}: because"


def test_the_refusal_of_a_response_that_is_being_sent_is_received(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    api.refuse_early["/response"] = (413, b"too large")
    client = client_of(api)
    assert client.send_response(INVOCATION, [b"x" * 40_000_000], "application/json") == "status 413: too large"
    api.refuse_early.clear()
    api.invoke({})
    assert next_of(client) is not None


def test_one_connection_serves_next_and_response(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    accepted_before = len(api.connections)
    client = client_of(api)
    for _ in range(3):
        api.invoke({})
        invocation = next_of(client)
        assert invocation is not None
        assert client.send_response(invocation, [b"{}"], "application/json") == ""
    assert len(api.connections) - accepted_before == 1


def test_a_connection_that_was_closed_after_next_is_replaced(client_of: ClientOf) -> None:
    """The answer must not be lost because the server ended an idle connection while the app was at work."""
    with ScriptedRuntimeApi(keeps_alive=False) as api:
        api.invoke({})
        client = client_of(api)
        invocation = next_of(client)
        assert invocation is not None
        api.wait_until_closed(1)
        assert client.send_response(invocation, [b"{}"], "application/json") == ""


def test_a_post_without_an_answer_is_an_error_that_names_the_call(client_of: ClientOf) -> None:
    with server(b"") as (address, _), pytest.raises(RuntimeApiError, match="/invocation/request-1/response") as caught:
        client_of(address).send_response(INVOCATION, [b"{}"], "application/json")
    assert str(address) in str(caught.value)


def test_a_stream_sends_each_piece_as_a_chunk_and_declares_its_trailers(
    api: ScriptedRuntimeApi, client_of: ClientOf
) -> None:
    stream = client_of(api).open_stream(INVOCATION, "application/vnd.awslambda.http-integration-response")
    begun = [stream.begun]
    assert stream.write([b"{}", memoryview(b"\0" * 8)])
    assert [*begun, stream.begun] == [False, True]
    call = api.wait_for("/response")
    assert call.next_chunk() == b"{}" + b"\0" * 8
    assert stream.write([b"", bytearray(b"a" * 17)])
    assert call.next_chunk() == b"a" * 17
    assert stream.write([])
    assert stream.finish([b"end"]) == ""
    assert [call.next_chunk(), call.next_chunk()] == [b"end", None]
    assert call.wait().trailers == {}
    assert call.headers == {
        "host": api.address,
        "lambda-runtime-function-response-mode": "streaming",
        "content-type": "application/vnd.awslambda.http-integration-response",
        "transfer-encoding": "chunked",
        "trailer": "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
        "connection": "close",
    }
    assert b"\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n" in call.raw
    assert bytes(call.raw).endswith(b"\r\n11\r\n" + b"a" * 17 + b"\r\n3\r\nend\r\n0\r\n\r\n")


def test_a_stream_of_nothing_is_a_whole_request(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    assert client_of(api).open_stream(INVOCATION, "text/plain").finish([]) == ""
    [call] = api.calls
    assert bytes(call.wait().raw).endswith(b"\r\n\r\n0\r\n\r\n")


def test_a_stream_that_fails_ends_with_the_declared_trailers(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    stream = client_of(api).open_stream(INVOCATION, "text/plain")
    stream.write([b"half"])
    assert stream.fail(TruncatedResponse("the app broke off")) == ""
    call = api.wait_for("/response").wait()
    assert not call.truncated
    assert bytes(call.body) == b"half"
    assert call.trailers["lambda-runtime-function-error-type"] == "Function.TruncatedResponse"
    assert call.trailing_error == {
        "errorMessage": "the app broke off",
        "errorType": "Adapter.TruncatedResponse",
        "stackTrace": [],
    }
    assert {name.lower() for name in call.headers["trailer"].split(", ")} == set(call.trailers)


def test_a_stream_that_is_refused_stops_and_says_why(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    api.refuse_early["/response"] = (413, b"too large")
    stream = client_of(api).open_stream(INVOCATION, "text/plain")
    piece = b"x" * 1_000_000
    taken = 0
    while stream.write([piece]):
        taken += 1
        assert taken < 1000, "the refusal was never noticed"
    assert not stream.write([piece])
    assert stream.finish([piece]) == "status 413: too large"


def test_after_a_stream_the_next_call_has_a_fresh_connection(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    client = client_of(api)
    client.open_stream(INVOCATION, "text/plain").finish([b"x"])
    api.invoke({})
    assert next_of(client) is not None
    assert len(api.connections) == 2


def test_a_stream_without_an_answer_is_an_error(client_of: ClientOf) -> None:
    with server(b"") as (address, _):
        stream = client_of(address).open_stream(INVOCATION, "text/plain")
        with pytest.raises(RuntimeApiError, match="did not acknowledge a streamed response"):
            stream.finish([b"x"])


def test_a_stream_without_a_server_is_an_error(client_of: ClientOf) -> None:
    stream = client_of(Address(host="127.0.0.1", port=1)).open_stream(INVOCATION, "text/plain")
    with pytest.raises(RuntimeApiError, match="refused"):
        stream.write([b"x"])


def test_an_extension_registers_for_no_events_and_asks_for_the_next_one(api: ScriptedRuntimeApi) -> None:
    connection = register_extension(Address.parse(api.address), "my-extension")
    register = api.wait_for("/register").wait()
    assert register.path == f"{EXTENSION}/register"
    assert register.headers["lambda-extension-name"] == "my-extension"
    assert register.json() == {"events": []}
    following = api.wait_for("/event/next").wait()
    assert following.path == f"{EXTENSION}/event/next"
    assert following.headers["lambda-extension-identifier"] == "extension-1"
    connection.close()


REFUSALS = [
    pytest.param((403, b'{"errorType":"Extension.AlreadyRegistered"}'), "AlreadyRegistered", id="403"),
    pytest.param((200, b"{}"), "status 200", id="no-identifier"),
]


@pytest.mark.parametrize(("answer", "reason"), REFUSALS)
def test_an_extension_that_is_refused_says_why(api: ScriptedRuntimeApi, answer: tuple[int, bytes], reason: str) -> None:
    api.answers["/register"] = answer
    with pytest.raises(RuntimeApiError, match=reason):
        register_extension(Address.parse(api.address), "my-extension")


def test_an_extension_without_an_answer_is_an_error() -> None:
    with server(b"") as (address, _), pytest.raises(RuntimeApiError, match="could not register"):
        register_extension(address, "my-extension")


def test_a_restore_is_waited_for(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    client = client_of(api)
    thread = threading.Thread(target=client.restore_next, args=(lambda: False,), daemon=True)
    thread.start()
    assert api.wait_for("/restore/next").wait().path == f"{RUNTIME}/restore/next"
    assert thread.is_alive()
    api.restored.set()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_restore_that_lambda_refuses_is_an_error(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    api.answers["/restore/next"] = (403, b"not now")
    with pytest.raises(RuntimeApiError, match="status 403: not now"):
        client_of(api).restore_next(lambda: False)
    with server(b"") as (address, _), pytest.raises(RuntimeApiError, match="did not report the restore"):
        client_of(address).restore_next(lambda: False)


def test_waiting_for_a_restore_ends_when_the_end_is_announced(api: ScriptedRuntimeApi, client_of: ClientOf) -> None:
    read_end, write_end = os.pipe()
    os.write(write_end, b"x")
    client_of(api, read_end).restore_next(lambda: True)
    os.close(read_end)
    os.close(write_end)
