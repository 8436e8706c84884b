"""The mode of the invocation decides whether a response streams, not what the runtime announces.

Source: the official emulator, whose response-mode header is optional; the runtime here does what aws-lambda-go does.
"""

from __future__ import annotations

import asyncio
import base64

import pytest

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from tests.emulator.invoking import invoke, invoke_streaming
from tests.emulator.scripted import Handed, Script, ScriptedRuntime, local_lambda, prelude
from tests.emulator.scripts import buffered, each
from tests.raw_client import RawClient, head

HEAD = prelude(statusCode=202, headers={"X-Path": "/x", "Content-Length": "7"}, cookies=["a=1", "b=2"])
ERROR = base64.b64encode(b'{"errorMessage":"amid the response","errorType":"errorString"}').decode()
FAILED = f"Lambda-Runtime-Function-Error-Type: errorString\r\nLambda-Runtime-Function-Error-Body: {ERROR}\r\n"


def as_go(*pieces: bytes, trailers: str = "", content_type: str | None = None) -> Script:
    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        upload = await (runtime.stream_as_go(handed, content_type) if content_type else runtime.stream_as_go(handed))
        for piece in pieces:
            await upload.write(piece)
        assert (await upload.end(trailers)).status == 202

    return each(serve)


@pytest.mark.parametrize("door", ["function-url", "rest-api"])
async def test_a_stream_without_the_response_mode_streams(door: str) -> None:
    go_on = asyncio.Event()

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        upload = await runtime.stream_as_go(handed)
        await upload.write(HEAD[:30])
        await upload.write(HEAD[30:] + b"one ")
        await go_on.wait()
        await upload.write(b"two")
        assert (await upload.end()).status == 202

    async with local_lambda(each(serve), front_doors=door) as local:
        client = await RawClient.connect(local.port)
        await client.send(head("GET", "/", {}))
        response = await client.head()
        assert (response.status, response.header("x-path")) == (202, "/x")
        assert [value for name, value in response.pairs if name.lower() == "set-cookie"] == ["a=1", "b=2"]
        assert await client.chunk() == b"one "
        go_on.set()
        assert await client.chunk() == b"two"
        assert await client.chunk() == b""
        await client.close()
        assert not (await local.visit()).mismatch


async def test_declared_trailers_end_the_stream_with_an_error() -> None:
    async with local_lambda(as_go(HEAD, b"one ", trailers=FAILED)) as local:
        for _ in range(2):
            response = await local.request("GET", "/")
            assert (response.status, response.body, response.is_cut) == (202, b"one ", True)
            record = await local.visit()
            assert (record.error_type, record.error_message) == ("errorString", "amid the response")
        assert local.starts == 1
        events = await invoke_streaming(local)
        assert events[-1]["InvokeComplete"]["ErrorCode"] == "errorString"


async def test_a_stream_to_the_invoke_api_comes_in_pieces() -> None:
    async with local_lambda(as_go(b"one ", b"two", content_type="application/octet-stream")) as local:
        events = await invoke_streaming(local)
        assert b"".join(event["PayloadChunk"]["Payload"] for event in events[:-1]) == b"one two"
        assert events[-1] == {"InvokeComplete": {}}


@pytest.mark.parametrize("door", ["function-url", "http-api", "alb"])
async def test_a_front_door_that_does_not_stream_reads_the_prelude(door: str) -> None:
    async with local_lambda(as_go(HEAD, b"one ", b"two"), front_doors=door, invoke_mode="buffered") as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body, response.header("x-path")) == (202, b"one two", "/x")
        assert response.header("content-length") == "7"
        assert (await local.visit()).mismatch


async def test_a_buffered_invocation_fails_with_the_error_in_the_trailers() -> None:
    async with local_lambda(as_go(b'{"statusCode"', trailers=FAILED), invoke_mode="buffered") as local:
        assert (await local.request("GET", "/")).status == 502
        assert (await local.visit()).error_message == "amid the response"
        answer = await invoke(local)
        assert answer["FunctionError"] == "Unhandled"
        assert b"amid the response" in answer["Payload"]


async def test_json_from_a_runtime_that_does_not_stream_is_a_mismatch() -> None:
    payload = b'{"statusCode": 201, "body": "hi"}'
    async with local_lambda(as_go(payload, content_type="application/json")) as local:
        response = await local.request("GET", "/")
        assert (response.status, response.header("content-type"), response.body) == (200, "application/json", payload)
        assert (await local.visit()).mismatch


async def test_the_limit_of_a_streaming_invocation_is_that_of_streams() -> None:
    payload = b'"' + bytes(b"x" * BUFFERED_RESPONSE_LIMIT) + b'"'
    async with local_lambda(buffered(payload), bandwidth="unlimited") as local:
        response = await local.request("GET", "/")
        assert (response.status, len(response.body)) == (200, len(payload))
    async with local_lambda(buffered(payload), invoke_mode="buffered") as local:
        assert (await local.request("GET", "/")).status == 502


# --- the head of a stream, by field reports ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("door", "headers", "expected"),
    [
        pytest.param("function-url", {}, ("application/octet-stream", None), id="no-type"),
        pytest.param("function-url", {"content-type": "text/csv"}, ("text/csv", None), id="type"),
        pytest.param("function-url", {"Content-Length": "4"}, ("application/octet-stream", "4"), id="length"),
        pytest.param("rest-api", {"content-length": "4"}, ("application/json", None), id="rest-api"),
    ],
)
async def test_the_head_of_a_stream_has_a_type_and_no_length(
    door: str, headers: dict[str, str], expected: tuple[str, str | None]
) -> None:
    async with local_lambda(as_go(prelude(headers=headers), b"body"), front_doors=door) as local:
        response = await local.request("GET", "/")
        assert (response.header("content-type"), response.header("x-amzn-remapped-content-length")) == expected
        assert (response.header("content-length"), response.body) == (None, b"body")


async def test_a_buffered_response_keeps_its_type() -> None:
    async with local_lambda(buffered({"statusCode": 200, "body": "x"}), invoke_mode="buffered") as local:
        response = await local.request("GET", "/")
        assert response.header("content-type") == "application/json"
        assert response.header("x-amzn-remapped-content-length") is None
