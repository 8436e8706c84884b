"""Environments come and go: cold starts, turns, timeouts and exits, with scripts in the place of processes."""

from __future__ import annotations

import asyncio

import pytest

from adapter.emulator.environment.state_tables import ENVIRONMENT, EnvironmentEvent, EnvironmentState
from tests.emulator.scripted import RUNTIME, ScriptedRuntime, local_lambda, prelude
from tests.raw_client import RawClient, head


async def forever(runtime: ScriptedRuntime) -> int:
    """Answers every invocation with its path."""
    while True:
        handed = await runtime.next()
        upload = await runtime.stream(handed)
        await upload.write(prelude() + handed.event["rawPath"].encode())
        await upload.end()


async def test_the_first_request_starts_the_environment_and_the_second_finds_it_warm() -> None:
    async with local_lambda(forever) as local:
        assert local.starts == 0
        for cold in (True, False):
            assert (await local.request("GET", "/x")).body == b"/x"
            assert ((await local.visit()).init is not None) is cold
        assert local.starts == 1
        assert local.notices.empty()


async def test_warm_starts_the_environment_before_the_first_request() -> None:
    asked = asyncio.Event()

    async def script(runtime: ScriptedRuntime) -> int:
        asked.set()
        return await forever(runtime)

    async with local_lambda(script, warm="true") as local:
        await asked.wait()
        assert (await local.request("GET", "/x")).body == b"/x"
        assert local.starts == 1


async def test_requests_beyond_the_one_environment_wait_in_order_and_are_announced() -> None:
    go_on = asyncio.Event()
    served: asyncio.Queue[str] = asyncio.Queue()

    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            handed = await runtime.next()
            served.put_nowait(handed.event["rawPath"])
            await go_on.wait()
            await runtime.respond(handed, b"{}")

    async with local_lambda(script) as local:
        clients = [await RawClient.connect(local.port) for _ in range(4)]
        await clients[0].send(head("GET", "/0", {}))
        assert await served.get() == "/0"
        for number in range(1, 4):
            await clients[number].send(head("GET", f"/{number}", {}))
            # Only now is it in the line, and the next one comes after it.
            notice = await local.notices.get()
            assert notice.startswith(f"GET /{number} waits for the only environment; invocations ahead: {number}")
            # The reason why there is no second one is given once.
            assert ("CMD has no {port}" in notice) is (number == 1)
        go_on.set()
        for client in clients:
            assert (await client.answer()).status == 200
            await client.close()
        assert [await served.get() for _ in range(3)] == ["/1", "/2", "/3"]


async def test_an_exit_before_any_response_is_an_exit_error_and_the_next_request_a_cold_start() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        await runtime.next()
        return 3

    async with local_lambda(script) as local:
        for starts in (1, 2):
            response = await local.request("GET", "/")
            assert (response.status, response.body) == (502, b"Internal Server Error")
            visit = await local.visit()
            request_id = response.header("x-amzn-requestid")
            assert visit.error_type == "Runtime.ExitError"
            assert visit.error_message == f"RequestId: {request_id} Error: Runtime exited with error: exit status 3"
            assert visit.init is not None
            assert local.starts == starts


async def test_an_error_that_was_reported_before_an_exit_is_the_answer() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        await runtime.fail(await runtime.next(), "Function.AppUnreachable", "gone")
        return 1

    async with local_lambda(script) as local:
        await local.request("GET", "/")
        assert (await local.visit()).error_type == "Function.AppUnreachable"


