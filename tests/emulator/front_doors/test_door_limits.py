"""The limits of every front door: sizes, times, bandwidth, upgrades, with scripted runtimes behind it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from adapter.aws.limits import KIB, MIB, Bandwidth
from adapter.emulator.front_doors.door_settings import DoorSettings
from adapter.emulator.front_doors.front_door import FrontDoor
from adapter.emulator.front_doors.registry import DOORS
from adapter.emulator.front_doors.rest_api import REST_BANDWIDTH
from adapter.emulator.records.record import RequestRecord
from adapter.emulator.requests import InvocationPipeline
from adapter.emulator.service.listening import serving
from adapter.net.address import listen
from tests.emulator.door_answers import FUNCTION_ERRORS, PAYLOADS, page
from tests.emulator.scripted import Handed, LocalLambda, ScriptedRuntime, local_lambda, prelude
from tests.emulator.scripts import buffered, each, streaming
from tests.raw_client import RawAnswer, RawClient


@pytest.mark.parametrize(
    ("door", "size", "kind", "status"),
    [
        pytest.param("alb", MIB, "text/plain", 201, id="alb-limit"),
        pytest.param("alb", MIB + 1, "text/plain", 413, id="alb-over"),
        pytest.param("alb-multi-value", MIB + 1, "text/plain", 413, id="alb-multi-value-over"),
        pytest.param("http-api", 6 * MIB + 1, "text/plain", 413, id="http-api-over-lambdas"),
        pytest.param("http-api", 10 * MIB + 1, "text/plain", 413, id="http-api-over-its-own"),
        pytest.param("rest-api", 6 * MIB + 1, "text/plain", 500, id="rest-api-over-lambdas"),
        pytest.param("rest-api", 10 * MIB + 1, "text/plain", 413, id="rest-api-over-its-own"),
        pytest.param("lattice", 6 * MIB, "text/plain", 201, id="lattice-limit"),
        pytest.param("lattice", 6 * MIB + 1, "text/plain", 413, id="lattice-over"),
        pytest.param("lattice", 6 * MIB // 4 * 3 + 1, "image/png", 413, id="lattice-over-as-base64"),
    ],
)
async def test_a_request_body_is_limited(door: str, size: int, kind: str, status: int) -> None:
    async with local_lambda(buffered(PAYLOADS[door]), front_doors=door, invoke_mode="buffered") as local:
        body = (b"x" if kind.startswith("text") else b"\xff") * size
        assert (await local.request("POST", "/", body, {"Content-Type": kind})).status == status
        assert (local.starts == 1) is (status == 201)


@pytest.mark.parametrize(
    ("door", "size", "status"),
    [
        pytest.param("http-api", 9 * KIB, 201, id="http-api-limit"),
        pytest.param("http-api", 11 * KIB, 431, id="http-api-over"),
        pytest.param("rest-api", 11 * KIB, 431, id="rest-api-over"),
        pytest.param("alb", 63 * KIB, 201, id="alb-limit"),
        pytest.param("alb", 65 * KIB, 400, id="alb-over"),
    ],
)
async def test_a_request_head_is_limited(door: str, size: int, status: int) -> None:
    async with local_lambda(buffered(PAYLOADS[door]), front_doors=door, invoke_mode="buffered") as local:
        response = await local.request("GET", "/", b"", {f"x-{n}": "v" * (size // 5) for n in range(5)})
        assert response.status == status


@pytest.mark.parametrize("door", ["alb", "alb-multi-value"])
@pytest.mark.parametrize(
    ("path", "value", "status"),
    [
        pytest.param(1, 16 * 1024 - len("x-a: \r\n"), 201, id="a-header-of-16-KB"),
        pytest.param(1, 16 * 1024 - len("x-a: \r\n") + 1, 400, id="a-longer-header"),
        pytest.param(16 * 1024 - len("GET  HTTP/1.1\r\n"), 1, 201, id="a-request-line-of-16-KB"),
        pytest.param(16 * 1024 - len("GET  HTTP/1.1\r\n") + 1, 1, 400, id="a-longer-request-line"),
    ],
)
async def test_a_load_balancer_limits_each_line_of_a_head(door: str, path: int, value: int, status: int) -> None:
    async with local_lambda(buffered(PAYLOADS[door]), front_doors=door, invoke_mode="buffered") as local:
        response = await local.request("GET", "/".ljust(path, "p"), b"", {"x-a": "v" * value})
        assert response.status == status
        if status == 400:
            assert response.body == page("400 Bad Request")


@pytest.mark.parametrize("door", ["http-api", "rest-api"])
async def test_text_counts_in_bytes_and_not_in_characters(door: str) -> None:
    text = "é".encode() * (6 * MIB // 2)
    async with local_lambda(buffered(PAYLOADS[door]), front_doors=door, invoke_mode="buffered") as local:
        plain = {"Content-Type": "text/plain"}
        assert (await local.request("POST", "/", text, plain)).status == 201
        assert (await local.request("POST", "/", text + b"x", plain)).status == {"http-api": 413, "rest-api": 500}[door]


def payload_of(size: int) -> bytes:
    """Return a response whose JSON has ``size`` bytes."""
    frame = len(json.dumps({"statusCode": 201, "body": ""}))
    return json.dumps({"statusCode": 201, "body": "x" * (size - frame)}).encode()


@pytest.mark.parametrize(
    ("door", "limit"),
    [
        ("function-url", 6 * MIB + 100),
        ("http-api", 6 * MIB + 100),
        ("rest-api", 6 * MIB + 100),
        ("alb", MIB),
        ("alb-multi-value", MIB),
        ("lattice", 6 * MIB),
    ],
)
async def test_a_response_payload_is_limited(door: str, limit: int) -> None:
    for size, status in ((limit, 201), (limit + 1, FUNCTION_ERRORS[door][0])):
        async with local_lambda(buffered(payload_of(size)), front_doors=door, invoke_mode="buffered") as local:
            assert (await local.request("GET", "/")).status == status
            assert (await local.visit()).error_type == ("" if status == 201 else "Function.ResponseSizeTooLarge")


async def test_a_stream_that_a_load_balancer_collects_is_limited_too() -> None:
    script = streaming(prelude(), bytes(MIB))
    async with local_lambda(script, front_doors="alb", invoke_mode="response_stream") as local:
        assert (await local.request("GET", "/")).status == 502
        # The runtime gets an error, and goes on.
        assert (await local.request("GET", "/")).status == 502
        assert local.starts == 1


@pytest.mark.parametrize(
    ("door", "status"),
    [("alb", 400), ("alb-multi-value", 400), ("function-url", 201), ("http-api", 201), ("lattice", 201)],
)
async def test_only_a_load_balancer_refuses_to_upgrade(door: str, status: int) -> None:
    upgrade = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13"}
    async with local_lambda(buffered(PAYLOADS[door]), front_doors=door, invoke_mode="buffered") as local:
        assert (await local.request("GET", "/", b"", upgrade)).status == status


async def test_a_rest_api_lets_10_mb_through_at_once() -> None:
    assert Bandwidth(burst=10 * MIB, rate=2 * MIB) == REST_BANDWIDTH
    async with local_lambda(streaming(prelude(), bytes(10 * MIB)), front_doors="rest-api") as local:
        assert len((await local.request("GET", "/")).body) == 10 * MIB
        assert (await local.visit()).held == 0


async def test_a_silent_stream_of_a_rest_api_is_broken_off() -> None:
    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        upload = await runtime.stream(handed)
        await upload.write(prelude() + b"part")
        await upload.answer()

    async with local_lambda(each(serve), front_doors="rest-api", rest_idle_timeout="0.05") as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body, response.is_cut) == (200, b"part", True)
        assert (await local.visit()).error_type == "FrontDoor.IdleTimeout"


@asynccontextmanager
async def impatient(
    local: LocalLambda, name: str, response_timeout: float
) -> AsyncIterator[tuple[int, asyncio.Queue[RequestRecord]]]:
    """Open another front door of the same function, with its own timeout; yield its port and its records."""
    records: asyncio.Queue[RequestRecord] = asyncio.Queue()
    door = DoorSettings(
        rules=replace(DOORS[name], response_timeout=response_timeout),
        port=0,
        streaming=False,
        bandwidth=None,
        stream_limit=None,
        idle_timeout=None,
        resource="/{proxy+}",
    )
    assert local.function is not None
    listener = listen("127.0.0.1", 0)
    pipeline = InvocationPipeline(local.function, report=records.put_nowait)
    async with serving([(listener, FrontDoor(pipeline, door, local.notices.put_nowait).serve)]):
        yield listener.getsockname()[1], records


@pytest.mark.parametrize(
    ("door", "status", "body"),
    [
        pytest.param("http-api", 503, b'{"message":"Service Unavailable"}', id="http-api"),
        pytest.param("rest-api", 504, b'{"message": "Endpoint request timed out"}', id="rest-api"),
    ],
)
async def test_a_gateway_does_not_wait_for_ever_and_the_function_goes_on(door: str, status: int, body: bytes) -> None:
    go_on = asyncio.Event()
    answers: asyncio.Queue[RawAnswer] = asyncio.Queue()

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        await go_on.wait()
        answers.put_nowait(await runtime.respond(handed, b"{}"))

    async with local_lambda(each(serve)) as local, impatient(local, door, 0.05) as (port, records):
        client = await RawClient.connect(port)
        response = await client.request("GET", "/")
        assert (response.status, response.body) == (status, body)
        # On a kept connection the next request would wait for the function.
        assert response.header("connection") == "close"
        go_on.set()
        record = await records.get()
        assert record.error_type == "FrontDoor.ResponseTimeout"
        assert (await answers.get()).status == 202
        await client.close()


def test_the_gateways_wait_as_long_as_they_say() -> None:
    waits = {name: rules.response_timeout for name, rules in DOORS.items() if rules.response_timeout}
    assert waits == {"http-api": 30, "rest-api": 29}


async def test_what_is_too_much_for_the_load_balancer_alone_is_not_held_against_the_function() -> None:
    refusals: list[int] = []

    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            upload = await runtime.stream(await runtime.next())
            await upload.write(prelude() + bytes(2 * MIB))
            refusals.append((await upload.end()).status)

    async with local_lambda(script, front_doors="alb", invoke_mode="response_stream") as local:
        assert (await local.request("GET", "/")).status == 502
        await local.reports.get()
    assert refusals == [202]
