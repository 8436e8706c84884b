"""How many environments there are, what happens beyond them, and when they go; scripts stand in for processes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from adapter.emulator.environment.result import THROTTLED
from tests.emulator.scripted import RUNTIME, Handed, LocalLambda, ScriptedRuntime, local_lambda, prelude
from tests.raw_client import RawClient, head


class Gate:
    """A runtime that holds every invocation until the test lets it go."""

    def __init__(self) -> None:
        self.arrived: asyncio.Queue[str] = asyncio.Queue()
        self.open = asyncio.Event()

    async def __call__(self, runtime: ScriptedRuntime) -> int:
        while True:
            await self.serve(runtime, await runtime.next())

    async def serve(self, runtime: ScriptedRuntime, handed: Handed) -> None:
        self.arrived.put_nowait(handed.event["rawPath"])
        await self.open.wait()
        upload = await runtime.stream(handed)
        await upload.write(prelude() + handed.event["rawPath"].encode())
        await upload.end()


async def ask(local: LocalLambda, *paths: str) -> list[RawClient]:
    """Send a request for each path, each on a new connection, and return the clients."""
    clients = []
    for path in paths:
        client = await RawClient.connect(local.port)
        await client.send(head("GET", path, {}))
        clients.append(client)
    return clients


async def answers(clients: list[RawClient]) -> list[tuple[int, bytes]]:
    found = []
    for client in clients:
        response = await client.answer()
        found.append((response.status, response.body))
        await client.close()
    return found


def states(local: LocalLambda) -> list[str]:
    return [environment["state"] for environment in local.status()["environments"]]


async def test_each_request_that_finds_no_free_environment_starts_one() -> None:
    gate = Gate()
    async with local_lambda(gate, environments="3") as local:
        clients = await ask(local, "/0", "/1", "/2")
        assert {await gate.arrived.get() for _ in range(3)} == {"/0", "/1", "/2"}
        assert (local.starts, states(local)) == (3, ["busy", "busy", "busy"])
        gate.open.set()
        assert await answers(clients) == [(200, b"/0"), (200, b"/1"), (200, b"/2")]
        visits = [await local.visit() for _ in range(3)]
        assert all(visit.init is not None for visit in visits), "a cold start each"
        assert local.notices.empty()


async def test_environments_that_nobody_waits_for_any_more_are_not_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """As with a page: the first request is a cold start, and the others come all at once when it is warm."""
    # Long enough for a slow machine.
    monkeypatch.setattr("adapter.emulator.function.scheduler.START_DELAY", 1.0)
    started = []

    async def quick(runtime: ScriptedRuntime) -> int:
        started.append(runtime)
        while True:
            handed = await runtime.next()
            upload = await runtime.stream(handed)
            await upload.write(prelude() + handed.event["rawPath"].encode())
            await upload.end()

    async with local_lambda(quick, environments="6") as local:
        assert await answers(await ask(local, "/page")) == [(200, b"/page")]
        assets = [f"/{number}" for number in range(6)]
        assert await answers(await ask(local, *assets)) == [(200, asset.encode()) for asset in assets]
        # Longer than the delay, and no event follows it.
        await asyncio.sleep(1.5)
        assert len(states(local)) == 1
        assert len(started) == local.status()["counts"]["coldStarts"] == 1


async def test_an_environment_is_started_for_a_request_that_still_waits() -> None:
    gate = Gate()
    async with local_lambda(gate, environments="3") as local:
        first = await ask(local, "/0")
        assert await gate.arrived.get() == "/0"
        others = await ask(local, "/1", "/2")
        assert {await gate.arrived.get() for _ in range(2)} == {"/1", "/2"}
        assert local.starts == 3
        gate.open.set()
        assert await answers(first + others) == [(200, b"/0"), (200, b"/1"), (200, b"/2")]


async def test_requests_beyond_the_most_environments_wait_in_their_order() -> None:
    gate = Gate()
    async with local_lambda(gate, environments="2") as local:
        clients = await ask(local, "/0", "/1")
        assert {await gate.arrived.get() for _ in range(2)} == {"/0", "/1"}
        for number in range(2, 5):
            clients += await ask(local, f"/{number}")
            text = f"GET /{number} waits for one of 2 environments; invocations ahead: {number}"
            assert await local.notices.get() == text
        gate.open.set()
        assert await answers(clients) == [(200, f"/{number}".encode()) for number in range(5)]
        assert [await gate.arrived.get() for _ in range(3)] == ["/2", "/3", "/4"]
        assert local.starts == 2


async def test_without_a_queue_they_are_throttled_but_not_those_of_a_cold_start() -> None:
    gate = Gate()
    async with local_lambda(gate, environments="2", queue="false") as local:
        clients = await ask(local, "/0", "/1")
        assert {await gate.arrived.get() for _ in range(2)} == {"/0", "/1"}
        assert (await local.request("GET", "/2")).status == 429
        assert (await local.visit()).error_type == THROTTLED
        gate.open.set()
        assert await answers(clients) == [(200, b"/0"), (200, b"/1")]
        for _ in clients:
            await local.reports.get()
        assert local.status()["counts"] == {
            "invocations": 2,
            "errors": 0,
            "coldStarts": 2,
            "failedInits": 0,
            "throttled": 1,
            "waiting": 0,
            "running": 0,
        }


async def test_requests_beyond_the_longest_queue_are_throttled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapter.emulator.function.scheduler._MOST_INVOCATIONS", 3)
    gate = Gate()
    async with local_lambda(gate, environments="1") as local:
        clients = await ask(local, "/0")
        assert await gate.arrived.get() == "/0"
        for number in range(1, 3):
            clients += await ask(local, f"/{number}")
            await local.notices.get()
        # A client that has left still has its invocation in the queue, as Lambda would still run it.
        await clients.pop().close()
        assert (await local.request("GET", "/3")).status == 429
        assert (await local.visit()).error_type == THROTTLED
        gate.open.set()
        assert await answers(clients) == [(200, b"/0"), (200, b"/1")]
        assert (await local.request("GET", "/4")).body == b"/4"
        assert local.status()["counts"]["throttled"] == 1


async def test_one_client_after_its_own_answer_never_starts_a_second_environment() -> None:
    """The client is faster than the runtime, which has yet to ask for the next invocation."""

    asks = asyncio.Semaphore(0)

    async def late(runtime: ScriptedRuntime) -> int:
        while True:
            await runtime.respond(await runtime.next(), b"{}")
            await asks.acquire()

    async with local_lambda(late, environments="5") as local, asyncio.timeout(5):
        assert (await local.request("GET", "/")).status == 200
        for _ in range(9):
            clients = await ask(local, "/")
            while not local.status()["counts"]["waiting"]:  # noqa: ASYNC110  # no event for it
                await asyncio.sleep(0)
            asks.release()
            assert await answers(clients) == [(200, b"{}")]
        assert local.starts == 1
        assert local.notices.empty()


async def test_a_runtime_that_does_not_ask_again_is_busy() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        await runtime.respond(await runtime.next(), b"{}")
        await asyncio.Event().wait()
        return 0

    async with local_lambda(script, environments="2") as local:
        for starts in (1, 2):
            assert (await local.request("GET", "/")).status == 200
            assert local.starts == starts


async def test_slots_serve_many_invocations_in_one_environment() -> None:
    gate = Gate()

    async def slots(runtime: ScriptedRuntime) -> int:
        async with asyncio.TaskGroup() as group:
            for _ in range(4):
                group.create_task(gate(runtime))
        return 0

    async with local_lambda(slots, environments="2", concurrency="4") as local:
        clients = await ask(local, *(f"/{number}" for number in range(8)))
        assert {await gate.arrived.get() for _ in range(8)} == {f"/{number}" for number in range(8)}
        assert local.starts == 2
        gate.open.set()
        assert await answers(clients) == [(200, f"/{number}".encode()) for number in range(8)]


async def test_a_slot_whose_invocation_times_out_leaves_the_environment_alone() -> None:
    async def slots(runtime: ScriptedRuntime) -> int:
        async def serve(handed: Handed) -> None:
            if handed.event["rawPath"] == "/slow":
                await asyncio.Event().wait()
            await runtime.respond(handed, b"{}")

        async with asyncio.TaskGroup() as group:
            while True:
                group.create_task(serve(await runtime.next()))

    async with local_lambda(slots, environments="1", concurrency="3", timeout="0.2") as local:
        assert (await local.request("GET", "/slow")).status == 502
        assert (await local.visit()).error_type == "Sandbox.Timeout"
        assert (await local.request("GET", "/")).status == 200
        assert local.starts == 1


@pytest.mark.parametrize(("slots", "requests"), [pytest.param(2, 3, id="2-slots"), pytest.param(4, 12, id="4-slots")])
async def test_slots_that_end_at_once_serve_all_waiting_requests_in_their_order(slots: int, requests: int) -> None:
    """Each invocation is over when it is answered, which is before its slot asks for the next one."""
    arrived: list[str] = []

    async def script(runtime: ScriptedRuntime) -> int:
        full = asyncio.Barrier(slots)

        async def slot() -> None:
            while True:
                handed = await runtime.next()
                arrived.append(handed.event["rawPath"])
                is_full_round = len(arrived) <= requests - requests % slots
                if is_full_round:
                    await full.wait()
                await runtime.respond(handed, b"{}")
                if is_full_round:
                    # All are answered before one asks again.
                    await full.wait()

        async with asyncio.TaskGroup() as group:
            for _ in range(slots):
                group.create_task(slot())
        return 0

    async with local_lambda(script, environments="1", concurrency=str(slots)) as local:
        clients = await ask(local, *(f"/{number}" for number in range(requests)))
        async with asyncio.timeout(5):
            assert [status for status, _ in await answers(clients)] == [200] * requests
        assert (local.starts, arrived) == (1, [f"/{number}" for number in range(requests)])


async def test_an_invocation_that_waits_is_served_as_soon_as_a_runtime_that_disconnected_asks_again() -> None:
    disconnected, ask_again = asyncio.Event(), asyncio.Event()

    async def script(runtime: ScriptedRuntime) -> int:
        client = await runtime.connect()
        await client.send(head("GET", f"{RUNTIME}/invocation/next", {}))
        await asyncio.sleep(0.05)
        client.abort()
        disconnected.set()
        await ask_again.wait()
        await runtime.respond(await runtime.next(), b"{}")
        await asyncio.Event().wait()
        return 0

    async with local_lambda(script, warm="true", environments="1") as local:
        assert (await local.notices.get()).startswith("the environment is warm")
        await disconnected.wait()
        clients = await ask(local, "/")
        assert "waits for the only environment" in await local.notices.get()
        ask_again.set()
        async with asyncio.timeout(5):
            assert [status for status, _ in await answers(clients)] == [200]


async def test_provisioned_environments_start_before_the_first_request_and_are_replaced() -> None:
    gate = Gate()
    gate.open.set()

    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            handed = await runtime.next()
            if handed.event["rawPath"] == "/exit":
                return 1
            await gate.serve(runtime, handed)

    async with local_lambda(script, environments="3", provisioned="2", idle_reclaim="0.001") as local:
        assert [(await local.notices.get()).partition(",")[0] for _ in range(2)] == ["the environment is warm"] * 2
        kinds = [each["initializationType"] for each in local.status()["environments"]]
        assert kinds == ["provisioned-concurrency"] * 2
        assert (await local.request("GET", "/x")).body == b"/x"
        assert (await local.visit()).init is None
        assert (await local.request("GET", "/exit")).status == 502
        assert (await local.notices.get()).startswith("the environment is warm")
        assert (local.starts, states(local)) == (3, ["idle", "idle"])


async def test_an_idle_environment_is_reclaimed_and_the_next_request_is_a_cold_start() -> None:
    gate = Gate()
    gate.open.set()
    async with local_lambda(gate, environments="2", idle_reclaim="3600") as local:
        assert (await local.request("GET", "/x")).body == b"/x"
        await local.reports.get()
        assert local.function is not None
        local.function.age(3599)
        assert (await local.request("GET", "/x")).body == b"/x"
        await local.reports.get()
        local.function.age(3600)
        assert "was idle and is reclaimed" in await local.notices.get()
        assert (await local.request("GET", "/x")).body == b"/x"
        assert [(await local.visit()).init is not None for _ in range(3)] == [True, False, True]


async def test_a_runtime_that_disconnected_and_never_asks_again_is_given_up() -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        client = await runtime.connect()
        await client.send(head("GET", f"{RUNTIME}/invocation/next", {}))
        await asyncio.sleep(0.05)
        client.abort()
        await asyncio.Event().wait()
        return 0

    async with local_lambda(script, warm="true", timeout="0.1") as local:
        assert (await local.notices.get()).startswith("the environment is warm")
        assert "did not ask for an invocation in time" in await local.notices.get()


async def test_a_restart_lets_invocations_finish_and_later_ones_get_new_environments() -> None:
    gate = Gate()
    async with local_lambda(gate, environments="3") as local:
        old = await ask(local, "/old")
        assert await gate.arrived.get() == "/old"
        assert local.function is not None
        local.function.restart()
        new = await ask(local, "/new")
        assert await gate.arrived.get() == "/new"
        assert local.starts == 2
        gate.open.set()
        assert await answers(old + new) == [(200, b"/old"), (200, b"/new")]


async def test_the_status_says_what_each_environment_does() -> None:
    started, ready, gate = asyncio.Event(), asyncio.Event(), Gate()

    async def script(runtime: ScriptedRuntime) -> int:
        started.set()
        await ready.wait()
        return await gate(runtime)

    def status(local: LocalLambda) -> list[tuple[str, int, int, bool]]:
        fields = ("state", "invocations", "running", "retired")
        return [tuple(environment[field] for field in fields) for environment in local.status()["environments"]]

    async with local_lambda(script, environments="3", warm="true") as local:
        await started.wait()
        assert status(local) == [("starting", 0, 0, False)]
        ready.set()
        assert (await local.notices.get()).startswith("the environment is warm")
        assert status(local) == [("idle", 0, 0, False)]
        clients = await ask(local, "/")
        await gate.arrived.get()
        assert status(local) == [("busy", 0, 1, False)]
        assert local.function is not None
        local.function.restart()
        assert status(local) == [("busy", 0, 1, True)]
        gate.open.set()
        await answers(clients)


async def test_a_frozen_environment_is_thawed_for_each_invocation() -> None:
    frozen: list[bool] = []

    async with local_lambda(lambda runtime: script(runtime), freeze="true", warm="true") as local:

        async def script(runtime: ScriptedRuntime) -> int:
            while True:
                handed = await runtime.next()
                frozen.append(local.environments[0].is_frozen)
                await runtime.respond(handed, b"{}")

        assert (await local.notices.get()).startswith("the environment is warm")
        assert local.environments[0].is_frozen
        for _ in range(3):
            assert (await local.request("GET", "/")).status == 200
            await local.reports.get()
            assert local.environments[0].is_frozen
        assert frozen == [False, False, False]


@pytest.mark.parametrize("used", [pytest.param(200, id="above"), pytest.param(100, id="below")])
async def test_memory_above_the_functions_is_warned_of_once(used: int) -> None:
    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            await runtime.respond(await runtime.next(), b"{}")

    async with local_lambda(script, memory="128", memory_used=used * 1024 * 1024) as local:
        for _ in range(2):
            assert (await local.request("GET", "/")).status == 200
            assert f"Max Memory Used: {used} MB" in await local.reports.get()
        notices = [local.notices.get_nowait() for _ in range(local.notices.qsize())]
        expected = [
            "an environment has used 200 MB, more than --memory allows (128 MB); "
            "Lambda would have ended this environment"
        ]
        assert notices == (expected if used > 128 else [])


async def snapshot(runtime: ScriptedRuntime, *, after: Any = None) -> int:
    """Return a runtime that supports SnapStart; ``after`` is what it does after the restore."""
    await runtime.call("GET", f"{RUNTIME}/restore/next")
    if after is not None:
        await after(runtime)
    while True:
        await runtime.respond(await runtime.next(), b"{}")


async def test_a_snapshot_is_restored_when_it_is_needed() -> None:
    async with local_lambda(snapshot, warm="true", snapstart="true") as local:
        assert (await local.notices.get()).startswith("the snapshot is ready")
        assert states(local) == ["snapshot"]
        assert (await local.request("GET", "/")).status == 200
        assert "Restore Duration" in await local.reports.get()
        assert (await local.request("GET", "/")).status == 200
        assert "Restore Duration" not in await local.reports.get()
        assert local.starts == 1


async def test_a_restore_that_fails_or_takes_too_long_fails_the_request() -> None:
    async def report(runtime: ScriptedRuntime) -> None:
        headers = {"Lambda-Runtime-Function-Error-Type": "Runtime.AfterRestoreError"}
        body = b'{"errorType": "Hook", "errorMessage": "no database"}'
        await runtime.call("POST", f"{RUNTIME}/restore/error", body, headers)

    async def hang(_runtime: ScriptedRuntime) -> None:
        await asyncio.Event().wait()

    ways = iter([report, hang, None])

    async def script(runtime: ScriptedRuntime) -> int:
        return await snapshot(runtime, after=next(ways))

    async with local_lambda(script, snapstart="true", restore_limit=0.05) as local:
        for error in ("Runtime.AfterRestoreError", "Sandbox.Timeout"):
            assert (await local.request("GET", "/")).status == 502
            assert (await local.visit()).error_type == error
        assert (await local.request("GET", "/")).status == 200


async def test_a_snapshot_that_is_lost_is_replaced_for_the_next_request() -> None:
    ended = asyncio.Event()

    async def script(runtime: ScriptedRuntime) -> int:
        if not ended.is_set():
            client = await runtime.connect()
            await client.send(head("GET", f"{RUNTIME}/restore/next", {}))
            await asyncio.sleep(0.05)
            ended.set()
            return 3
        return await snapshot(runtime)

    async with local_lambda(script, warm="true", snapstart="true") as local:
        assert (await local.notices.get()).startswith("the snapshot is ready")
        assert (
            await local.notices.get()
            == "the environment ended (exit status 3); the next request starts a new environment"
        )
        assert (await local.request("GET", "/")).status == 200
        assert (local.starts, local.status()["counts"]["failedInits"]) == (2, 1)


async def test_a_restart_ends_a_restore_and_the_request_that_waits_for_it_gets_a_new_environment() -> None:
    restoring = asyncio.Event()

    async def hang(_runtime: ScriptedRuntime) -> None:
        restoring.set()
        await asyncio.Event().wait()

    ways = iter([hang, None])

    async def script(runtime: ScriptedRuntime) -> int:
        return await snapshot(runtime, after=next(ways))

    async with local_lambda(script, snapstart="true") as local:
        clients = await ask(local, "/")
        await restoring.wait()
        assert local.function is not None
        local.function.restart()
        assert [status for status, _ in await answers(clients)] == [200]
        assert (local.starts, local.status()["counts"]["failedInits"]) == (2, 0)


async def test_an_invocation_begins_when_the_one_before_is_concluded() -> None:
    gate = Gate()

    async def serve_at_every_turn(local: LocalLambda) -> None:
        """As if a request came at every turn of the loop: also between the runtime's question and the conclusion."""
        assert local.function is not None
        while True:
            local.function.dispatch()
            await asyncio.sleep(0)

    async with local_lambda(gate, environments="1") as local, asyncio.TaskGroup() as group:
        serving = group.create_task(serve_at_every_turn(local))
        clients = await ask(local, *(f"/{number}" for number in range(10)))
        gate.open.set()
        await answers(clients)
        for _ in clients:
            await local.reports.get()
        serving.cancel()
        words = [line.split()[0] for line in local.block]
        assert words == ["INIT_START", *["START", "END", "REPORT"] * 10]
