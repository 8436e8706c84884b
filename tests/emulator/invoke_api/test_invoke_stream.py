"""InvokeWithResponseStream: boto3 and raw requests on one side, scripted runtimes on the other."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from typing import Any

import pytest

from adapter.emulator.invoke_api.event_stream import Decoder, Message
from tests.emulator.aws_clients import lambda_client
from tests.emulator.invoking import STREAM, ask, echo, invoke_streaming
from tests.emulator.scripted import Handed, Script, ScriptedRuntime, Upload, local_lambda
from tests.emulator.scripts import buffered, each, fail, streaming
from tests.raw_client import RawClient, head


def decoded(body: bytes) -> list[Message]:
    decoder = Decoder()
    messages = decoder.feed(body)
    decoder.close()
    return messages


async def test_each_piece_reaches_boto3_before_the_next_one_exists() -> None:
    uploads: asyncio.Queue[Upload] = asyncio.Queue()

    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            uploads.put_nowait(await runtime.stream(await runtime.next()))
            await asyncio.Event().wait()

    async with local_lambda(script) as local:
        client = lambda_client(local.invoke_port)
        calling = asyncio.to_thread(client.invoke_with_response_stream, FunctionName="any", Payload=b"{}")
        async with asyncio.TaskGroup() as group:
            called = group.create_task(calling)
            upload = await uploads.get()
            answer = await called
            events = iter(answer["EventStream"])
            arrivals = []
            for number in range(5):
                written = time.monotonic()
                await upload.write(b"piece %d" % number)
                event = await asyncio.to_thread(next, events)
                arrivals.append(time.monotonic() - written)
                assert event == {"PayloadChunk": {"Payload": b"piece %d" % number}}
            finishing = group.create_task(upload.end())
            assert await asyncio.to_thread(next, events) == {"InvokeComplete": {}}
            assert await asyncio.to_thread(next, events, None) is None
            await finishing
        assert answer["ExecutedVersion"] == "$LATEST"
        assert max(arrivals) < 1, "a piece that waited for more would have waited for ever"


async def test_a_buffered_functions_payload_is_one_chunk() -> None:
    async with local_lambda(each(echo)) as local:
        first, last = await invoke_streaming(local, Payload=b'{"a": 1}')
        assert json.loads(first["PayloadChunk"]["Payload"])["event"] == {"a": 1}
        assert last == {"InvokeComplete": {}}


@pytest.mark.parametrize(
    ("script", "flags", "chunks", "error_type"),
    [
        pytest.param(each(fail), {}, b"", "Function.Broken", id="before-the-stream"),
        pytest.param(
            streaming(
                b"part",
                trailers="Lambda-Runtime-Function-Error-Type: Function.Crash\r\nLambda-Runtime-Function-Error-Body: "
                + base64.b64encode(b'{"errorMessage": "why"}').decode()
                + "\r\n",
                Trailer="Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body",
            ),
            {},
            b"part",
            "Function.Crash",
            id="trailers",
        ),
        pytest.param(
            streaming(b"x" * 900, b"x" * 101),
            {"stream_limit": "1000"},
            b"x" * 1000,
            "Function.ResponseSizeTooLarge",
            id="over-the-limit",
        ),
        pytest.param(
            buffered(b"x" * 1001),
            {"stream_limit": "1000"},
            b"x" * 1000,
            "Function.ResponseSizeTooLarge",
            id="payload-over-the-limit",
        ),
    ],
)
async def test_the_last_event_says_what_went_wrong(
    script: Script, flags: dict[str, Any], chunks: bytes, error_type: str
) -> None:
    async with local_lambda(script, **flags) as local:
        *pieces, last = await invoke_streaming(local)
        assert b"".join(piece["PayloadChunk"]["Payload"] for piece in pieces) == chunks
        assert last["InvokeComplete"]["ErrorCode"] == error_type
        assert "errorMessage" in json.loads(last["InvokeComplete"]["ErrorDetails"])
        assert (await local.visit()).error_type == error_type


async def test_a_runtime_that_breaks_off_is_told_of_in_the_last_event() -> None:
    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        upload = await runtime.stream(handed)
        await upload.write(b"part")
        upload.abort()

    async with local_lambda(each(serve)) as local:
        first, last = await invoke_streaming(local)
        assert first == {"PayloadChunk": {"Payload": b"part"}}
        assert last["InvokeComplete"]["ErrorCode"] == "Runtime.TruncatedResponse"


async def test_the_messages_have_the_documented_headers() -> None:
    async with local_lambda(streaming(b"hi")) as local:
        response = await ask(local, STREAM.format("any"))
        assert response.header("content-type") == "application/vnd.amazon.eventstream"
        assert response.header("transfer-encoding") == "chunked"
        chunk_message, complete = decoded(response.body)
        assert chunk_message.headers == {
            ":message-type": "event",
            ":event-type": "PayloadChunk",
            ":content-type": "application/octet-stream",
        }
        assert complete.headers == {
            ":message-type": "event",
            ":event-type": "InvokeComplete",
            ":content-type": "application/json",
        }
        assert complete.payload == b"{}"


async def test_the_cap_holds_a_stream_back_here_too() -> None:
    async with local_lambda(streaming(bytes(256 * 1024)), bandwidth="128KB+512KB") as local:
        begun = time.monotonic()
        *pieces, _ = await invoke_streaming(local)
        took = time.monotonic() - begun
        assert sum(len(piece["PayloadChunk"]["Payload"]) for piece in pieces) == 256 * 1024
        # 128 KiB at once, then two refills of 64 KiB, one every 125 ms.
        assert took >= 0.25
        record = await local.visit()
        assert (record.method, record.streamed) == ("InvokeWithResponseStream", 256 * 1024)
        # The framing around them is not part of the payload.
        assert record.sent == 256 * 1024
        assert record.held == pytest.approx(0.25, abs=0.05)


async def test_an_invocation_runs_on_when_its_caller_has_left() -> None:
    left = asyncio.Event()

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        upload = await runtime.stream(handed)
        await upload.write(b"first")
        await left.wait()
        for _ in range(100):
            await upload.write(b"x" * 1000)
            # One piece in each turn of the loop: writing the first one after the client has left shows that it left.
            await asyncio.sleep(0)
        await upload.end()

    async with local_lambda(each(serve)) as local:
        client = await RawClient.connect(local.invoke_port)
        await client.send(head("POST", STREAM.format("any"), {"Content-Length": "2"}) + b"{}")
        await client.head()
        await client.chunk()
        client.abort()
        left.set()
        record = await local.visit()
        assert (record.client_left, record.streamed, record.error_type) == (True, 100_005, "")
