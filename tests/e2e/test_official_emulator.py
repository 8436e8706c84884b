"""AWS's own emulator runs ``adapter run`` with both examples, in both invoke modes, on AWS's own sample events."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterator
from typing import Any, cast

import pytest

from tests.apps import FRAMEWORKS, Framework
from tests.e2e.official_emulator import OfficialEmulator, Returned, official_emulator
from tests.samples import sam_sample_event

BUFFERED, STREAMED = "buffered", "response_stream"
# The body of every HTTP sample.
SAMPLE_BODY = b'{"test":"body"}'
PATTERN = bytes(range(251))


class Function:
    """One example in one invoke mode, behind the official emulator."""

    def __init__(self, emulator: OfficialEmulator, framework: Framework, invoke_mode: str) -> None:
        self.emulator = emulator
        self.framework = framework
        self.streams = invoke_mode == STREAMED

    def get(self, target: str, **changes: Any) -> Returned:
        """Call it as an HTTP API does; ``changes`` are fields of the event."""
        path, _, query = target.partition("?")
        event = sam_sample_event("apigateway http-api-proxy") | {"rawPath": path, "rawQueryString": query}
        event["requestContext"]["http"] |= {"method": "GET", "path": path}
        return self.emulator.invoke(event | {"body": None, "isBase64Encoded": False} | changes)

    def echoed(self, event: Any) -> Any:
        """What the app saw of an event for its route /echo."""
        head, body = self.emulator.invoke(event).http(streamed=self.streams)
        assert head.status == 200
        assert ("content-type", "application/json") in head.headers
        return Returned(event, 200, body).json()


FUNCTIONS = [
    pytest.param((framework, mode), id=f"{framework}-{mode}")
    for framework in FRAMEWORKS
    for mode in (BUFFERED, STREAMED)
]


@pytest.fixture(scope="module", params=FUNCTIONS)
def function(request: pytest.FixtureRequest) -> Iterator[Function]:
    framework, invoke_mode = cast("tuple[Framework, str]", request.param)
    with official_emulator(framework, invoke_mode) as emulator:
        yield Function(emulator, framework, invoke_mode)


@pytest.mark.parametrize(
    ("sample", "changes", "target", "header"),
    [
        pytest.param(
            "apigateway aws-proxy",
            {"path": "/echo/a%2Fb"},
            "/echo/a%2Fb?foo=bar",
            ("x-forwarded-for", "127.0.0.1, 127.0.0.2"),
            id="rest-api",
        ),
        pytest.param(
            "apigateway http-api-proxy",
            {"rawPath": "/echo/a%2Fb"},
            "/echo/a%2Fb?parameter1=value1&parameter1=value2&parameter2=value",
            ("header2", "value1,value2"),
            id="http-api",
        ),
        pytest.param(
            "alb request",
            {"path": "/echo/a%2Fb"},
            "/echo/a%2Fb?query=1234ABCD",
            ("host", "lambda-alb-123578498.us-east-2.elb.amazonaws.com"),
            id="alb",
        ),
    ],
)
def test_an_http_sample_reaches_the_app_as_the_request_it_describes(
    function: Function, sample: str, changes: dict[str, Any], target: str, header: tuple[str, str]
) -> None:
    event = sam_sample_event(sample) | changes
    seen = function.echoed(event)
    assert seen["method"] == "POST"
    assert f"{seen['path']}?{seen['query']}" == target
    assert b64decode(seen["body"]) == SAMPLE_BODY
    headers = {name.lower(): value for name, value in seen["headers"]}
    assert headers[header[0]] == header[1]
    assert headers["content-length"] == str(len(SAMPLE_BODY))
    assert json.loads(headers["x-amzn-request-context"]) == event["requestContext"]
    assert json.loads(headers["x-amzn-lambda-context"])["request_id"]


def test_cookies_of_an_http_api_are_one_header(function: Function) -> None:
    seen = function.echoed(sam_sample_event("apigateway http-api-proxy") | {"rawPath": "/echo/"})
    assert [value for name, value in seen["headers"] if name.lower() == "cookie"] == ["cookie1; cookie2"]


@pytest.mark.parametrize(
    ("sample", "kind", "records"),
    [
        pytest.param("sns notification", "aws:sns", 1, id="sns"),
        pytest.param("s3 put", "aws:s3", 1, id="s3-put"),
        pytest.param("s3 delete", "aws:s3", 1, id="s3-delete"),
        pytest.param("dynamodb update", "aws:dynamodb", 3, id="dynamodb"),
        pytest.param("kinesis get-records", "aws:kinesis", 1, id="kinesis"),
        pytest.param("ses email-receiving", "aws:ses", 1, id="ses"),
        pytest.param("codecommit repository", "aws:codecommit", 1, id="codecommit"),
        pytest.param("cloudwatch scheduled-event", "aws.events", 0, id="eventbridge"),
        pytest.param("cloudfront access-request-in-response", "unknown", 0, id="cloudfront"),
        pytest.param("apigateway request-authorizer", "unknown", 0, id="authorizer"),
        pytest.param("stepfunctions error", "unknown", 0, id="step-functions"),
    ],
)
def test_an_event_that_is_not_http_is_posted_and_the_body_is_the_answer(
    function: Function, sample: str, kind: str, records: int
) -> None:
    returned = function.emulator.invoke(sam_sample_event(sample))
    assert returned.status == 200
    assert returned.json() == {"kind": kind, "records": records}


def test_a_batch_is_answered_with_the_messages_that_failed(function: Function) -> None:
    event = sam_sample_event("sqs receive-message")
    [message] = event["Records"]
    event["Records"] = [message | {"messageId": f"id-{body}", "body": body} for body in ("fine", "fail")]
    assert function.emulator.invoke(event).json() == {"batchItemFailures": [{"itemIdentifier": "id-fail"}]}


def test_a_binary_request_body_arrives_byte_for_byte(function: Function) -> None:
    sent = PATTERN * 1000 + b"\xff\x00"
    event = sam_sample_event("apigateway aws-proxy") | {"path": "/echo/", "body": b64encode(sent).decode()}
    assert b64decode(function.echoed(event)["body"]) == sent


def test_a_binary_response_comes_back_byte_for_byte(function: Function) -> None:
    head, body = function.get("/download?bytes=502000").http(streamed=function.streams)
    assert head.status == 200
    assert ("content-type", "application/octet-stream") in head.headers
    assert body == PATTERN * 2000


def test_both_cookies_come_back(function: Function) -> None:
    head, _ = function.get("/cookies").http(streamed=function.streams)
    cookies = [value for name, value in head.headers if name == "set-cookie"]
    assert [cookie.partition(";")[0] for cookie in cookies] == ["session=abc123", "theme=dark"]


@pytest.mark.parametrize("status", [pytest.param(204, id="204"), pytest.param(304, id="304")])
def test_a_response_without_a_body_comes_back_without_one(function: Function, status: int) -> None:
    head, body = function.get(f"/status/{status}").http(streamed=function.streams)
    assert (head.status, body) == (status, b"")


@pytest.mark.parametrize(
    ("event", "message"),
    [
        pytest.param(
            {"version": "2.0", "requestContext": {"http": {"method": "G E T"}}},
            "the event's method is 'G E T', which is not an HTTP method",
            id="method",
        ),
        pytest.param(b"{", "the event is not JSON: ", id="not-json"),
    ],
)
def test_an_event_that_cannot_be_a_request_fails_alone(function: Function, event: Any, message: str) -> None:
    error = function.emulator.invoke(event).json()
    assert error["errorType"] == "Adapter.InvalidEvent"
    assert error["errorMessage"].startswith(message)
    head, _ = function.get("/").http(streamed=function.streams)
    assert head.status == 200


def test_a_response_beyond_what_may_be_buffered_is_refused(function: Function) -> None:
    """This emulator collects a streamed response and refuses it by itself; the runtime must survive that, too."""
    error = function.get("/download?bytes=8000000").json()
    assert error["errorType"] == "Function.ResponseSizeTooLarge"
    assert "maximum allowed payload size (6291556 bytes)" in error["errorMessage"]
    head, body = function.get("/download?bytes=251").http(streamed=function.streams)
    assert (head.status, body) == (200, PATTERN)


def test_a_response_that_breaks_off_is_an_error_and_the_next_invocation_is_served(function: Function) -> None:
    returned = function.get("/crash-midstream?bytes=251000")
    if function.streams:
        head, body = returned.http(streamed=True)
        assert (head.status, body) == (200, PATTERN * 1000)
    else:
        assert returned.json()["errorType"] == "Adapter.TruncatedResponse"
    line = function.emulator.output.wait_for("path=/crash-midstream status=200")
    assert "error=Adapter.TruncatedResponse" in line
    head, _ = function.get("/").http(streamed=function.streams)
    assert head.status == 200


@pytest.mark.parametrize("invoke_mode", [BUFFERED, STREAMED])
def test_an_app_that_exits_ends_its_environment_and_the_next_one_serves(invoke_mode: str) -> None:
    """uvicorn ends with its app, so that the runtime ends with its exit code, as Lambda's callers expect."""
    with official_emulator("fastapi", invoke_mode) as emulator:
        function = Function(emulator, "fastapi", invoke_mode)
        crashed = function.get("/crash-midstream?bytes=251&how=exit")
        if function.streams:
            assert crashed.http(streamed=True)[1] == PATTERN
        else:
            assert crashed.json()["errorType"] == "Adapter.TruncatedResponse"
        emulator.output.wait_for("Process runtime-1 exited: exit status 1")
        served = function.get("/")
        # If the emulator has not handled the exit yet, this call reports it. The next call never does.
        if served.status == 502:
            assert served.json()["errorType"] == "Runtime.ExitError"
            assert served.json()["errorMessage"].endswith("Error: Runtime exited with error: exit status 1")
            served = function.get("/")
        head, _ = served.http(streamed=function.streams)
        assert head.status == 200


@pytest.mark.parametrize("invoke_mode", [BUFFERED, STREAMED])
def test_a_server_that_replaces_its_worker_keeps_its_environment(invoke_mode: str) -> None:
    """gunicorn starts another worker, which takes the connection that waits."""
    with official_emulator("flask", invoke_mode) as emulator:
        function = Function(emulator, "flask", invoke_mode)
        function.get("/crash-midstream?bytes=251&how=exit")
        emulator.output.wait_for("error=Adapter.TruncatedResponse")
        head, _ = function.get("/").http(streamed=function.streams)
        assert head.status == 200
        assert "Process runtime-1 exited" not in emulator.output.text