async def test_an_error_that_is_still_on_its_way_at_an_exit_is_the_answer() -> None:
    left_behind: asyncio.Queue[tuple[RawClient, bytes]] = asyncio.Queue()

    async def script(runtime: ScriptedRuntime) -> int:
        handed = await runtime.next()
        client = await RawClient.connect(runtime.port)
        error = {"Lambda-Runtime-Function-Error-Type": "Function.AppUnreachable", "Content-Length": "2"}
        left_behind.put_nowait((client, head("POST", f"{RUNTIME}/invocation/{handed.request_id}/error", error)))
        return 1

    async with local_lambda(script) as local:
        client = await RawClient.connect(local.port)
        await client.send(head("GET", "/", {}))
        behind, error = await left_behind.get()
        # The process is gone; a few turns of the loop let the emulator notice before the last bytes arrive.
        for _ in range(20):
            await asyncio.sleep(0)
        await behind.send(error + b"{}")
        await behind.close()
        assert (await client.answer()).status == 502
        assert (await local.visit()).error_type == "Function.AppUnreachable"
        await client.close()


async def test_an_exit_after_the_response_is_noticed() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        await runtime.respond(await runtime.next(), b"{}")
        return 4

    async with local_lambda(script) as local:
        assert (await local.request("GET", "/")).status == 200
        assert (
            await local.notices.get()
            == "the environment ended (exit status 4); the next request starts a new environment"
        )
        assert (await local.visit()).error_type == ""


async def test_an_exit_within_a_stream_truncates_it() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        upload = await runtime.stream(await runtime.next())
        await upload.write(prelude() + b"part")
        return 1

    async with local_lambda(script) as local:
        response = await local.request("GET", "/")
        assert (response.body, response.is_cut) == (b"part", True)
        assert (await local.visit()).error_type == "Runtime.TruncatedResponse"
        assert (await local.request("GET", "/")).body == b"part"
        assert local.starts == 2


async def test_an_exit_of_the_idle_environment_is_noticed() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        await runtime.respond(await runtime.next(), b"{}")
        client = await runtime.connect()
        await client.send(head("GET", f"{RUNTIME}/invocation/next", {}))
        return 9

    async with local_lambda(script) as local:
        assert (await local.request("GET", "/")).status == 200
        assert (
            await local.notices.get()
            == "the environment ended (exit status 9); the next request starts a new environment"
        )
        assert (await local.request("GET", "/")).status == 200
        assert local.starts == 2


async def test_an_exit_within_init_fails_the_request_that_waits() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        return 1

    async with local_lambda(script) as local:
        for _ in range(2):
            assert (await local.request("GET", "/")).status == 502
            visit = await local.visit()
            assert visit.error_type == "Runtime.ExitError"
            assert visit.error_message.endswith("Error: Runtime exited with error: exit status 1")
        assert local.starts == 2


async def test_the_caller_receives_a_reported_init_error() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        body = b'{"errorType": "Adapter.AppExited", "errorMessage": "the app ended"}'
        headers = {"Lambda-Runtime-Function-Error-Type": "Runtime.ExitError"}
        await runtime.call("POST", f"{RUNTIME}/init/error", body, headers)
        return 1

    async with local_lambda(script) as local:
        assert (await local.request("GET", "/")).status == 502
        visit = await local.visit()
        assert (visit.error_type, visit.error_message) == ("Runtime.ExitError", "the app ended")


async def test_an_init_error_without_a_request_is_a_notice_and_the_next_request_tries_again() -> None:
    starts = 0
    failed = asyncio.Event()

    async def script(runtime: ScriptedRuntime) -> int:
        nonlocal starts
        starts += 1
        if starts > 1:
            return await forever(runtime)
        failed.set()
        return 7

    async with local_lambda(script, warm="true") as local:
        await failed.wait()
        notice = await local.notices.get()
        assert notice.startswith("init failed, so the next request starts a new environment (Runtime.ExitError")
        assert (await local.request("GET", "/x")).body == b"/x"


