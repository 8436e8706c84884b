"""The function URL from a client's side, with scripted runtimes behind real sockets."""

from __future__ import annotations

import asyncio
import base64
import json

import pytest

from adapter.aws.limits import REQUEST_LIMIT
from tests.emulator.scripted import Handed, Script, ScriptedRuntime, Upload, local_lambda, prelude
from tests.emulator.scripts import buffered, each, streaming
from tests.raw_client import RawAnswer, RawClient, head


async def show_event(runtime: ScriptedRuntime, handed: Handed) -> None:
    upload = await runtime.stream(handed)
    await upload.write(prelude(headers={"content-type": "application/json"}) + json.dumps(handed.event).encode())
    await upload.end()


# --- the event ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        pytest.param("/", "/", "", id="root"),
        pytest.param("/a%2Fb//c/../d?x=1&x=2&y=%20", "/a%2Fb//c/../d", "x=1&x=2&y=%20", id="as-it-came"),
        pytest.param("//evil.example/x", "//evil.example/x", "", id="two-slashes"),
        pytest.param("http://elsewhere.example/x?y=1", "/x", "y=1", id="absolute-form"),
        pytest.param("/?", "/", "", id="empty-query"),
    ],
)
async def test_the_path_reaches_the_event_as_the_client_sent_it(target: str, path: str, query: str) -> None:
    async with local_lambda(each(show_event)) as local:
        event = (await local.request("GET", target)).json()
        assert (event["rawPath"], event["rawQueryString"]) == (path, query)


async def test_the_event_says_who_asked_and_how() -> None:
    headers = {"X-Twice": "1", "Cookie": "a=1; b=2", "Host": "api.test:3000", "X-Forwarded-For": "203.0.113.7"}
    async with local_lambda(each(show_event)) as local:
        event = (await local.request("PATCH", "/x", b"body", headers)).json()
        assert event["version"] == "2.0"
        assert event["requestContext"]["http"]["method"] == "PATCH"
        assert event["requestContext"]["http"]["sourceIp"] == "127.0.0.1"
        assert event["cookies"] == ["a=1", "b=2"]
        assert event["headers"]["x-twice"] == "1"
        # A client cannot set its own address.
        assert event["headers"]["x-forwarded-for"] == "127.0.0.1"
        assert event["headers"]["x-forwarded-port"] == str(local.port)
        assert event["headers"]["x-amzn-trace-id"].startswith("Root=1-")


async def test_an_encoded_body_is_passed_on_undecoded() -> None:
    body = b"\x1f\x8b\x08 not really gzip \x00\xff"
    async with local_lambda(each(show_event)) as local:
        event = (await local.request("POST", "/", body, {"Content-Encoding": "gzip"})).json()
        assert base64.b64decode(event["body"]) == body


async def test_a_megabyte_of_headers_is_let_through() -> None:
    headers = {f"x-{number}": "v" * 5000 for number in range(190)}
    async with local_lambda(each(show_event)) as local:
        event = (await local.request("GET", "/", b"", headers)).json()
        assert event["headers"]["x-189"] == "v" * 5000


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"x" * REQUEST_LIMIT, 200, id="text-of-the-limit"),
        pytest.param(b"x" * (REQUEST_LIMIT + 1), 413, id="text-over-the-limit"),
        pytest.param(b"\xff" * (REQUEST_LIMIT // 4 * 3), 200, id="binary-of-the-limit"),
        pytest.param(b"\xff" * (REQUEST_LIMIT // 4 * 3 + 1), 413, id="binary-over-the-limit-as-base64"),
    ],
)
async def test_a_body_is_limited_as_it_is_in_the_event(body: bytes, status: int) -> None:
    async with local_lambda(streaming(prelude())) as local:
        content_type = "text/plain" if body.isascii() else "image/png"
        response = await local.request("POST", "/", body, {"Content-Type": content_type})
        assert response.status == status
        record = await local.visit()
        assert record.status == status
        assert bool(record.error_type) is (status == 413)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"GET /\xc3\xbc HTTP/1.1\r\nHost: x\r\n\r\n", id="not-ascii"),
        pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\nx y: z\r\n\r\n", id="no-header-name"),
    ],
)
async def test_what_is_not_http_is_refused_without_a_traceback(raw: bytes, caplog: pytest.LogCaptureFixture) -> None:
    async with local_lambda(streaming(prelude())) as local:
        client = await RawClient.connect(local.port)
        await client.send(raw)
        assert (await client.head()).status == 400
        await client.close()
        assert caplog.records == []


