"""The emulator's own paths: what they tell, and whom."""

from __future__ import annotations

import pytest

from tests.emulator.scripted import LocalLambda, ScriptedRuntime, local_lambda
from tests.raw_client import RawAnswer, RawClient

STATUS = "/_adapter/status"


async def answering(runtime: ScriptedRuntime) -> int:
    while True:
        await runtime.respond(await runtime.next(), b"{}")


async def ask(local: LocalLambda, method: str, path: str, **headers: str) -> RawAnswer:
    client = await RawClient.connect(local.invoke_port)
    try:
        return await client.request(method, path, headers=headers)
    finally:
        await client.close()


async def test_the_status_tells_the_function_its_environments_and_counts() -> None:
    async with local_lambda(answering, memory="256", timeout="3", environments="2") as local:
        assert (await ask(local, "GET", STATUS)).json()["environments"] == []
        await local.request("GET", "/")
        await local.reports.get()
        found = (await ask(local, "GET", STATUS)).json()
        assert found["function"] == {
            "name": "local",
            "memorySizeMB": 256,
            "timeoutSeconds": 3,
            "maxEnvironments": 2,
            "maxConcurrency": 1,
        }
        (environment,) = found["environments"]
        assert environment.pop("idleSeconds") >= 0
        assert environment == {
            "state": "idle",
            "initializationType": "on-demand",
            "invocations": 1,
            "running": 0,
            "retired": False,
            "frozen": False,
        }
        assert (found["counts"]["invocations"], found["counts"]["coldStarts"]) == (1, 1)


async def test_time_can_be_let_pass_for_idle_environments() -> None:
    async with local_lambda(answering, idle_reclaim="3600") as local:
        await local.request("GET", "/")
        await local.reports.get()
        assert (await ask(local, "POST", "/_adapter/idle?seconds=7200")).status == 200
        assert "was idle and is reclaimed" in await local.notices.get()


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("POST", STATUS, 405, id="method"),
        pytest.param("GET", "/_adapter/idle", 405, id="get-idle"),
        pytest.param("GET", "/_adapter/other", 404, id="path"),
        pytest.param("POST", "/_adapter/idle", 400, id="no-seconds"),
        *[
            pytest.param("POST", f"/_adapter/idle?seconds={text}", 400, id=f"seconds-{text[:9]}")
            for text in ("", "-1", "nan", "inf", "1e9", "1_0", "%D9%A1", "9" * 5000)
        ],
    ],
)
async def test_what_is_not_there_is_refused(method: str, path: str, status: int) -> None:
    async with local_lambda(answering) as local:
        assert (await ask(local, method, path)).status == status


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        pytest.param({"Host": "localhost:3001"}, 200, id="localhost"),
        pytest.param({"Host": "127.0.0.1"}, 200, id="address"),
        pytest.param({"Host": "[::1]:3001"}, 200, id="ipv6"),
        pytest.param({"Host": "evil.example"}, 403, id="rebound-name"),
        pytest.param({"Host": "localhost.evil.example"}, 403, id="prefix"),
        pytest.param({"Host": "192.168.1.7:3001"}, 403, id="other-address"),
        pytest.param({"Host": "localhost", "Origin": "http://localhost:8080"}, 403, id="a-page"),
        pytest.param({"Host": "localhost", "Origin": "null"}, 403, id="an-opaque-page"),
    ],
)
async def test_only_programs_on_this_machine_are_answered(headers: dict[str, str], status: int) -> None:
    async with local_lambda(answering) as local:
        response = await ask(local, "GET", STATUS, **headers)
        assert response.status == status
        assert response.header("access-control-allow-origin") is None