@pytest.mark.parametrize("begun", [pytest.param(False, id="before-any-response"), pytest.param(True, id="mid-stream")])
async def test_a_timeout_ends_the_environment(begun: bool) -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        handed = await runtime.next()
        if begun:
            upload = await runtime.stream(handed)
            await upload.write(prelude() + b"part")
        await asyncio.Event().wait()
        return 0

    async with local_lambda(script, timeout="0.25") as local:
        for starts in (1, 2):
            response = await local.request("GET", "/")
            expected = (200, b"part", True) if begun else (502, b"Internal Server Error", False)
            assert (response.status, response.body, response.is_cut) == expected
            visit = await local.visit()
            assert visit.error_type == "Sandbox.Timeout"
            assert visit.error_message.endswith("Error: Task timed out after 0.25 seconds")
            assert 0.25 <= visit.duration < 1
            assert local.starts == starts


async def test_a_slow_init_starts_again_within_the_first_invocation() -> None:
    starts = 0

    async def script(runtime: ScriptedRuntime) -> int:
        nonlocal starts
        starts += 1
        if starts == 1:
            await asyncio.Event().wait()
        return await forever(runtime)

    async with local_lambda(script, init_limit=0.05) as local:
        client = await RawClient.connect(local.port)
        await client.send(head("GET", "/x", {}))
        assert await local.notices.get() == "init takes more than 0.05 s; init is repeated within the first invocation"
        assert (await client.answer()).body == b"/x"
        assert local.starts == 2
        await client.close()


async def test_an_init_that_never_ends_is_bounded_by_the_timeout() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        await asyncio.Event().wait()
        return 0

    async with local_lambda(script, init_limit=0.05, timeout="0.1") as local:
        assert (await local.request("GET", "/")).status == 502
        assert (await local.visit()).error_type == "Sandbox.Timeout"


async def test_all_waiting_requests_are_answered_when_the_function_is_stopped() -> None:
    served = asyncio.Event()

    async def script(runtime: ScriptedRuntime) -> int:
        await runtime.next()
        served.set()
        await asyncio.Event().wait()
        return 0

    async with local_lambda(script) as local:
        clients = [await RawClient.connect(local.port) for _ in range(2)]
        for client in clients:
            await client.send(head("GET", "/", {}))
        await served.wait()
        await local.notices.get()
    for client in clients:
        assert (await client.answer()).status == 502
        await client.close()
    assert {(await local.visit()).error_type for _ in clients} == {"Emulator.Stopped"}


@pytest.mark.parametrize(
    ("state", "event", "status"),
    [
        pytest.param(EnvironmentState.STARTING, EnvironmentEvent.OPENED, None, id="start"),
        pytest.param(EnvironmentState.IDLE, EnvironmentEvent.INVOKED, 502, id="hand-over"),
        pytest.param(EnvironmentState.BUSY, EnvironmentEvent.ALL_CONCLUDED, 200, id="conclusion"),
    ],
)
async def test_an_illegal_transition_ends_the_environment_and_nothing_else(
    state: EnvironmentState, event: EnvironmentEvent, status: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with local_lambda(forever) as local:
        with monkeypatch.context() as patch:
            patch.delitem(ENVIRONMENT, (state, event))
            client = await RawClient.connect(local.port)
            await client.send(head("GET", "/x", {}))
            if status is not None:
                assert (await client.answer()).status == status
            fault = f"EnvironmentState {state.name} has no transition for {event.name}"
            assert await local.notices.get() == f"an internal error of adapter dev ended an environment: {fault}"
        if status is None:
            assert (await client.answer()).body == b"/x"
        assert (await local.request("GET", "/x")).body == b"/x"
        assert local.starts == 2
        await client.close()


async def test_a_fault_in_a_timer_ends_the_environment() -> None:
    served = asyncio.Event()

    async def script(runtime: ScriptedRuntime) -> int:
        await runtime.next()
        served.set()
        await asyncio.Event().wait()
        return 0

    async with local_lambda(script, timeout="0.2") as local:
        client = await RawClient.connect(local.port)
        await client.send(head("GET", "/", {}))
        await served.wait()
        assert local.function is not None
        (environment,) = local.function._environments
        environment.state = EnvironmentState.SNAPSHOT
        assert (await client.answer()).status == 502
        assert "has no transition for" in await local.notices.get()
        await client.close()
