"""Which faults strike: the grammar, rates, headers and seeds; and what each of them looks like to a client."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from adapter.config.load import load
from adapter.emulator.faults.injector import FaultInjector
from adapter.emulator.faults.plan import Fault, FaultPlan, Kind, parse_faults
from adapter.emulator.service.endpoints import fault_plan
from adapter.errors import ConfigurationError
from tests.emulator.scripted import Handed, ScriptedRuntime, local_lambda, prelude
from tests.scripted_app import PATIENCE

PIECES = [b"a" * 1000, b"b" * 1000, b"c" * 1000]
BODY = b"".join(PIECES)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param("throttle", Fault(kind=Kind.THROTTLE), id="always"),
        pytest.param("delay", Fault(kind=Kind.DELAY, amount=1.0), id="default-amount"),
        pytest.param("delay=0.5:10%", Fault(kind=Kind.DELAY, amount=0.5, rate=0.1), id="amount-and-percent"),
        pytest.param("kill=1MB:0.25", Fault(kind=Kind.KILL, amount=1024 * 1024, rate=0.25), id="size-and-share"),
        pytest.param("drop@X-Fault", Fault(kind=Kind.DROP, header="x-fault"), id="header"),
        pytest.param("fill@x-fault=a=b", Fault(kind=Kind.FILL, header="x-fault", value="a=b"), id="header-and-value"),
        pytest.param("init:50%", Fault(kind=Kind.INIT, rate=0.5), id="init"),
    ],
)
def test_a_fault_is_written_as_kind_amount_rate_and_header(text: str, expected: Fault) -> None:
    assert parse_faults(f"{text}, ") == (expected,)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        pytest.param("explode", "use one of delay, throttle, kill", id="kind"),
        pytest.param("throttle=1", "which throttle does not use", id="amount-where-there-is-none"),
        pytest.param("kil=1MB", r"did you mean kill\?", id="slip"),
        pytest.param("delay=soon", "is not a duration", id="seconds"),
        pytest.param("kill=all", "is not a size", id="size"),
        *[
            pytest.param(f"kill:{rate}", "a percentage, for example 0.1 or 10%", id=f"rate-{rate[:9]}")
            for rate in ("often", "-0.1", "1.1", "101%", "nan", "inf", "0_1", "\u0661", "9" * 5000)
        ],
        pytest.param("kill:101%", "a percentage, for example 0.1 or 10%", id="too-often"),
        pytest.param("kill@", "has no header after", id="no-header"),
        pytest.param("init@x-fault", "'init@x-fault' has a header, but an init has no request", id="init-by-header"),
    ],
)
def test_what_is_no_fault_is_a_mistake_that_names_the_option(text: str, why: str) -> None:
    with pytest.raises(ConfigurationError, match=why) as mistake:
        fault_plan(load({}, {"faults": text}))
    assert str(mistake.value).startswith("--fault: ")


def test_every_fault_that_is_none_is_told_by_itself() -> None:
    with pytest.raises(ConfigurationError) as mistake:
        fault_plan(load({}, {"faults": "explode,delay=1,kill@"}))
    first, second = mistake.value.mistakes
    assert first.startswith("--fault: 'explode' is not a fault; use one of delay, ")
    assert second == "--fault: 'kill@' has no header after the @; use a form such as kill@x-fault"


def strikes(text: str, seed: int, count: int = 200) -> list[bool]:
    plan = FaultPlan(parse_faults(text), seed)
    return [Kind.KILL in plan.for_invocation([]) for _ in range(count)]


def test_a_rate_is_kept_and_a_seed_repeats_it() -> None:
    struck = strikes("kill:25%", seed=1, count=2000)
    assert 0.22 < sum(struck) / len(struck) < 0.28
    assert strikes("kill:25%", seed=1, count=2000) == struck
    assert strikes("kill:25%", seed=2, count=2000) != struck


def test_another_fault_beside_it_changes_nothing() -> None:
    assert strikes("kill:25%,delay:50%", seed=1) == strikes("kill:25%", seed=1)


@pytest.mark.parametrize(
    ("headers", "struck"),
    [
        pytest.param([("X-Fault", "kill")], True, id="there"),
        pytest.param([("X-Fault", "other"), ("x-fault", "kill")], True, id="one-of-several"),
        pytest.param([("X-Fault", "other")], False, id="another-value"),
        pytest.param([], False, id="not-there"),
    ],
)
def test_a_fault_may_need_a_header_with_a_value(headers: list[tuple[str, str]], struck: bool) -> None:
    plan = FaultPlan(parse_faults("kill@x-fault=kill"))
    assert (Kind.KILL in plan.for_invocation(headers)) is struck


def test_a_header_does_not_use_up_the_numbers_of_others() -> None:
    """Requests without the header leave the sequence of those that have it alone."""
    plan = FaultPlan(parse_faults("kill:50%@x-fault"), seed=3)
    with_header = [("x-fault", "1")]
    mixed = []
    for _ in range(50):
        plan.for_invocation([])
        mixed.append(bool(plan.for_invocation(with_header)))
    again = FaultPlan(parse_faults("kill:50%@x-fault"), seed=3)
    assert mixed == [bool(again.for_invocation(with_header)) for _ in range(50)]


def test_an_init_fails_at_its_rate_and_no_invocation_does() -> None:
    plan = FaultPlan(parse_faults("init:50%"), seed=1)
    failed = [plan.fails_init() for _ in range(100)]
    assert 30 < sum(failed) < 70
    assert plan.for_invocation([]) == {}


# --- what a client sees ------------------------------------------------------------------------------------------


async def stream(runtime: ScriptedRuntime) -> int:
    while True:
        upload = await runtime.stream(await runtime.next())
        await upload.write(prelude())
        for piece in PIECES:
            await upload.write(piece)
        await upload.end()


async def buffer(runtime: ScriptedRuntime) -> int:
    while True:
        handed: Handed = await runtime.next()
        await runtime.respond(handed, json.dumps({"statusCode": 200, "body": BODY.decode()}).encode())


@pytest.mark.parametrize("size", [0, 1, 1000, 1500, 2999])
async def test_a_truncated_stream_ends_where_it_was_told_to(size: int) -> None:
    async with local_lambda(stream, faults=f"truncate={size}") as local:
        response = await local.request("GET", "/")
        assert (response.status, response.body, response.is_cut) == (200, BODY[:size], True)
        assert (await local.visit()).error_type == "Runtime.TruncatedResponse"


async def test_a_stream_that_is_not_longer_than_that_is_whole() -> None:
    async with local_lambda(stream, faults="truncate=3000") as local:
        response = await local.request("GET", "/")
        assert (response.body, response.is_cut) == (BODY, False)


async def test_a_dropped_client_loses_its_connection_and_the_invocation_runs_on() -> None:
    async with local_lambda(stream, faults="drop=1500") as local:
        response = await local.request("GET", "/")
        assert (response.body, response.is_cut) == (BODY[:1500], True)
        record = await local.visit()
        assert (record.client_left, record.streamed, record.error_type) == (True, 3000, "")


async def test_a_stream_is_filled_up_to_the_limit() -> None:
    async with local_lambda(stream, faults="fill", stream_limit="100KB", bandwidth="unlimited") as local:
        response = await local.request("GET", "/")
        assert response.body == BODY + b"." * (100 * 1024 - 3000)
        assert response.is_cut
        assert (await local.visit()).error_type == "Function.ResponseSizeTooLarge"


async def test_a_delay_comes_before_the_function() -> None:
    async with local_lambda(stream, faults="delay=0.2") as local:
        begun = time.monotonic()
        assert (await local.request("GET", "/")).status == 200
        assert 0.2 <= time.monotonic() - begun < 1.0


@pytest.mark.parametrize(
    ("fault", "error_type"),
    [
        pytest.param("truncate", "Runtime.TruncatedResponse", id="truncate"),
        pytest.param("fill", "Function.ResponseSizeTooLarge", id="fill"),
        pytest.param("kill", "Runtime.ExitError", id="kill"),
        pytest.param("throttle", "TooManyRequestsException", id="throttle"),
    ],
)
async def test_a_buffered_response_fails_as_a_whole(fault: str, error_type: str) -> None:
    async with local_lambda(buffer, faults=fault, invoke_mode="buffered") as local:
        response = await local.request("GET", "/")
        assert response.status in (429, 502)
        assert (await local.visit()).error_type == error_type


async def test_a_dropped_client_of_a_buffered_response_gets_a_part() -> None:
    async with local_lambda(buffer, faults="drop=10", invoke_mode="buffered") as local:
        response = await local.request("GET", "/")
        assert (response.body, response.is_cut) == (BODY[:10], True)
        assert (await local.visit()).client_left


async def test_only_requests_with_the_header_are_struck() -> None:
    async with local_lambda(stream, faults="truncate=10@x-fault") as local:
        assert not (await local.request("GET", "/")).is_cut
        assert (await local.request("GET", "/", b"", {"X-Fault": "1"})).is_cut
        assert not (await local.request("GET", "/")).is_cut


@pytest.mark.parametrize("faults", ["fill", "fill,truncate=1GB"])
async def test_what_is_added_to_a_stream_ends_with_the_emulator(faults: str) -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group, local_lambda(stream, faults=faults) as local:
        asking = group.create_task(local.request("GET", "/"))
        await local.reports.get()
    assert asking.result().is_cut
    record = local.visits.get_nowait()
    assert (record.error_type, record.broken_off) == ("Emulator.Stopped", True)


async def test_a_stream_that_a_narrow_cap_holds_back_ends_with_the_emulator() -> None:
    async with (
        asyncio.timeout(PATIENCE),
        asyncio.TaskGroup() as group,
        local_lambda(stream, faults="fill", bandwidth="32KB+32KB") as local,
    ):
        asking = group.create_task(local.request("GET", "/"))
        await local.reports.get()
    assert asking.result().is_cut
    # The emulator has ended without waiting for the cap. After the cap, there would be a record.
    assert local.visits.empty()


async def test_a_delay_ends_with_the_emulator() -> None:
    async with asyncio.timeout(PATIENCE), asyncio.TaskGroup() as group:
        injector = FaultInjector(FaultPlan())
        delay = group.create_task(injector.sleep(600))
        await asyncio.sleep(0)
        assert not delay.done()
        injector.stop()