@pytest.mark.parametrize("target", [pytest.param("*", id="asterisk"), pytest.param("ftp://x/y", id="other-scheme")])
async def test_a_target_that_is_no_path_never_becomes_an_invocation(target: str) -> None:
    async with local_lambda(streaming(prelude())) as local:
        assert (await local.request("OPTIONS", target)).status == 400
        assert local.starts == 0


async def test_a_client_that_leaves_within_its_request_never_becomes_an_invocation() -> None:
    async with local_lambda(streaming(prelude())) as local:
        client = await RawClient.connect(local.port)
        await client.send(head("POST", "/", {"Content-Length": "10"}) + b"half")
        client.abort()
        assert (await local.visit()).client_left
        assert local.starts == 0


# --- streams -----------------------------------------------------------------------------------------------------


async def test_a_prelude_becomes_the_head() -> None:
    fields = {"statusCode": 418, "headers": {"x-a": "1", "content-type": "text/plain"}, "cookies": ["a=1", "b=2"]}
    async with local_lambda(streaming(prelude(**fields), b"tea")) as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body, response.is_cut) == (418, b"tea", False)
        assert response.header("x-a") == "1"
        assert response.header("content-type") == "text/plain"
        assert [value for name, value in response.pairs if name == "set-cookie"] == ["a=1", "b=2"]
        assert response.header("x-amzn-requestid")
        assert response.header("server") is None


async def test_a_prelude_may_be_split_anywhere() -> None:
    whole = prelude(statusCode=201) + b"body"
    for cut in range(1, len(whole)):
        async with local_lambda(streaming(whole[:cut], whole[cut:])) as local:
            response = await local.request("GET", "/")
            assert (response.status, response.body) == (201, b"body")


async def test_each_piece_is_relayed_before_the_next_one_exists() -> None:
    uploads: asyncio.Queue[Upload] = asyncio.Queue()

    async def script(runtime: ScriptedRuntime) -> int:
        upload = await runtime.stream(await runtime.next())
        uploads.put_nowait(upload)
        await asyncio.Event().wait()
        return 0

    async with local_lambda(script) as local:
        client = await RawClient.connect(local.port)
        await client.send(head("GET", "/", {}))
        upload = await uploads.get()
        await upload.write(prelude())
        # The head comes without waiting for a body.
        assert (await client.head()).status == 200
        for piece in (b"one", b"two", b"three"):
            await upload.write(piece)
            assert await client.chunk() == piece
        await upload.end()
        assert await client.chunk() == b""
        await client.close()


@pytest.mark.parametrize(
    ("method", "status"),
    [
        pytest.param("HEAD", 200, id="head"),
        pytest.param("GET", 204, id="no-content"),
        pytest.param("GET", 304, id="not-modified"),
    ],
)
async def test_a_bodiless_response_leaves_the_connection_usable(method: str, status: int) -> None:
    async with local_lambda(streaming(prelude(statusCode=status), b"not to be sent")) as local:
        client = await RawClient.connect(local.port)
        for _ in range(2):
            response = await client.request(method, "/")
            assert (response.status, response.body) == (status, b"")
        await client.close()


async def test_a_stream_without_a_prelude_is_the_body() -> None:
    async with local_lambda(streaming(b"raw", **{"Content-Type": "text/csv"})) as local:
        response = await local.request("GET", "/")
        assert (response.status, response.header("content-type"), response.body) == (200, "text/csv", b"raw")


async def test_a_stream_without_a_prelude_that_fails_before_its_first_byte_is_a_502() -> None:
    trailers = "Lambda-Runtime-Function-Error-Type: Function.Crash\r\n"
    headers = {"Content-Type": "text/csv", "Trailer": "Lambda-Runtime-Function-Error-Type"}
    async with local_lambda(streaming(trailers=trailers, **headers)) as local:
        assert (await local.request("GET", "/")).status == 502
        assert (await local.visit()).error_type == "Function.Crash"


