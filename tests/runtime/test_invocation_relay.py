"""One invocation through the relay: a scripted Runtime API on one side, an app of raw sockets on the other."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import zlib
from base64 import b64decode
from collections.abc import Callable, Iterator
from time import time
from typing import Any

import brotli
import pytest
import zstandard

from adapter.config.load import load
from adapter.logs import Log
from adapter.net.address import Address
from adapter.payload.messages import Invocation
from adapter.runtime.api_client import RuntimeApiClient
from adapter.runtime.app_client import AppClient
from adapter.runtime.invocation_relay import InvocationRelay
from tests.events import SQS, function_url
from tests.scripted_app import PATIENCE, Received, ScriptedApp, response
from tests.scripted_runtime_api import Call, ScriptedRuntimeApi

BUFFERED_LIMIT = 6_291_556
STREAMED = {"AWS_LWA_INVOKE_MODE": "response_stream"}
COMPRESSED = {"AWS_LWA_ENABLE_COMPRESSION": "true"}
MODES = [pytest.param({}, id="buffered"), pytest.param(STREAMED, id="streamed")]
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
TEXT = "Content-Type: text/plain"


class Bench:
    """A relay between the two scripted ends. ``begin`` relays in the background, ``relay`` until the end."""

    def __init__(self, api: ScriptedRuntimeApi, app: ScriptedApp) -> None:
        self.api = api
        self.app = app
        self._threads: list[threading.Thread] = []
        self._count = 0

    def relay(self, event: Any, environ: dict[str, str] | None = None, **facts: Any) -> Call:
        """Return the call that ended the invocation: exactly one."""
        self.begin(event, environ, **facts)
        self.join()
        ends = [call for call in self.api.calls if f"/{self._count}/" in call.path]
        assert len(ends) == 1, [call.path for call in ends]
        return ends[0].wait()

    def begin(self, event: Any, environ: dict[str, str] | None = None, **facts: Any) -> None:
        self._count += 1
        raw = event if isinstance(event, bytes) else json.dumps(event).encode()
        invocation = Invocation(request_id=str(self._count), event=raw, **facts)
        thread = threading.Thread(target=self._invoke, args=(invocation, environ or {}), daemon=True)
        self._threads.append(thread)
        thread.start()

    def begun(self) -> Call:
        return self.api.wait_for(f"/invocation/{self._count}/")

    def join(self) -> None:
        for thread in self._threads:
            thread.join(PATIENCE)
            assert not thread.is_alive()

    def _invoke(self, invocation: Invocation, environ: dict[str, str]) -> None:
        config = load(environ)
        api, app = RuntimeApiClient(Address.parse(self.api.address)), AppClient(config, self.app.port)
        log = Log(format=config.log_format, level=config.log_level, access_log=config.access_log)
        try:
            InvocationRelay(config, api=api, app=app, log=log).relay(invocation)
        finally:
            api.close()
            app.close()


@pytest.fixture
def bench(api: ScriptedRuntimeApi, app: ScriptedApp) -> Iterator[Bench]:
    made = Bench(api, app)
    yield made
    made.join()


def streamed(call: Call) -> tuple[dict[str, Any], bytes]:
    """Return the prelude and the body of a streamed answer."""
    prelude, _, body = bytes(call.body).partition(b"\0" * 8)
    assert call.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    return json.loads(prelude), body


def answered(call: Call) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an answer in either mode."""
    assert call.path.endswith("/response"), bytes(call.body)
    if call.headers.get("lambda-runtime-function-response-mode") == "streaming":
        prelude, body = streamed(call)
        return prelude["statusCode"], prelude["headers"], body
    payload = call.json()
    body = b64decode(payload["body"]) if payload["isBase64Encoded"] else payload["body"].encode()
    return payload["statusCode"], payload["headers"], body


# --- the whole way ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("environ", MODES)
def test_the_request_of_the_event_reaches_the_app_and_its_response_comes_back(
    bench: Bench, environ: dict[str, str]
) -> None:
    bench.app.default = response("héllo".encode(), TEXT, "X-A: 1", "Set-Cookie: a=1", "Set-Cookie: b=2", status=201)
    event = function_url("/echo/a%2Fb", method="POST", query="x=1&x=2", body="in", headers={"x-in": "1"})
    call = bench.relay(event, environ)
    [received] = bench.app.requests
    assert (received.method, received.target, received.body) == ("POST", "/echo/a%2Fb?x=1&x=2", b"in")
    assert received.headers["x-in"] == "1"
    assert received.headers["content-length"] == "2"
    status, headers, body = answered(call)
    assert (status, body) == (201, "héllo".encode())
    assert headers == {"content-type": "text/plain", "x-a": "1"}
    metadata = streamed(call)[0] if environ else call.json()
    assert metadata["cookies"] == ["a=1", "b=2"]


