"""How the processes of an environment are ended, and in which order; scripts stand in for them."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import pytest

from adapter.emulator.environment.invocation import LocalInvocation
from adapter.emulator.sandbox.sandbox import EXTERNAL_GRACE
from tests.emulator.scripted import ScriptedRuntime, local_lambda
from tests.raw_client import RawClient, head

EXTENSION = "/2020-01-01/extension"


class Sidecar:
    """An extension that notes its events; ``ends``: it ends when it receives the SHUTDOWN event."""

    def __init__(self, *, ends: bool = True, registers: bool = True) -> None:
        self.events: list[dict[str, Any]] = []
        self._ends = ends
        self._registers = registers

    async def __call__(self, runtime: ScriptedRuntime) -> int:
        if not self._registers:
            await asyncio.Event().wait()
        headers = {"Lambda-Extension-Name": "sidecar"}
        body = json.dumps({"events": ["INVOKE", "SHUTDOWN"]}).encode()
        registered = await runtime.call("POST", f"{EXTENSION}/register", body, headers)
        identity = {"Lambda-Extension-Identifier": registered.header("Lambda-Extension-Identifier") or ""}
        while True:
            event = (await runtime.call("GET", f"{EXTENSION}/event/next", b"", identity)).json()
            self.events.append(event)
            if event["eventType"] == "SHUTDOWN":
                if self._ends:
                    return 0
                await asyncio.Event().wait()

    @property
    def shutdown(self) -> dict[str, Any]:
        return self.events[-1]


async def by_path(runtime: ScriptedRuntime) -> int:
    """Answers; hangs or ends if the path is that."""
    while True:
        handed = await runtime.next()
        if handed.event["rawPath"] == "/hang":
            await asyncio.Event().wait()
        if handed.event["rawPath"] == "/exit":
            return 1
        await runtime.respond(handed, b"{}")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        pytest.param("/", "spindown", id="stopped"),
        pytest.param("/hang", "timeout", id="timed-out"),
        pytest.param("/exit", "failure", id="exited"),
    ],
)
async def test_extensions_receive_the_reason_and_the_deadline_of_the_end(path: str, reason: str) -> None:
    sidecar = Sidecar()
    begun = time.time()
    async with local_lambda(by_path, extensions={"sidecar": sidecar}, timeout="0.3") as local:
        assert (await local.request("GET", path)).status == (200 if path == "/" else 502)
        await local.reports.get()
    assert [event["eventType"] for event in sidecar.events] == ["INVOKE", "SHUTDOWN"]
    assert sidecar.shutdown["shutdownReason"] == reason
    # The deadline is in whole milliseconds.
    assert begun < sidecar.shutdown["deadlineMs"] / 1000 < time.time() + EXTERNAL_GRACE + 0.001


async def test_an_extension_that_does_not_end_is_killed_after_two_seconds() -> None:
    async with local_lambda(by_path, extensions={"sidecar": Sidecar(ends=False)}) as local:
        assert (await local.request("GET", "/")).status == 200
        await local.reports.get()
        begun = time.monotonic()
    assert EXTERNAL_GRACE - 0.1 < time.monotonic() - begun < EXTERNAL_GRACE + 1


async def test_an_extension_that_never_registers_is_named_when_init_takes_too_long() -> None:
    async with local_lambda(by_path, extensions={"sidecar": Sidecar(registers=False)}, init_limit=0.05) as local:
        client = await RawClient.connect(local.port)
        await client.send(head("GET", "/", {}))
        assert "(waiting for sidecar)" in await local.notices.get()
        await client.close()


async def test_an_invocation_after_the_end_of_the_function_fails() -> None:
    async with local_lambda(by_path) as local:
        assert (await local.request("GET", "/")).status == 200
        function = local.function
    assert function is not None
    invocation = LocalInvocation(label="late", event=b"{}", request_id="r", trace_id="t")
    function.submit(invocation)
    await invocation.finished()
    assert invocation.reply.failure is not None
    assert invocation.reply.failure.error_type == "Emulator.Stopped"