async def test_the_cap_holds_back_what_is_beyond_the_burst() -> None:
    body = bytes(range(256)) * 1024
    async with local_lambda(streaming(prelude(), body), bandwidth="128KB+512KB") as local:
        begun = asyncio.get_running_loop().time()
        response = await local.request("GET", "/")
        took = asyncio.get_running_loop().time() - begun
        assert response.body == body
        record = await local.visit()
        # 128 KiB at once, then two refills of 64 KiB, one every 125 ms.
        assert took >= 0.25
        assert record.held >= 0.2
        assert record.streamed == record.sent == len(body)


@pytest.mark.parametrize(
    ("body", "status"),
    [pytest.param(b"x" * 1000, None, id="of-the-limit"), pytest.param(b"x" * 1001, "cut", id="over-the-limit")],
)
async def test_a_stream_is_cut_after_its_limit(body: bytes, status: str | None) -> None:
    async with local_lambda(streaming(prelude(), body[:900], body[900:]), stream_limit="1000") as local:
        response = await local.request("GET", "/")
        assert response.body == b"x" * 1000
        assert response.is_cut is (status is not None)
        assert (await local.visit()).error_type == ("" if status is None else "Function.ResponseSizeTooLarge")
        # The runtime gets an error, and goes on.
        assert (await local.request("GET", "/")).status == 200
        assert local.starts == 1


async def test_a_stream_that_the_runtime_breaks_off_is_cut() -> None:
    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        upload = await runtime.stream(handed)
        await upload.write(prelude() + b"part")
        upload.abort()

    async with local_lambda(each(serve)) as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body, response.is_cut) == (200, b"part", True)
        record = await local.visit()
        assert (record.error_type, record.broken_off) == ("Runtime.TruncatedResponse", True)


async def test_error_trailers_cut_the_response_and_name_the_error() -> None:
    error = base64.b64encode(b'{"errorMessage": "the app crashed"}').decode()
    trailers = f"Lambda-Runtime-Function-Error-Type: Function.Crash\r\nLambda-Runtime-Function-Error-Body: {error}\r\n"
    declared = {"Trailer": "lambda-runtime-function-error-type, lambda-runtime-function-error-body"}
    async with local_lambda(streaming(prelude(), b"part", trailers=trailers, **declared)) as local:
        response = await local.request("GET", "/")
        assert (response.body, response.is_cut) == (b"part", True)
        record = await local.visit()
        assert (record.error_type, record.error_message) == ("Function.Crash", "the app crashed")


@pytest.mark.parametrize(
    "stream",
    [
        pytest.param([b'{"statusCode": 200}'], id="ends-within-the-prelude"),
        pytest.param([b"no json" + bytes(8), b"and more"], id="not-json"),
        pytest.param([prelude(statusCode=101)], id="not-final"),
    ],
)
async def test_an_unusable_prelude_is_a_502_and_the_runtime_goes_on(stream: list[bytes]) -> None:
    async with local_lambda(streaming(*stream)) as local:
        for _ in range(2):
            response = await local.request("GET", "/")
            assert (response.status, response.body) == (502, b"Internal Server Error")
            assert (await local.visit()).error_type == "Adapter.InvalidFunctionResponse"
        assert local.starts == 1


async def test_an_invocation_runs_on_when_its_client_has_left() -> None:
    left = asyncio.Event()
    answers: list[RawAnswer] = []

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        upload = await runtime.stream(handed)
        await upload.write(prelude() + b"first")
        await left.wait()
        for _ in range(100):
            await upload.write(b"x" * 1000)
            # One piece in each turn of the loop: writing the first one after the client has left shows that it left.
            await asyncio.sleep(0)
        answers.append(await upload.end())

    async with local_lambda(each(serve)) as local:
        client = await RawClient.connect(local.port)
        await client.send(head("GET", "/", {}))
        await client.head()
        assert await client.chunk() == b"first"
        client.abort()
        left.set()
        record = await local.visit()
        assert record.client_left
        assert record.streamed == len(b"first") + 100_000
        assert record.sent < record.streamed
        assert record.error_type == ""


async def test_a_client_that_reads_slowly_slows_the_runtime_down() -> None:
    written = 0
    total = 64

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        nonlocal written
        upload = await runtime.stream(handed)
        await upload.write(prelude())
        for _ in range(total):
            await upload.write(bytes(1024 * 1024))
            written += 1
        await upload.end()

    async with local_lambda(each(serve), bandwidth="unlimited") as local:
        client = await RawClient.connect(local.port)
        await client.send(head("GET", "/", {}))
        await client.head()
        # The client does not read, so the runtime stops when all socket buffers are full.
        before = -1
        while written > before:
            before = written
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.3):
                    await local.visit()
        assert written < total
        body = 0
        while piece := await client.chunk():
            body += len(piece)
        assert body == total * 1024 * 1024
        await client.close()


