"""Events in the queue: they are answered at once, tried three times, and reported if all tries fail."""

from __future__ import annotations

import asyncio

from tests.emulator.aws_clients import lambda_client
from tests.emulator.scripted import ScriptedRuntime, local_lambda


async def send_event(port: int, payload: bytes = b"{}") -> str:
    """Invoke asynchronously; the request id."""
    client = lambda_client(port)
    answer = await asyncio.to_thread(client.invoke, FunctionName="any", InvocationType="Event", Payload=payload)
    assert answer["StatusCode"] == 202
    assert answer["Payload"].read() == b""
    request_id: str = answer["ResponseMetadata"]["RequestId"]
    return request_id


async def test_the_caller_does_not_wait_for_the_function() -> None:
    go_on = asyncio.Event()
    seen: asyncio.Queue[object] = asyncio.Queue()

    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            handed = await runtime.next()
            await go_on.wait()
            seen.put_nowait(handed.event)
            await runtime.respond(handed, b"{}")

    async with local_lambda(script) as local:
        await send_event(local.invoke_port, b'{"n": 1}')
        accepted = await local.visit()
        assert (accepted.method, accepted.status) == ("Event", 202)
        go_on.set()
        assert await seen.get() == {"n": 1}
        assert (await local.visit()).error_type == ""


async def test_the_line_of_an_event_has_the_path_and_the_status_of_the_app() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            handed = await runtime.next()
            path = f"/2018-06-01/runtime/invocation/{handed.request_id}/response"
            await runtime.call("POST", path, b"{}", {"Adapter-App-Status": "405 /events"})

    async with local_lambda(script) as local:
        await send_event(local.invoke_port)
        assert (await local.visit()).app_status == 0
        answered = await local.visit()
        assert (answered.app_status, answered.app_path) == (405, "/events")


async def test_an_event_that_fails_is_tried_twice_more_with_the_same_request_id() -> None:
    ids: asyncio.Queue[str] = asyncio.Queue()

    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            handed = await runtime.next()
            ids.put_nowait(handed.request_id)
            await runtime.fail(handed, "Function.Broken", "it broke")

    async with local_lambda(script, retry_delay="0.05") as local:
        request_id = await send_event(local.invoke_port)
        assert [await ids.get() for _ in range(3)] == [request_id] * 3
        reasons: list[str] = []
        while len(reasons) < 3:
            notice = await local.notices.get()
            if request_id in notice:
                reasons.append(notice.partition("failed: ")[2])
        assert reasons == [
            "Function.Broken: it broke; the next attempt is in 0.05 s (see --retry-delay)",
            "Function.Broken: it broke; the next attempt is in 0.1 s (see --retry-delay)",
            "Function.Broken: it broke; on Lambda the event would go to the on-failure destination now",
        ]


async def test_an_event_that_succeeds_at_last_is_not_tried_again() -> None:
    count = 0

    async def script(runtime: ScriptedRuntime) -> int:
        nonlocal count
        while True:
            handed = await runtime.next()
            count += 1
            if count == 1:
                await runtime.fail(handed, "Function.Broken", "it broke")
            else:
                await runtime.respond(handed, b"{}")

    async with local_lambda(script, retry_delay="0") as local:
        await send_event(local.invoke_port)
        visits = [await local.visit() for _ in range(3)]
        assert sorted(record.error_type for record in visits) == ["", "", "Function.Broken"]
        assert count == 2


async def test_a_throttled_event_goes_back_to_the_queue_and_counts_as_no_attempt() -> None:
    served = asyncio.Event()

    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            handed = await runtime.next()
            served.set()
            await runtime.respond(handed, b"{}")

    # With this seed the fault strikes the first attempt and not the second.
    async with local_lambda(script, faults="throttle:50%", fault_seed="1") as local:
        await send_event(local.invoke_port)
        async with asyncio.timeout(10):
            await served.wait()
        while (record := await local.visit()).method:
            pass
        assert record.error_type == ""


async def test_an_event_that_is_under_way_when_it_ends_is_told_of() -> None:
    taken = asyncio.Event()

    async def script(runtime: ScriptedRuntime) -> int:
        await runtime.next()
        taken.set()
        await asyncio.Event().wait()
        return 0

    async with local_lambda(script) as local:
        request_id = await send_event(local.invoke_port)
        await taken.wait()
    notices = [local.notices.get_nowait() for _ in range(local.notices.qsize())]
    assert f"Event any ({request_id}) was in progress when adapter dev was stopped, and is lost" in notices


async def test_events_that_wait_for_their_next_attempt_when_it_ends_are_counted() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            await runtime.fail(await runtime.next(), "Function.Broken", "it broke")

    async with local_lambda(script) as local:
        await send_event(local.invoke_port)
        while "the next attempt is in 60 s" not in await local.notices.get():
            pass
    notices = [local.notices.get_nowait() for _ in range(local.notices.qsize())]
    assert "asynchronous invocations lost: 1" in notices