@pytest.mark.parametrize("environ", MODES)
def test_headers_of_the_connections_stay_on_their_connections(bench: Bench, environ: dict[str, str]) -> None:
    bench.app.default = (
        b"HTTP/1.1 200 OK\r\nConnection: keep-alive, X-Hop\r\nKeep-Alive: timeout=5\r\nX-Hop: 1\r\nX-Kept: 1\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nX-Trailer: 1\r\n\r\n"
    )
    headers = {
        "connection": "close, x-hop",
        "x-hop": "1",
        "transfer-encoding": "chunked",
        "content-length": "99",
        "expect": "100-continue",
        "x-amzn-request-context": "forged",
        "x_amzn_lambda_context": "forged",
        "x-kept": "1",
    }
    _, answer, body = answered(bench.relay(function_url(headers=headers), environ))
    assert body == b"ok"
    assert answer == {"x-kept": "1"}
    received = bench.app.requests[0].headers
    assert set(received) == {"host", "x-kept", "x-amzn-request-context", "x-amzn-lambda-context"}
    assert "forged" not in str(received)


def test_what_lambda_says_of_the_invocation_reaches_the_app(bench: Bench) -> None:
    environ = {"AWS_LAMBDA_FUNCTION_NAME": "shop", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"}
    bench.relay(function_url(), environ, trace_id="Root=1", tenant_id="blue", deadline_ms=5)
    headers = bench.app.requests[0].headers
    assert headers["x-amzn-trace-id"] == "Root=1"
    assert headers["x-amz-tenant-id"] == "blue"
    context = json.loads(headers["x-amzn-lambda-context"])
    assert (context["request_id"], context["deadline"]) == ("1", 5)
    assert context["env_config"]["function_name"] == "shop"
    assert context["env_config"]["memory"] == 512
    assert json.loads(headers["x-amzn-request-context"])["stage"] == "$default"


def test_the_users_rules_for_requests_hold(bench: Bench) -> None:
    environ = {"AWS_LWA_REMOVE_BASE_PATH": "/api", "AWS_LWA_AUTHORIZATION_SOURCE": "X-Auth"}
    bench.relay(function_url("/api/api/x", headers={"x-auth": "Bearer 1"}), environ)
    [received] = bench.app.requests
    assert received.target == "/api/x"
    assert received.headers["authorization"] == "Bearer 1"


@pytest.mark.parametrize("environ", MODES)
def test_an_event_that_is_not_http_goes_through_untouched_both_ways(bench: Bench, environ: dict[str, str]) -> None:
    raw = json.dumps(SQS).encode()[:-1] + b' , "big": 123456789012345678901234567890 }'
    bench.app.replies["/events"] = response(b'{"batchItemFailures":[]}', "Content-Type: application/x-answer", "X-A: 1")
    call = bench.relay(raw, environ | COMPRESSED)
    [received] = bench.app.requests
    assert (received.method, received.target, received.body) == ("POST", "/events", raw)
    assert received.headers["content-type"] == "application/json"
    assert bytes(call.body) == b'{"batchItemFailures":[]}'
    assert call.headers["content-type"] == "application/x-answer"


def test_events_go_to_the_users_path(bench: Bench) -> None:
    bench.relay(SQS, {"AWS_LWA_PASS_THROUGH_PATH": "/queue"})
    assert bench.app.requests[0].target == "/queue"


BODILESS = [
    pytest.param("HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", 200, id="head"),
    pytest.param("GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204, id="204"),
    pytest.param("GET", b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", 304, id="304"),
    pytest.param("GET", response(b"", "Location: /", status=302), 302, id="empty-redirect"),
    pytest.param("GET", CHUNKED + b"0\r\n\r\n", 200, id="empty-chunked"),
]


@pytest.mark.parametrize("environ", MODES)
@pytest.mark.parametrize(("method", "reply", "status"), BODILESS)
def test_a_response_without_a_body_ends_at_once(
    bench: Bench, environ: dict[str, str], method: str, reply: bytes, status: int
) -> None:
    bench.app.default = reply
    answer = answered(bench.relay(function_url(method=method), environ))
    assert (answer[0], answer[2]) == (status, b"")


def test_a_binary_body_is_base64_in_a_buffered_answer_and_itself_in_a_stream(bench: Bench) -> None:
    body = bytes(range(256)) * 100
    bench.app.default = response(body, "Content-Type: application/octet-stream")
    buffered = bench.relay(function_url())
    assert buffered.json()["isBase64Encoded"] is True
    assert answered(buffered)[2] == body
    assert streamed(bench.relay(function_url(), STREAMED))[1] == body


@pytest.mark.parametrize(
    ("variable", "media_type", "is_base64"),
    [("ADAPTER_BINARY_TYPES", "text/plain", True), ("ADAPTER_TEXT_TYPES", "application/octet-stream", False)],
)
def test_the_user_says_what_is_text_and_what_is_binary(
    bench: Bench, variable: str, media_type: str, is_base64: bool
) -> None:
    bench.app.default = response(b"ok", f"Content-Type: {media_type}")
    assert bench.relay(function_url(), {variable: media_type}).json()["isBase64Encoded"] is is_base64


# --- streams ------------------------------------------------------------------------------------------------------


def test_each_piece_is_passed_on_before_the_app_makes_the_next_one(bench: Bench) -> None:
    passed_on = [threading.Event() for _ in range(3)]

    def reply(received: Received) -> None:
        received.send(CHUNKED)
        for number, event in enumerate(passed_on):
            received.send(b"6\r\npiece%d\r\n" % number)
            assert event.wait(PATIENCE)
        received.send(b"0\r\n\r\n")

    bench.app.default = reply
    bench.begin(function_url(), STREAMED)
    call = bench.begun()
    got = b""
    for number, event in enumerate(passed_on):
        while not got.endswith(b"piece%d" % number):
            chunk = call.next_chunk()
            assert chunk is not None
            got += chunk
        event.set()
    assert call.next_chunk() is None
    assert streamed(call.wait())[1] == b"piece0piece1piece2"


def test_the_head_goes_out_before_the_body_begins(bench: Bench) -> None:
    seen = threading.Event()

    def reply(received: Received) -> None:
        received.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 4\r\n\r\n")
        assert seen.wait(PATIENCE)
        received.send(b"body")

    bench.app.default = reply
    bench.begin(function_url(), STREAMED)
    prelude = bench.begun().next_chunk()
    assert prelude is not None
    assert prelude.endswith(b"}" + b"\0" * 8)
    seen.set()
    assert streamed(bench.begun().wait())[1] == b"body"


def test_a_body_to_the_end_of_the_stream_is_streamed(bench: Bench) -> None:
    def reply(received: Received) -> None:
        received.send(b"HTTP/1.0 200 OK\r\n\r\nall of it")
        received.hang_up()

    bench.app.default = reply
    call = bench.relay(function_url(), STREAMED)
    assert streamed(call)[1] == b"all of it"
    assert call.trailers == {}


def test_a_large_stream_arrives_byte_for_byte(bench: Bench) -> None:
    body = bytes(range(251)) * 40_000
    bench.app.default = response(body, "Content-Type: application/octet-stream")
    assert streamed(bench.relay(function_url(), STREAMED))[1] == body


def break_off(received: Received) -> None:
    received.send(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nhalf")
    received.hang_up()


def test_a_stream_that_breaks_off_ends_with_error_trailers(bench: Bench) -> None:
    bench.app.default = break_off
    call = bench.relay(function_url(), STREAMED)
    assert streamed(call)[1] == b"half"
    assert not call.truncated
    assert call.trailers["lambda-runtime-function-error-type"] == "Function.TruncatedResponse"
    assert call.trailing_error["errorType"] == "Adapter.TruncatedResponse"
    assert "6 bytes too early" in call.trailing_error["errorMessage"]


def test_a_stream_that_is_not_http_any_more_ends_with_error_trailers(bench: Bench) -> None:
    passed_on = threading.Event()

    def reply(received: Received) -> None:
        received.send(CHUNKED + b"2\r\nok\r\n")
        assert passed_on.wait(PATIENCE)
        received.send(b"xyz\r\n")

    bench.app.default = reply
    bench.begin(function_url(), STREAMED)
    call = bench.begun()
    assert call.next_chunk()
    passed_on.set()
    call.wait()
    assert call.trailers["lambda-runtime-function-error-type"] == "Function.InvalidAppResponse"


def test_a_broken_answer_to_an_event_fails_it_while_nothing_of_it_was_passed_on(bench: Bench) -> None:
    """Trailers would leave the invocation a success, and a queue would delete its messages."""

    def reply(received: Received) -> None:
        received.send(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n")
        received.hang_up()

    bench.app.default = reply
    call = bench.relay(SQS, STREAMED)
    assert call.path.endswith("/error")
    assert call.json()["errorType"] == "Adapter.TruncatedResponse"


def test_an_app_whose_stream_lambda_refuses_is_disconnected(bench: Bench) -> None:
    """An endless response would otherwise continue without a reader."""
    bench.api.refuse_early["/response"] = (413, b"too large")
    disconnected = threading.Event()

    def reply(received: Received) -> None:
        received.send(CHUNKED)
        try:
            while True:
                received.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        except OSError:
            disconnected.set()

    bench.app.default = reply
    bench.relay(function_url(), STREAMED)
    assert disconnected.wait(PATIENCE)


# --- failures -----------------------------------------------------------------------------------------------------


def test_a_buffered_response_that_breaks_off_fails_the_invocation(bench: Bench) -> None:
    bench.app.default = break_off
    call = bench.relay(function_url())
    assert call.path.endswith("/error")
    assert call.headers["lambda-runtime-function-error-type"] == "Function.TruncatedResponse"
    assert call.json()["errorType"] == "Adapter.TruncatedResponse"


@pytest.mark.parametrize("environ", MODES)
@pytest.mark.parametrize(
    ("reply", "error"),
    [(b"+PONG\r\n", "Adapter.InvalidAppResponse"), (Received.hang_up, "Adapter.AppUnreachable")],
    ids=["not-http", "hangs-up"],
)
def test_an_app_that_gives_no_response_fails_the_invocation(
    bench: Bench, environ: dict[str, str], reply: bytes | Callable[[Received], None], error: str
) -> None:
    bench.app.default = reply
    call = bench.relay(function_url(), environ)
    assert call.path.endswith("/error")
    assert call.json()["errorType"] == error


@pytest.mark.parametrize("environ", MODES)
@pytest.mark.parametrize("status", [404, 405, 307, 500])
def test_an_event_that_the_app_did_not_handle_is_warned_of(
    bench: Bench, environ: dict[str, str], status: int, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.app.default = response(b"no such page", TEXT, status=status)
    call = bench.relay(SQS, environ | JSON_LOG | {"AWS_LWA_PASS_THROUGH_PATH": "/queue?key=secret"})
    assert bytes(call.body) == b"no such page"
    # Lambda gets nothing new.
    assert not any("status" in name for name in call.headers)
    [warning, _line] = lines(capfd)
    assert (warning["level"], warning["requestId"]) == ("WARN", "1")
    assert f"answered {status} to POST /queue, which is for events that are not HTTP requests" in warning["message"]
    for name in ("--pass-through-path", "AWS_LWA_PASS_THROUGH_PATH", "--error-statuses", "AWS_LWA_ERROR_STATUS_CODES"):
        assert name in warning["message"]


def test_a_handled_event_and_a_request_for_a_missing_page_are_not_warned_of(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.app.default = response(b"{}", TEXT, status=207)
    bench.relay(SQS, JSON_LOG)
    bench.app.default = response(b"no such page", TEXT, status=404)
    bench.relay(function_url("/a"), JSON_LOG)
    assert [line["level"] for line in lines(capfd)] == ["INFO", "INFO"]


def test_a_status_of_an_event_that_the_user_calls_an_error_is_not_warned_of_but_fails(
    bench: Bench, capfd: pytest.CaptureFixture[str]
) -> None:
    bench.app.default = response(b"no such page", TEXT, status=404)
    call = bench.relay(SQS, JSON_LOG | {"AWS_LWA_ERROR_STATUS_CODES": "404,405"})
    message = "POST /events: the app answered 404, which is in AWS_LWA_ERROR_STATUS_CODES"
    assert call.json()["errorMessage"] == message
    assert [line["level"] for line in lines(capfd)] == ["ERROR"]


@pytest.mark.parametrize("environ", MODES)
def test_under_dev_the_status_of_an_event_is_sent_with_the_answer(bench: Bench, environ: dict[str, str]) -> None:
    bench.app.default = response(b"no such page", TEXT, status=405)
    environ = environ | {"ADAPTER_DEV_APP_STATUS": "true"}
    assert bench.relay(SQS, environ).headers["adapter-app-status"] == "405 /events"
    assert "adapter-app-status" not in bench.relay(function_url("/a"), environ).headers


@pytest.mark.parametrize("event", [b"{", function_url(method="not a method"), function_url() | {"headers": 1}])
def test_an_event_that_cannot_be_a_request_fails_the_invocation_without_the_app(bench: Bench, event: Any) -> None:
    call = bench.relay(event)
    assert call.path.endswith("/error")
    assert call.json()["errorType"] == "Adapter.InvalidEvent"
    assert bench.app.requests == []


@pytest.mark.parametrize("environ", MODES)
def test_a_status_that_the_user_calls_an_error_fails_the_invocation(bench: Bench, environ: dict[str, str]) -> None:
    bench.app.default = response(b"what the client sent", TEXT, status=503)
    call = bench.relay(function_url(), environ | {"AWS_LWA_ERROR_STATUS_CODES": "500,502-504"})
    assert call.path.endswith("/error")
    assert call.headers["lambda-runtime-function-error-type"] == "Function.AppErrorStatus"
    assert call.json()["errorMessage"].endswith("the app answered 503, which is in AWS_LWA_ERROR_STATUS_CODES")


def test_a_declared_failure_is_named_also_where_its_body_breaks_off(bench: Bench) -> None:
    def reply(received: Received) -> None:
        received.send(b"HTTP/1.1 500 Oops\r\nContent-Length: 10\r\n\r\npart")
        received.hang_up()

    bench.app.default = reply
    call = bench.relay(function_url(), {"AWS_LWA_ERROR_STATUS_CODES": "500"})
    assert call.headers["lambda-runtime-function-error-type"] == "Function.AppErrorStatus"


def test_other_statuses_are_answers_even_where_some_are_errors(bench: Bench) -> None:
    bench.app.default = response(b"", status=501)
    assert answered(bench.relay(function_url(), {"AWS_LWA_ERROR_STATUS_CODES": "500,502-504"}))[0] == 501


def test_a_huge_error_page_is_not_waited_for(bench: Bench) -> None:
    bench.app.default = response(b"x" * 1_000_000, status=500)
    call = bench.relay(function_url(), {"AWS_LWA_ERROR_STATUS_CODES": "500"})
    assert call.json()["errorMessage"].endswith("which is in AWS_LWA_ERROR_STATUS_CODES")


# --- limits -------------------------------------------------------------------------------------------------------


def sized(encoded: int) -> bytes:
    """Return a response whose buffered payload has exactly ``encoded`` bytes."""
    frame = b'{"statusCode":200,"headers":{"content-type":"text/plain"},"cookies":[],"body":"","isBase64Encoded":false}'
    return response(b"x" * (encoded - len(frame)), TEXT)


def test_a_buffered_payload_just_within_the_limit_is_answered(bench: Bench) -> None:
    bench.app.default = sized(BUFFERED_LIMIT)
    call = bench.relay(function_url())
    assert call.path.endswith("/response")
    assert len(call.body) == BUFFERED_LIMIT


TOO_LARGE = [
    pytest.param(sized(BUFFERED_LIMIT + 1), "the encoded response has 6291557 bytes", id="encoded"),
    pytest.param(response(b"\xff" * 5_000_000), "the encoded response has", id="by-base64"),
    pytest.param(response(b"x" * 6_291_557), "the body alone is larger", id="length"),
    pytest.param(CHUNKED + b"600100\r\n" + b"x" * 0x600100 + b"\r\n100\r\n", "the body alone is larger", id="chunked"),
]


@pytest.mark.parametrize(("reply", "message"), TOO_LARGE)
def test_a_buffered_payload_over_the_limit_is_lambdas_own_error(bench: Bench, reply: bytes, message: str) -> None:
    def send(received: Received) -> None:
        try:
            received.send(reply)
        except OSError:
            return

    bench.app.default = send
    call = bench.relay(function_url())
    assert call.path.endswith("/error")
    assert call.headers["lambda-runtime-function-error-type"] == "Function.ResponseSizeTooLarge"
    assert call.json()["errorType"] == "Function.ResponseSizeTooLarge"
    assert call.json()["errorMessage"].startswith(
        "Response payload size exceeded maximum allowed payload size (6291556 bytes)"
    )
    assert message in call.json()["errorMessage"]


def test_a_stream_has_no_limit_of_the_adapters(bench: Bench) -> None:
    bench.app.default = response(b"x" * 7_000_000, TEXT)
    assert len(streamed(bench.relay(function_url(), STREAMED))[1]) == 7_000_000


# --- deadlines ----------------------------------------------------------------------------------------------------


def stay_silent(received: Received) -> None:
    received.wait_for_hang_up()


@pytest.mark.parametrize("environ", MODES)
def test_with_a_margin_the_app_is_given_up_before_the_deadline(bench: Bench, environ: dict[str, str]) -> None:
    bench.app.default = stay_silent
    deadline = int(time() * 1000) + 60_000
    call = bench.relay(function_url(), environ | {"ADAPTER_DEADLINE_MARGIN": "59.9"}, deadline_ms=deadline)
    assert call.path.endswith("/error")
    assert call.json()["errorType"] == "Adapter.AppTimeout"


def test_a_stream_that_stalls_until_the_margin_ends_with_error_trailers(bench: Bench) -> None:
    def reply(received: Received) -> None:
        received.send(CHUNKED + b"4\r\nhalf\r\n")
        received.wait_for_hang_up()

    bench.app.default = reply
    environ = STREAMED | {"ADAPTER_DEADLINE_MARGIN": "59.8"}
    call = bench.relay(function_url(), environ, deadline_ms=int(time() * 1000) + 60_000)
    assert streamed(call)[1] == b"half"
    assert call.trailers["lambda-runtime-function-error-type"] == "Function.AppTimeout"


def test_without_a_margin_deadlines_are_lambdas_to_enforce(bench: Bench) -> None:
    assert answered(bench.relay(function_url(), deadline_ms=1))[0] == 200


@pytest.mark.parametrize("days", [25, 365, 100_000])
@pytest.mark.parametrize("slots", ["1", "8"])
def test_a_far_deadline_is_no_deadline(bench: Bench, days: int, slots: str) -> None:
    environ = {"AWS_LAMBDA_MAX_CONCURRENCY": slots, "ADAPTER_DEADLINE_MARGIN": "1"}
    bench.app.default = response(b"x" * 7_000_000, TEXT)
    call = bench.relay(function_url(), environ | STREAMED, deadline_ms=int(time() * 1000) + days * 86_400_000)
    assert len(streamed(call)[1]) == 7_000_000


@pytest.mark.parametrize(("text", "memory"), [("1024", 1024), ("²", 0), ("\u0661", 0), ("9" * 5000, 0), ("-1", 0)])
def test_a_memory_size_that_is_not_usable_is_0(bench: Bench, text: str, memory: int) -> None:
    bench.relay(function_url(), {"AWS_LAMBDA_FUNCTION_MEMORY_SIZE": text})
    context = json.loads(bench.app.requests[0].headers["x-amzn-lambda-context"])
    assert context["env_config"]["memory"] == memory


def test_among_several_slots_a_deadline_ends_the_request(bench: Bench) -> None:
    bench.app.default = stay_silent
    call = bench.relay(function_url(), {"AWS_LAMBDA_MAX_CONCURRENCY": "8"}, deadline_ms=1)
    assert call.json()["errorType"] == "Adapter.AppTimeout"


# --- SnapStart's hooks --------------------------------------------------------------------------------------------

HOOKS = {"AWS_LWA_SNAPSTART_BEFORE_CHECKPOINT_PATH": "/before", "AWS_LWA_SNAPSTART_AFTER_RESTORE_PATH": "/after"}


@pytest.mark.parametrize("environ", MODES)
@pytest.mark.parametrize(
    "path", ["/before", "/after", "/%62efore", "/Before/", "//before", "/x/../after", "/after;x", "/api/before"]
)
def test_outside_requests_to_the_hooks_are_refused(bench: Bench, environ: dict[str, str], path: str) -> None:
    settings = environ | HOOKS | {"AWS_LWA_REMOVE_BASE_PATH": "/api"}
    call = bench.relay(function_url(path, method="POST", query="x=1"), settings)
    assert answered(call)[0] == 403
    assert bench.app.requests == []


def test_other_paths_are_not_taken_for_hooks(bench: Bench) -> None:
    assert answered(bench.relay(function_url("/before/x"), HOOKS))[0] == 200


# --- the path of events that are not HTTP ---------------------------------------------------------------------------

GUARDED = {"ADAPTER_GUARD_PASS_THROUGH": "true"}


def test_only_a_real_event_has_the_mark(bench: Bench) -> None:
    forged = {"X-Amzn-Lambda-Event": "pass-through", "x_amzn_lambda_event": "pass-through"}
    bench.relay(function_url("/events", method="POST", headers=forged))
    bench.relay(SQS)
    outside, real = bench.app.requests
    assert (outside.target, real.target) == ("/events", "/events")
    assert not [name for name, _ in outside.pairs if "event" in name]
    assert real.headers["x-amzn-lambda-event"] == "pass-through"


@pytest.mark.parametrize("environ", MODES)
@pytest.mark.parametrize("path", ["/events", "/Events/", "/x/..//events;a", "/%65vents"])
def test_the_path_of_events_can_be_closed_to_clients(bench: Bench, environ: dict[str, str], path: str) -> None:
    assert answered(bench.relay(function_url(path, method="POST"), environ | GUARDED))[0] == 403
    assert bench.app.requests == []
    assert bench.relay(SQS, environ | GUARDED).path.endswith("/response")
    assert [request.target for request in bench.app.requests] == ["/events"]


def test_headers_about_the_origin_are_removed_on_request(bench: Bench) -> None:
    sent = {
        "x-forwarded-for": "1.1.1.1",
        "x-real-ip": "1.1.1.1",
        "script_name": "/x",
        "remote-user": "root",
        "x-own": "1",
    }
    bench.relay(function_url("/", headers=sent))
    bench.relay(function_url("/", headers=sent), {"ADAPTER_STRIP_FORWARDED": "true"})
    default, stripped = [{name for name, _ in request.pairs} & set(sent) for request in bench.app.requests]
    assert default == {"x-forwarded-for", "x-real-ip", "x-own"}
    assert stripped == {"x-own"}


# --- compression --------------------------------------------------------------------------------------------------


def decoded(coding: str, body: bytes) -> bytes:
    if coding == "zstd":
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return bytes(brotli.decompress(body)) if coding == "br" else gzip.decompress(body)


@pytest.mark.parametrize("environ", MODES)
@pytest.mark.parametrize("coding", ["gzip", "br", "zstd"])
def test_a_compressible_body_is_compressed_as_the_client_asks(
    bench: Bench, environ: dict[str, str], coding: str
) -> None:
    body = b"compressible " * 10_000
    bench.app.default = response(body, TEXT, 'ETag: "1"')
    event = function_url(headers={"accept-encoding": coding})
    _, headers, sent = answered(bench.relay(event, environ | COMPRESSED))
    assert headers == {
        "content-type": "text/plain",
        "etag": 'W/"1"',
        "vary": "accept-encoding",
        "content-encoding": coding,
    }
    assert len(sent) < len(body) / 10
    assert decoded(coding, sent) == body


@pytest.mark.parametrize("environ", MODES)
def test_without_the_option_nothing_is_compressed(bench: Bench, environ: dict[str, str]) -> None:
    bench.app.default = response(b"x" * 1000, TEXT)
    _, headers, sent = answered(bench.relay(function_url(headers={"accept-encoding": "gzip"}), environ))
    assert headers == {"content-type": "text/plain"}
    assert sent == b"x" * 1000


def test_a_buffered_body_over_the_limit_is_answered_if_it_fits_compressed(bench: Bench) -> None:
    body = b"compressible " * 1_000_000
    bench.app.default = response(body, TEXT)
    call = bench.relay(function_url(headers={"accept-encoding": "gzip"}), COMPRESSED)
    assert decoded("gzip", answered(call)[2]) == body


def test_each_piece_of_a_compressed_stream_can_be_decoded_when_it_arrives(bench: Bench) -> None:
    passed_on = [threading.Event() for _ in range(3)]

    def reply(received: Received) -> None:
        received.send(CHUNKED)
        for number, event in enumerate(passed_on):
            received.send(b"6\r\npiece%d\r\n" % number)
            assert event.wait(PATIENCE)
        received.send(b"0\r\n\r\n")

    bench.app.default = reply
    bench.begin(function_url(headers={"accept-encoding": "gzip"}), STREAMED | COMPRESSED)
    call = bench.begun()
    raw = b""
    for number, event in enumerate(passed_on):
        while True:
            chunk = call.next_chunk()
            assert chunk is not None
            raw += chunk
            body = raw.partition(b"\0" * 8)[2]
            if zlib.decompressobj(31).decompress(body).endswith(b"piece%d" % number):
                break
        event.set()
    assert gzip.decompress(streamed(call.wait())[1]) == b"piece0piece1piece2"


def test_a_compressed_stream_that_breaks_off_keeps_its_trailers(bench: Bench) -> None:
    bench.app.default = break_off
    call = bench.relay(function_url(headers={"accept-encoding": "gzip"}), STREAMED | COMPRESSED)
    assert zlib.decompressobj(31).decompress(streamed(call)[1]) == b"half"
    assert call.trailers["lambda-runtime-function-error-type"] == "Function.TruncatedResponse"


# --- the line in the log ------------------------------------------------------------------------------------------


def lines(captured: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in captured.readouterr().err.splitlines()]


JSON_LOG = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
# SO_LINGER: on, 0 seconds; the end of a connection is a reset.
RESET_ON_CLOSE = b"\1\0\0\0\0\0\0\0"


@pytest.mark.parametrize("environ", MODES)
def test_an_invocation_has_one_line(bench: Bench, environ: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    bench.app.default = response(b"hello", TEXT, status=404)
    bench.relay(function_url("/a", method="PUT", query="token=secret"), environ | JSON_LOG)
    [line] = lines(capfd)
    assert line["ms"] >= line["firstByteMs"] >= 0
    assert {name: line[name] for name in line if name not in ("ms", "firstByteMs", "timestamp")} == {
        "level": "INFO",
        "message": "invocation",
        "requestId": "1",
        "method": "PUT",
        "path": "/a",
        "status": 404,
        "bytes": 5,
        "coldStart": True,
    }


def test_the_line_of_a_failed_invocation_says_why(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.app.default = break_off
    bench.relay(function_url("/a"), JSON_LOG)
    [line] = lines(capfd)
    assert line["error"] == "Adapter.TruncatedResponse"
    assert "6 bytes too early" in line["reason"]


def test_the_line_of_an_event_that_was_no_request_has_no_path(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.relay(b"{", JSON_LOG)
    [line] = lines(capfd)
    assert line["error"] == "Adapter.InvalidEvent"
    assert "path" not in line


@pytest.mark.parametrize("environ", MODES)
def test_what_lambda_says_against_an_answer_is_logged(
    bench: Bench, environ: dict[str, str], capfd: pytest.CaptureFixture[str]
) -> None:
    bench.api.answers["/response"] = (413, b"Exceeded")
    bench.relay(function_url(), environ | JSON_LOG)
    refusal, access = lines(capfd)
    assert refusal["level"] == "ERROR"
    assert refusal["message"] == "Lambda refused the response: status 413: Exceeded"
    assert access["message"] == "invocation"


def test_what_lambda_takes_no_more_of_is_counted_once(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.api.answers["/response"] = (413, b"too large")

    def reply(received: Received) -> None:
        received.send(CHUNKED + b"5\r\nfirst\r\n")
        assert bench.begun().next_chunk()
        # Lambda answers what it has and is gone before there is more.
        [connection] = bench.api.connections
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.shutdown(socket.SHUT_RD)
        bench.api.wait_until_closed(1)
        received.send(b"6\r\nsecond\r\n")
        received.wait_for_hang_up()

    bench.app.default = reply
    bench.relay(function_url(), STREAMED | JSON_LOG)
    refusal, access = lines(capfd)
    assert refusal["message"] == "Lambda refused the response: status 413: too large"
    assert access["bytes"] == len("first" + "second")


def test_the_line_can_be_turned_off(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.relay(function_url(), {"ADAPTER_ACCESS_LOG": "false"})
    assert capfd.readouterr().err == ""


def test_an_answer_that_came_too_late_is_called_so(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.api.answers["/response"] = (400, b'{"errorType":"InvalidRequestID"}')
    bench.relay(function_url(), JSON_LOG)
    refusal, _ = lines(capfd)
    assert refusal["message"].startswith("the answer to this invocation came too late: status 400")


# --- cookies that a load balancer loses ---------------------------------------------------------------------------

ALB_EVENT = {"httpMethod": "GET", "path": "/", "headers": {}, "requestContext": {"elb": {}}}
TWO_COOKIES = response(b"", TEXT, "Set-Cookie: a=1", "Set-Cookie: b=2")
LOST = (
    "cookies are lost: a response has several, and alb sends only the last; turn on multi-value headers of the target "
    "group, or set ADAPTER_ALB_COOKIES=all"
)


def test_a_lost_cookie_is_a_warning(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    bench.app.default = TWO_COOKIES
    assert bench.relay(ALB_EVENT).json()["headers"] == {"content-type": "text/plain", "set-cookie": "b=2"}
    assert LOST in capfd.readouterr().err


def test_all_cookies_are_sent_under_names_that_differ_in_case(bench: Bench, capfd: pytest.CaptureFixture[str]) -> None:
    """Source: Mangum, which does the same."""
    bench.app.default = TWO_COOKIES
    call = bench.relay(ALB_EVENT, {"ADAPTER_ALB_COOKIES": "all"})
    assert call.json()["headers"] == {"content-type": "text/plain", "set-cookie": "a=1", "Set-cookie": "b=2"}
    assert "cookies are lost" not in capfd.readouterr().err


@pytest.mark.parametrize(
    ("event", "cookies"),
    [
        pytest.param(ALB_EVENT, ["Set-Cookie: a=1"], id="one"),
        pytest.param(ALB_EVENT | {"multiValueHeaders": {}}, ["Set-Cookie: a=1", "Set-Cookie: b=2"], id="multi-value"),
        pytest.param(function_url(), ["Set-Cookie: a=1", "Set-Cookie: b=2"], id="function-url"),
    ],
)
def test_without_a_lost_cookie_nothing_is_logged(
    bench: Bench, event: Any, cookies: list[str], capfd: pytest.CaptureFixture[str]
) -> None:
    bench.app.default = response(b"", TEXT, *cookies)
    bench.relay(event)
    assert "cookies are lost" not in capfd.readouterr().err