# --- buffered ----------------------------------------------------------------------------------------------------


async def test_a_buffered_payload_is_decoded() -> None:
    payload = {"statusCode": 201, "headers": {"x-a": "1"}, "cookies": ["a=1"], "body": "aGk=", "isBase64Encoded": True}
    async with local_lambda(buffered(payload), invoke_mode="buffered") as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body) == (201, b"hi")
        assert response.header("content-length") == "2"
        assert response.header("content-type") == "application/json"
        assert response.header("set-cookie") == "a=1"


async def test_a_head_request_is_not_told_that_the_body_would_be_empty() -> None:
    async with local_lambda(buffered({"statusCode": 200, "body": ""}), invoke_mode="buffered") as local:
        assert (await local.request("HEAD", "/")).header("content-length") is None
        assert (await local.request("GET", "/")).header("content-length") == "0"


async def test_a_payload_over_the_limit_is_refused_with_lambdas_own_words() -> None:
    async with local_lambda(buffered({"body": "x" * (6 * 1024 * 1024 + 100)}), invoke_mode="buffered") as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body) == (502, b"Internal Server Error")
        record = await local.visit()
        assert record.error_type == "Function.ResponseSizeTooLarge"
        assert record.error_message == "Response payload size exceeded maximum allowed payload size (6291556 bytes)."


async def test_a_payload_over_a_lower_limit_names_the_front_door_that_has_it() -> None:
    payload = buffered({"statusCode": 200, "body": "x" * 1024 * 1024})
    async with local_lambda(payload, front_doors="alb", invoke_mode="buffered") as local:
        assert (await local.request("GET", "/")).status == 502
        message = (await local.visit()).error_message
        assert message.endswith("payload size (1048576 bytes). This is the limit of a load balancer.")


@pytest.mark.parametrize(
    "payload",
    [pytest.param(b"no json", id="not-json"), pytest.param({"statusCode": "x"}, id="no-status")],
)
async def test_a_payload_that_is_no_response_is_a_502(payload: object) -> None:
    async with local_lambda(buffered(payload), invoke_mode="buffered") as local:
        assert (await local.request("GET", "/")).status == 502
        assert (await local.visit()).error_type == "Adapter.InvalidFunctionResponse"


async def test_a_reported_error_is_a_502_and_its_line_names_it() -> None:
    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        await runtime.fail(handed, "Function.AppUnreachable", "nobody\nthere")

    async with local_lambda(each(serve)) as local:
        assert (await local.request("GET", "/")).status == 502
        record = await local.visit()
        assert (record.error_type, record.error_message) == ("Function.AppUnreachable", "nobody")


# --- modes that do not match -------------------------------------------------------------------------------------


async def test_a_streaming_url_sends_a_buffered_payload_as_it_is() -> None:
    payload = {"statusCode": 201, "body": "hi"}
    async with local_lambda(buffered(payload), invoke_mode="buffered", url_invoke_mode="response_stream") as local:
        response = await local.request("GET", "/")
        assert (response.status, response.header("content-type")) == (200, "application/json")
        assert response.json() == payload
        record = await local.visit()
        assert record.mismatch


@pytest.mark.parametrize(
    ("script", "status", "body"),
    [
        pytest.param(streaming(prelude(statusCode=201), b"a", b"b"), 201, b"ab", id="with-prelude"),
        pytest.param(
            streaming(b'{"statusCode": 202, "body": "hi"}', **{"Content-Type": "application/json"}),
            202,
            b"hi",
            id="without-prelude",
        ),
        pytest.param(streaming(b'{"statusCode":'), 502, b"Internal Server Error", id="half-a-prelude"),
        pytest.param(
            streaming(prelude(), bytes(6 * 1024 * 1024), bytes(100)), 502, b"Internal Server Error", id="too-large"
        ),
    ],
)
async def test_a_buffered_url_collects_a_stream(script: Script, status: int, body: bytes) -> None:
    async with local_lambda(script, url_invoke_mode="buffered") as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body) == (status, body)
        assert response.header("content-length") == str(len(body))
        record = await local.visit()
        assert record.mismatch
