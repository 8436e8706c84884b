"""What Lambda takes of a request to the Invoke APIs: sizes at their limits, and every kind of JSON."""

from __future__ import annotations

import asyncio
import base64

import pytest

from adapter.aws.limits import REQUEST_LIMIT
from tests.emulator.scripted import ScriptedRuntime, local_lambda
from tests.raw_client import RawAnswer, RawClient, head

MIB = 1024 * 1024
INVOKE = "/2015-03-31/functions/any/invocations"


async def ok(runtime: ScriptedRuntime) -> int:
    while True:
        await runtime.respond(await runtime.next(), b"{}")


async def ask(port: int, body: bytes, headers: dict[str, str]) -> RawAnswer:
    client = await RawClient.connect(port)
    try:
        return await client.request("POST", INVOKE, body, headers)
    finally:
        await client.close()


@pytest.mark.parametrize(
    ("size", "kind", "status", "message"),
    [
        pytest.param(REQUEST_LIMIT, "RequestResponse", 200, "", id="synchronous-limit"),
        pytest.param(
            REQUEST_LIMIT + 1, "RequestResponse", 413, "Request must be smaller than 6291456 bytes", id="synchronous"
        ),
        pytest.param(MIB, "Event", 202, "", id="asynchronous-limit"),
        pytest.param(
            MIB + 1,
            "Event",
            413,
            "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
            id="asynchronous",
        ),
    ],
)
async def test_a_payload_has_a_limit_that_depends_on_the_type(size: int, kind: str, status: int, message: str) -> None:
    async with local_lambda(ok) as local:
        body = b'"' + b"x" * (size - 2) + b'"'
        response = await ask(local.invoke_port, body, {"X-Amz-Invocation-Type": kind})
        assert response.status == status
        if message:
            assert response.header("x-amzn-errortype") == "RequestEntityTooLargeException"
            assert message in response.json()["message"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param(b"null", 200, id="null"),
        pytest.param(b'"text"', 200, id="text"),
        pytest.param(b"12345678901234567890123", 200, id="a-number-beyond-64-bits"),
        pytest.param(rb'"\ud800"', 200, id="a-lone-surrogate"),
        pytest.param(b"[" * 100_000, 400, id="deeper-than-anybody-reads"),
        pytest.param(b"{'a': 1}", 400, id="single-quotes"),
        pytest.param(b"\xff", 400, id="not-utf-8"),
        pytest.param(b"[-Infinity]", 400, id="infinity"),
    ],
)
async def test_a_payload_is_json_of_any_kind(body: bytes, status: int) -> None:
    async with local_lambda(ok) as local:
        assert (await ask(local.invoke_port, body, {})).status == status


async def test_a_client_context_has_a_limit() -> None:
    async with local_lambda(ok) as local:
        for size, status in ((2600, 200), (2700, 400)):
            context = base64.b64encode(b'"' + b"x" * size + b'"').decode()
            assert (await ask(local.invoke_port, b"{}", {"X-Amz-Client-Context": context})).status == status


@pytest.mark.parametrize("depth", [pytest.param(900, id="read"), pytest.param(2600, id="deeper-than-anybody-reads")])
async def test_a_client_context_that_is_nested_is_answered(depth: int) -> None:
    async with local_lambda(ok) as local:
        context = base64.b64encode(b"[" * depth + b"]" * min(depth, 2600 - depth)).decode()
        status = (await ask(local.invoke_port, b"{}", {"X-Amz-Client-Context": context})).status
        assert status == (400 if depth > 1000 else 200)


@pytest.mark.parametrize(
    ("qualifier", "status", "version"),
    [
        ("7", 200, "7"),
        ("live-1", 200, "$LATEST"),
        ("$LATEST", 200, "$LATEST"),
        ("%D9%A1", 400, None),
        ("%C2%B2", 400, None),
        ("1%0D%0Ax:y", 400, None),
        ("1" * 129, 400, None),
        ("-1.5", 400, None),
    ],
)
async def test_a_qualifier_is_a_version_or_an_alias(qualifier: str, status: int, version: str | None) -> None:
    async with local_lambda(ok) as local:
        client = await RawClient.connect(local.invoke_port)
        answer = await client.request("POST", f"{INVOKE}?Qualifier={qualifier}", b"{}", {})
        await client.close()
        assert (answer.status, answer.header("x-amz-executed-version")) == (status, version)


async def test_a_caller_that_waits_to_be_asked_for_the_payload_is_asked() -> None:
    async with local_lambda(ok) as local:
        client = await RawClient.connect(local.invoke_port)
        await client.send(head("POST", INVOKE, {"Content-Length": "2", "Expect": "100-continue"}))
        assert (await client.head()).status == 100
        await client.send(b"{}")
        assert (await client.answer()).status == 200
        await client.close()


async def test_a_call_that_is_stopped_is_a_500() -> None:
    taken = asyncio.Event()

    async def script(runtime: ScriptedRuntime) -> int:
        await runtime.next()
        taken.set()
        await asyncio.Event().wait()
        return 0

    async with local_lambda(script) as local:
        client = await RawClient.connect(local.invoke_port)
        await client.send(head("POST", INVOKE, {"Content-Length": "2"}) + b"{}")
        await taken.wait()
    response = await client.answer()
    await client.close()
    assert (response.status, response.header("x-amzn-errortype")) == (500, "ServiceException")
    assert response.json() == {"Message": "adapter dev was stopped", "Type": "Service"}
