"""Records on their way to real subscribers over HTTP and TCP: in batches, in order, again after a failure."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from adapter.emulator.platform_api.subscription import TELEMETRY, parse_subscription
from adapter.emulator.platform_api.telemetry import Telemetry
from adapter.net.address import listen
from adapter.net.server import Exchange, HttpServer


class Listener:
    """A subscriber; ``statuses`` are its answers, 200 after those."""

    def __init__(self) -> None:
        self.batches: asyncio.Queue[list[dict[str, Any]]] = asyncio.Queue()
        self.statuses: list[int] = []
        self.requests: list[tuple[str, str]] = []
        self.port = 0

    async def serve(self, exchange: Exchange) -> None:
        body = b""
        while piece := await exchange.body.read():
            body += piece
        self.requests.append((exchange.method, exchange.target))
        status = self.statuses.pop(0) if self.statuses else 200
        exchange.respond(status, [], b"")
        if status == 200:
            self.batches.put_nowait(json.loads(body))

    def subscription(self, **fields: Any) -> Any:
        asked = {
            "schemaVersion": "2022-07-01",
            "types": ["platform", "function"],
            "destination": {"protocol": "HTTP", "URI": f"http://sandbox.localdomain:{self.port}/in"},
            "buffering": {"timeoutMs": 25},
        }
        return parse_subscription(TELEMETRY, json.dumps(asked | fields).encode())


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[Listener, Telemetry]]:
    listener = Listener()
    socket = listen("127.0.0.1", 0)
    listener.port = socket.getsockname()[1]
    async with asyncio.TaskGroup() as group:
        server = HttpServer(listener.serve, group, cancels=False)
        await server.start(socket)
        telemetry = Telemetry()
        telemetry.start(group)
        try:
            yield listener, telemetry
        finally:
            telemetry.end()
            server.close()
            server.abort()


async def test_what_happened_before_a_subscription_and_after_it_is_delivered_as_records() -> None:
    async with listening() as (listener, telemetry):
        telemetry.emit("platform.initStart", "platform", {"phase": "init"})
        telemetry.emit("extension", "extension", "not asked for")
        telemetry.subscribe("x", listener.subscription())
        telemetry.emit("function", "function", "a line")
        records = await listener.batches.get()
        assert [(record["type"], record["record"]) for record in records] == [
            ("platform.initStart", {"phase": "init"}),
            (
                "platform.telemetrySubscription",
                {"name": "x", "state": "Subscribed", "types": ["platform", "function"]},
            ),
            ("function", "a line"),
        ]
        assert all(len(record["time"]) == len("2022-10-12T00:03:50.000Z") for record in records)
        assert listener.requests == [("POST", "/in")]


async def test_neither_a_full_buffer_nor_a_flush_waits() -> None:
    async with listening() as (listener, telemetry):
        buffering = {"timeoutMs": 30_000, "maxItems": 1000}
        telemetry.subscribe("x", listener.subscription(types=["function"], buffering=buffering))
        for number in range(1001):
            telemetry.emit("function", "function", number)
        assert [record["record"] for record in await listener.batches.get()] == list(range(1000))
        await telemetry.flush()
        assert [record["record"] for record in listener.batches.get_nowait()] == [1000]


async def test_a_subscriber_that_fails_is_tried_again_and_loses_nothing() -> None:
    async with listening() as (listener, telemetry):
        listener.statuses = [500, 503]
        telemetry.subscribe("x", listener.subscription(types=["function"]))
        telemetry.emit("function", "function", "kept")
        assert [record["record"] for record in await listener.batches.get()] == ["kept"]
        assert len(listener.requests) == 3


async def test_a_subscriber_that_does_not_keep_up_receives_what_it_lost() -> None:
    async with listening() as (listener, telemetry):
        telemetry.subscribe("x", listener.subscription())
        for _ in range(3):
            telemetry.emit("function", "function", "x" * 262_144)
        await telemetry.flush()
        records = [record for _ in range(listener.batches.qsize()) for record in listener.batches.get_nowait()]
        (dropped,) = [record["record"] for record in records if record["type"] == "platform.logsDropped"]
        assert dropped["droppedRecords"] == 2
        assert dropped["droppedBytes"] > 2 * 262_144
        assert dropped["reason"]


async def test_a_second_subscription_takes_the_place_of_the_first() -> None:
    async with listening() as (listener, telemetry):
        telemetry.subscribe("x", listener.subscription(types=["platform"]))
        telemetry.subscribe("x", listener.subscription(types=["function"]))
        telemetry.emit("function", "function", "once")
        await telemetry.flush()
        records = [record for _ in range(listener.batches.qsize()) for record in listener.batches.get_nowait()]
        assert [record["record"] for record in records if record["type"] == "function"] == ["once"]


async def test_over_tcp_records_are_lines() -> None:
    lines: asyncio.Queue[bytes] = asyncio.Queue()

    async def receive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while line := await reader.readline():
            lines.put_nowait(line)
        writer.close()

    server = await asyncio.start_server(receive, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, listening() as (listener, telemetry):
        telemetry.subscribe(
            "x", listener.subscription(types=["function"], destination={"protocol": "TCP", "port": port})
        )
        for text in ("one", "two"):
            telemetry.emit("function", "function", text)
        assert [json.loads(await lines.get())["record"] for _ in range(2)] == ["one", "two"]


@pytest.mark.parametrize("closed", [True, False])
async def test_no_records_are_kept_once_no_extension_can_subscribe(closed: bool) -> None:
    async with listening() as (listener, telemetry):
        if closed:
            telemetry.close()
        telemetry.emit("function", "function", "early")
        telemetry.subscribe("x", listener.subscription(types=["function"]))
        await telemetry.flush()
        assert listener.batches.empty() is closed
