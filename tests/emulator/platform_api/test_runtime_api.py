"""The Runtime API and the Extensions API as a runtime sees them: every answer of the tables, over real sockets."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.emulator.environment.api_state import ApiState
from adapter.emulator.environment.invocation import LocalInvocation
from adapter.emulator.environment.result import Failure, Payload, Stream, failure
from adapter.emulator.environment.state_tables import InvocationState, RuntimeEvent
from adapter.emulator.platform_api.api_server import ApiServer
from adapter.emulator.platform_api.runtime_api import RuntimeApi
from tests.emulator.scripted import RUNTIME, STREAMING, Handed, ScriptedRuntime, chunk
from tests.raw_client import RawAnswer, RawClient, head

ACCEPTED = (202, {"status": "OK"})
UNKNOWN_ID = (400, {"errorMessage": "Invalid request ID", "errorType": "InvalidRequestID"})
UNKNOWN_MODE = (400, {"errorMessage": "Invalid function response mode", "errorType": "InvalidFunctionResponseMode"})
TOO_LARGE = (
    413,
    {"errorMessage": "Exceeded maximum allowed payload size (6291556 bytes).", "errorType": "RequestEntityTooLarge"},
)
DECLARED = "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"


class Bench:
    """An environment whose runtime is the test."""

    def __init__(self, group: asyncio.TaskGroup, slots: int) -> None:
        self.apis = ApiState(slots=slots)
        self.group = group
        self.server = ApiServer(RuntimeApi(self.apis).resources, group)
        self.runtime = ScriptedRuntime(self.server.port)

    async def invoke(self, request_id: str = "r-1") -> tuple[LocalInvocation, Handed]:
        """Hand an invocation to the runtime, which asks for it."""
        invocation = LocalInvocation(label="GET /", event=b'{"a": 1}', request_id=request_id, trace_id="Root=1-2-3")
        asking = self.group.create_task(self.runtime.next())
        await self.apis.condition.wait_for(lambda: self.apis.is_ready)
        invocation.deadline_ms = 1234
        self.apis.invoke(invocation)
        return invocation, await asking


@asynccontextmanager
async def bench(slots: int = 1) -> AsyncIterator[Bench]:
    async with asyncio.TaskGroup() as group:
        b = Bench(group, slots)
        await b.server.start()
        try:
            yield b
        finally:
            b.server.close()
            await b.runtime.close()


def answer(response: RawAnswer) -> tuple[int, object]:
    return response.status, response.json()


async def read_all(stream: Stream) -> bytes:
    body = b""
    while piece := await stream.read():
        body += piece
    return body


async def test_ping_pongs() -> None:
    async with bench() as b:
        response = await b.runtime.call("GET", "/2018-06-01/ping")
        assert (response.status, response.body) == (200, b"pong")


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        pytest.param("GET", "/", 404, None, id="root"),
        pytest.param("GET", "/2018-06-01/runtime/invocation/r-1/nothing", 404, None, id="unknown-action"),
        pytest.param("POST", "/2018-06-01/runtime/invocation//response", 404, None, id="empty-id"),
        pytest.param("GET", "/2019-01-01/runtime/invocation/next", 404, None, id="other-version"),
        pytest.param("POST", "/2018-06-01/runtime/invocation/next", 405, "GET", id="post-next"),
        pytest.param("GET", "/2018-06-01/runtime/invocation/r-1/response", 405, "POST", id="get-response"),
        pytest.param("PUT", "/2018-06-01/runtime/init/error", 405, "POST", id="put-init-error"),
    ],
)
async def test_unknown_paths_and_methods(method: str, path: str, status: int, allow: str | None) -> None:
    async with bench() as b:
        response = await b.runtime.call(method, path)
        assert (response.status, response.header("allow")) == (status, allow)


async def test_an_invocation_comes_with_lambdas_headers_and_without_the_empty_ones() -> None:
    async with bench() as b:
        _, handed = await b.invoke()
        headers = {name.lower(): value for name, value in handed.response.pairs}
        assert headers == {
            "content-length": "8",
            "content-type": "application/json",
            "lambda-runtime-aws-request-id": "r-1",
            "lambda-runtime-deadline-ms": "1234",
            "lambda-runtime-trace-id": "Root=1-2-3",
        }
        assert handed.event == {"a": 1}


async def test_a_buffered_response_is_the_payload_as_sent() -> None:
    async with bench() as b:
        invocation, handed = await b.invoke()
        assert answer(await b.runtime.respond(handed, b'{"statusCode": 200}')) == ACCEPTED
        payload = await invocation.reply.answer()
        assert isinstance(payload, Payload)
        assert payload.body == b'{"statusCode": 200}'


async def test_a_payload_of_exactly_the_limit_is_accepted_and_one_byte_more_is_not() -> None:
    async with bench() as b:
        invocation, handed = await b.invoke("r-1")
        assert answer(await b.runtime.respond(handed, bytes(BUFFERED_RESPONSE_LIMIT))) == ACCEPTED
        assert isinstance(await invocation.reply.answer(), Payload)
        invocation, handed = await b.invoke("r-2")
        assert answer(await b.runtime.respond(handed, bytes(BUFFERED_RESPONSE_LIMIT + 1))) == TOO_LARGE
        failure = await invocation.reply.answer()
        assert isinstance(failure, Failure)
        assert failure.error_type == "Function.ResponseSizeTooLarge"
        assert failure.message == "Response payload size exceeded maximum allowed payload size (6291556 bytes)."
        # The runtime goes on.
        await b.invoke("r-3")


async def test_a_streamed_response_is_read_piece_by_piece_while_it_arrives() -> None:
    async with bench() as b:
        invocation, handed = await b.invoke()
        upload = await b.runtime.stream(handed)
        stream = await invocation.reply.answer()
        assert isinstance(stream, Stream)
        for piece in (b"one", b"two"):
            await upload.write(piece)
            assert await stream.read() == piece
        answered = b.group.create_task(upload.end())
        assert await stream.read() == b""
        assert stream.failure is None
        assert answer(await answered) == ACCEPTED


@pytest.mark.parametrize(
    ("trailer", "expected"),
    [
        pytest.param(DECLARED, ("Function.Broken", "it broke"), id="declared"),
        pytest.param("x-other", None, id="undeclared-are-lost"),
    ],
)
async def test_error_trailers_report_how_a_stream_failed(trailer: str, expected: tuple[str, str] | None) -> None:
    error = base64.b64encode(json.dumps({"errorMessage": "it broke"}).encode()).decode()
    trailers = f"Lambda-Runtime-Function-Error-Type: Function.Broken\r\nLambda-Runtime-Function-Error-Body: {error}\r\n"
    async with bench() as b:
        invocation, handed = await b.invoke()
        upload = await b.runtime.stream(handed, {"Trailer": trailer})
        stream = await invocation.reply.answer()
        assert isinstance(stream, Stream)
        await upload.write(b"part")
        answered = b.group.create_task(upload.end(trailers))
        assert await read_all(stream) == b"part"
        # Lambda counts the invocation as done all the same.
        assert answer(await answered) == ACCEPTED
        found = None if stream.failure is None else (stream.failure.error_type, stream.failure.message)
        assert found == expected


async def test_a_stream_that_breaks_off_is_truncated_and_the_runtime_may_go_on() -> None:
    async with bench() as b:
        invocation, handed = await b.invoke("r-1")
        upload = await b.runtime.stream(handed)
        stream = await invocation.reply.answer()
        assert isinstance(stream, Stream)
        await upload.write(b"part")
        assert await stream.read() == b"part"
        upload.abort()
        assert await stream.read() == b""
        assert stream.failure is not None
        assert stream.failure.error_type == "Runtime.TruncatedResponse"
        await b.apis.condition.wait_for(lambda: invocation.state is InvocationState.ANSWERED)
        await b.invoke("r-2")


async def test_a_buffered_upload_that_breaks_off_is_refused_as_truncated() -> None:
    async with bench() as b:
        invocation, handed = await b.invoke()
        client = await b.runtime.connect()
        await client.send(head("POST", f"{RUNTIME}/invocation/{handed.request_id}/response", {"Content-Length": "9"}))
        await client.send(b"half")
        client.writer.write_eof()
        failure = await invocation.reply.answer()
        assert isinstance(failure, Failure)
        assert failure.error_type == "Runtime.TruncatedResponse"


async def test_a_stream_over_the_front_doors_limit_is_refused_while_it_is_sent() -> None:
    async with bench() as b:
        invocation, handed = await b.invoke()
        upload = await b.runtime.stream(handed)
        stream = await invocation.reply.answer()
        assert isinstance(stream, Stream)
        stream.fail(Failure("Function.ResponseSizeTooLarge", b"{}"))
        assert answer(await upload.answer()) == TOO_LARGE
        assert await stream.read() == b""


@pytest.mark.parametrize(
    ("sent", "passed_on"),
    [
        pytest.param("Function.AppUnreachable", "Function.AppUnreachable", id="function"),
        pytest.param("Runtime.InvalidEvent", "Runtime.InvalidEvent", id="runtime"),
        pytest.param("Adapter.Strange", "Runtime.Unknown", id="other-category"),
        pytest.param("Function.lower", "Runtime.Unknown", id="lower-case"),
        pytest.param("", "Runtime.Unknown", id="none"),
    ],
)
async def test_an_error_is_passed_on_with_a_type_that_lambda_knows(sent: str, passed_on: str) -> None:
    async with bench() as b:
        invocation, handed = await b.invoke()
        assert answer(await b.runtime.fail(handed, sent, "why")) == ACCEPTED
        failure = await invocation.reply.answer()
        assert isinstance(failure, Failure)
        assert (failure.error_type, failure.message) == (passed_on, "why")


@pytest.mark.parametrize("action", ["response", "error"])
async def test_an_unknown_request_id_is_refused(action: str) -> None:
    async with bench() as b:
        await b.invoke()
        assert answer(await b.runtime.call("POST", f"{RUNTIME}/invocation/r-9/{action}", b"{}")) == UNKNOWN_ID


@pytest.mark.parametrize("mode", ["Streaming", "buffered", "x"])
async def test_an_unknown_response_mode_is_refused_and_fails_the_invocation(mode: str) -> None:
    async with bench() as b:
        invocation, handed = await b.invoke()
        path = f"{RUNTIME}/invocation/{handed.request_id}/response"
        refused = await b.runtime.call("POST", path, b"{}", {"Lambda-Runtime-Function-Response-Mode": mode})
        assert answer(refused) == UNKNOWN_MODE
        assert invocation.reply.failure is not None
        assert invocation.reply.failure.error_type == "Runtime.InvalidResponseModeHeader"
        await b.invoke("r-2")


@pytest.mark.parametrize("second", ["response", "error"])
@pytest.mark.parametrize("first", ["response", "error"])
async def test_a_second_answer_is_refused(first: str, second: str) -> None:
    async with bench() as b:
        _, handed = await b.invoke()
        path = f"{RUNTIME}/invocation/{handed.request_id}"
        assert answer(await b.runtime.call("POST", f"{path}/{first}", b"{}")) == ACCEPTED
        refused = await b.runtime.call("POST", f"{path}/{second}", b"{}")
        assert (refused.status, refused.json()["errorType"]) == (403, "InvalidStateTransition")


async def test_an_error_after_the_response_has_begun_is_refused() -> None:
    async with bench() as b:
        invocation, handed = await b.invoke()
        await b.runtime.stream(handed)
        await invocation.reply.answer()
        refused = await b.runtime.fail(handed, "Function.Broken", "late")
        assert (refused.status, refused.json()["errorType"]) == (403, "InvalidStateTransition")


async def test_next_before_the_invocation_is_answered_is_refused() -> None:
    async with bench() as b:
        await b.invoke()
        refused = await b.runtime.call("GET", f"{RUNTIME}/invocation/next")
        assert (refused.status, refused.json()["errorType"]) == (403, "InvalidStateTransition")


async def test_a_runtime_that_disconnected_while_it_waited_may_ask_again() -> None:
    async with bench() as b:
        client = await RawClient.connect(b.runtime.port)
        await client.send(head("GET", f"{RUNTIME}/invocation/next", {}))
        await b.apis.condition.wait_for(lambda: b.apis.is_ready)
        client.abort()
        await b.apis.condition.wait_for(lambda: not b.apis.is_ready)
        await b.invoke()


async def test_an_init_error_is_kept_and_a_late_one_refused() -> None:
    body = b'{"errorType": "Adapter.AppExited", "errorMessage": "the app ended"}'
    async with bench() as b:
        assert answer(await b.runtime.call("POST", f"{RUNTIME}/init/error", body)) == ACCEPTED
        assert b.apis.failure is not None
        assert b.apis.failure.message == "the app ended"
    async with bench() as b:
        await b.invoke()
        refused = await b.runtime.call("POST", f"{RUNTIME}/init/error", body)
        assert (refused.status, refused.json()["errorType"]) == (403, "InvalidStateTransition")


async def test_a_response_in_many_small_chunks_and_split_anywhere_is_byte_exact() -> None:
    body = bytes(range(256)) * 16
    async with bench() as b:
        invocation, handed = await b.invoke()
        client = await b.runtime.connect()
        raw = head("POST", f"{RUNTIME}/invocation/r-1/response", STREAMING | {"Transfer-Encoding": "chunked"})
        raw += b"".join(chunk(body[at : at + 7]) for at in range(0, len(body), 7)) + b"0\r\n\r\n"
        for at in range(0, len(raw), 997):
            await client.send(raw[at : at + 997])
        stream = await invocation.reply.answer()
        assert isinstance(stream, Stream)
        assert handed.request_id == "r-1"
        assert await read_all(stream) == body
        assert answer(await client.answer()) == ACCEPTED


async def test_a_stream_that_failed_ends_for_its_reader_though_the_runtime_still_holds_the_connection() -> None:
    async with bench() as b:
        invocation, handed = await b.invoke()
        await b.runtime.stream(handed)
        stream = await invocation.reply.answer()
        assert isinstance(stream, Stream)
        reading = b.group.create_task(stream.read())
        await asyncio.sleep(0)
        stream.fail(Failure("Sandbox.Timeout", b"{}"))
        assert await reading == b""


async def test_a_runtime_that_asks_while_the_environment_ends_gets_no_answer() -> None:
    async with bench() as b:
        b.apis.advance(RuntimeEvent.SHUTDOWN)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.1):
                await b.runtime.call("GET", f"{RUNTIME}/invocation/next")


async def test_with_slots_as_many_invocations_are_handed_out_and_answers_are_matched_by_their_id() -> None:
    async with bench(slots=3) as b:
        invocations = [await b.invoke(f"r-{number}") for number in range(3)]
        refused = await b.runtime.call("GET", f"{RUNTIME}/invocation/next")
        assert (refused.status, refused.json()["errorType"]) == (403, "InvalidStateTransition")
        for invocation, handed in reversed(invocations):
            assert answer(await b.runtime.respond(handed, handed.request_id.encode())) == ACCEPTED
            payload = await invocation.reply.answer()
            assert isinstance(payload, Payload)
            assert payload.body == invocation.request_id.encode()
        await b.invoke("r-4")


async def test_a_runtime_that_waits_in_its_snapshot_goes_on_when_it_is_restored() -> None:
    async with bench() as b:
        waiting = b.group.create_task(b.runtime.call("GET", f"{RUNTIME}/restore/next"))
        await b.apis.condition.wait_for(lambda: b.apis.is_initialized)
        assert not b.apis.is_ready
        early = await b.runtime.call("GET", f"{RUNTIME}/invocation/next")
        assert (early.status, early.json()["errorType"]) == (403, "InvalidStateTransition")
        b.apis.restore()
        assert (await waiting).status == 200
        second = await b.runtime.call("GET", f"{RUNTIME}/restore/next")
        assert (second.status, second.json()["errorType"]) == (403, "InvalidStateTransition")
        await b.invoke()


@pytest.mark.parametrize("path", ["restore/error", "init/error"])
async def test_a_failed_restore_is_kept_and_a_late_one_refused(path: str) -> None:
    body = b'{"errorType": "Hook", "errorMessage": "no database"}'
    headers = {"Lambda-Runtime-Function-Error-Type": "Runtime.AfterRestoreError"}
    async with bench() as b:
        waiting = b.group.create_task(b.runtime.call("GET", f"{RUNTIME}/restore/next"))
        await b.apis.condition.wait_for(lambda: b.apis.is_initialized)
        b.apis.restore()
        await waiting
        assert answer(await b.runtime.call("POST", f"{RUNTIME}/{path}", body, headers)) == ACCEPTED
        assert b.apis.failure is not None
        assert b.apis.failure.error_type == "Runtime.AfterRestoreError"
        assert answer(await b.runtime.call("POST", f"{RUNTIME}/{path}", body, headers))[0] == 403


async def test_a_client_that_expects_100_continue_receives_it() -> None:
    async with bench() as b:
        _, handed = await b.invoke()
        client = await b.runtime.connect()
        await client.send(
            head(
                "POST",
                f"{RUNTIME}/invocation/{handed.request_id}/response",
                {"Content-Length": "2", "Expect": "100-continue"},
            )
        )
        assert (await client.head()).status == 100
        await client.send(b"{}")
        assert answer(await client.answer()) == ACCEPTED


@pytest.mark.parametrize("action", ["response", "error"])
async def test_an_answer_after_the_timeout_is_not_a_second_failure(action: str) -> None:
    async with bench() as b:
        invocation, _ = await b.invoke("r-1")
        b.apis.forget(invocation)
        b.apis.advance(RuntimeEvent.SHUTDOWN)
        late = await b.runtime.call("POST", f"/2018-06-01/runtime/invocation/r-1/{action}", b"{}")
        assert answer(late) == ACCEPTED


async def test_a_stream_over_the_limit_is_refused_with_that_limit() -> None:
    async with bench() as b:
        invocation, handed = await b.invoke()
        upload = await b.runtime.stream(handed)
        stream = await invocation.reply.answer()
        assert isinstance(stream, Stream)
        stream.fail(failure("Function.ResponseSizeTooLarge", "more than 20 bytes"))
        assert (await upload.answer()).json()["errorMessage"] == "more than 20 bytes"
