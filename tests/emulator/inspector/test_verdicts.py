"""The verdicts about time and about requests agree with a real run behind each front door, under injected time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest

from adapter.aws.limits import MIB
from tests import raw_client
from tests.emulator.scripted import Handed, LocalLambda, Script, ScriptedRuntime, local_lambda, prelude
from tests.emulator.scripts import buffered, each
from tests.raw_client import RawClient

BUFFERED_DOORS = ("function-url", "rest-api", "http-api", "alb", "lattice")
STREAMING_DOORS = ("function-url", "rest-api")


class Clock:
    """The event loop's time, which a test moves on."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def now(self) -> float:
        return time.monotonic() + self.ahead

    async def pass_time(self, seconds: float) -> None:
        """Move on, and let everything happen that was due until then."""
        self.ahead += seconds
        for _ in range(5):
            await asyncio.sleep(0)


@dataclass(frozen=True)
class Case:
    """A request with ``size`` bytes. The app's pauses are those before its response and between its two pieces."""

    before: float = 0.0
    between: float = 0.0
    size: int = 0


# On both sides of each limit: 29 s of a REST API and 30 s of an HTTP API for the whole response, 300 s without a byte
# of a streaming REST API; a request of 1 MB at an ALB, and 6 MB for an event, in which a binary body is base64. The
# APIs' own 10 MB cannot be met: the event is too large before.
CASES = [
    Case(before=28.5),
    Case(before=29.5),
    Case(before=30.5),
    Case(between=28.5),
    Case(between=29.5),
    Case(between=30.5),
    Case(between=299.0),
    Case(between=301.0),
    Case(size=MIB),
    Case(size=MIB + 1),
    Case(size=4 * MIB),
    Case(size=5 * MIB),
]


@asynccontextmanager
async def running(mode: str, doors: tuple[str, ...], clock: Clock, case: Case) -> AsyncIterator[LocalLambda]:
    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        record = next(reversed(local.ring.running))
        record.clock = clock.now
        if mode == "buffered":
            await clock.pass_time(case.before + case.between)
            await runtime.call(
                "POST",
                f"/2018-06-01/runtime/invocation/{handed.request_id}/response",
                b'{"statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "ab"}',
            )
            return
        sent = asyncio.Event()
        local.ring.watches.append(lambda changed: sent.set() if changed is record and record.sent else None)
        upload = await runtime.stream(handed)
        await clock.pass_time(case.before)
        await upload.write(prelude(headers={"content-type": "text/plain"}) + b"a")
        await sent.wait()
        await clock.pass_time(case.between)
        try:
            await upload.write(b"b")
            await upload.end()
        except ConnectionError:
            return

    script: Script = each(serve)
    flags: dict[str, Any] = {"front_doors": ",".join(doors), "invoke_mode": mode}
    async with local_lambda(script, **flags) as local:
        yield local


async def is_delivered(port: int, case: Case) -> bool:
    client = await RawClient.connect(port)
    try:
        answer = await client.request("POST", "/", bytes(case.size), {"Content-Type": "application/octet-stream"})
    except (ConnectionError, asyncio.IncompleteReadError, EOFError):
        return False
    finally:
        await client.close()
    return (answer.status, answer.body) == (200, b"ab")


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_verdicts_agree_with_what_really_happens(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    # The client's own limit is one of real time.
    monkeypatch.setattr(raw_client, "PATIENCE", 100_000.0)
    clock, loop = Clock(), asyncio.get_running_loop()
    loop.time = clock.now  # type: ignore[method-assign]
    outcomes: dict[tuple[str, str], bool] = {}
    verdicts: dict[tuple[str, str], bool | None] = {}
    async with running("response_stream", STREAMING_DOORS, clock, case) as local:
        for door, port in zip(STREAMING_DOORS, local.door_ports, strict=True):
            outcomes[door, "streaming"] = await is_delivered(port, case)
            if door == "function-url":
                await local.visit()
                detail = (await local.inspect("records/1")).json()
                verdicts = {(each["door"], each["mode"]): each["fits"] for each in detail["verdicts"]}
    async with running("buffered", BUFFERED_DOORS, clock, case) as local:
        for door, port in zip(BUFFERED_DOORS, local.door_ports, strict=True):
            outcomes[door, "buffered"] = await is_delivered(port, case)
    assert verdicts == outcomes


@pytest.mark.parametrize(
    ("option", "notes"),
    [("last", ["only the last of 2 cookies is sent; ADAPTER_ALB_COOKIES=all sends all of them"]), ("all", [])],
)
async def test_a_note_names_the_cookies_that_a_load_balancer_loses(option: str, notes: list[str]) -> None:
    answer = buffered({"statusCode": 200, "cookies": ["a=1", "b=2"]})
    async with local_lambda(answer, invoke_mode="buffered", alb_cookies=option) as local:
        client = await RawClient.connect(local.door_ports[0])
        assert (await client.request("GET", "/")).status == 200
        await client.close()
        await local.visit()
        detail = (await local.inspect("records/1")).json()
    assert [each["notes"] for each in detail["verdicts"] if each["door"] == "alb"] == [notes]
