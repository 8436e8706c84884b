"""The summary at the exit: its costs are those of a calculation by hand."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.aws.limits import MIB
from adapter.emulator.records.record import RequestRecord
from adapter.emulator.terminal.prices import load_prices
from adapter.emulator.terminal.summary import Durations, Summary

PRICES = load_prices(None)


def invocation(billed_ms: float, memory: int, streamed: int = 0, **fields: Any) -> RequestRecord:
    record = RequestRecord(method="GET", target="/", status=200, streamed=streamed, sent=streamed, **fields)
    record.report = {"billedDurationMs": billed_ms, "memorySizeMB": memory}
    return record


def summary_of(*records: RequestRecord, region: str = "us-east-1") -> Summary:
    summary = Summary(PRICES, region)
    for record in records:
        summary.add(record)
        if record.report:
            summary.add_invocation(record)
    return summary


@pytest.mark.parametrize(
    ("records", "expected"),
    [
        # 1,000 ms by 1 GB = 1 GB-s: 0.0000166667; one request: 0.0000002.
        pytest.param([invocation(1000, 1024)], 0.0000168667, id="a-second-of-a-gigabyte"),
        # 3 by 250 ms by 128 MB = 0.09375 GB-s: 0.000001562503125; three requests: 0.0000006.
        pytest.param([invocation(250, 128)] * 3, 0.000002162503125, id="three-small-ones"),
        # 7,003 ms by 512 MB = 3.5015 GB-s: 0.00005835845...; a request; 14 MB of 1,024 MB at 0.008: 0.000109375.
        pytest.param(
            [invocation(7003, 512, 20 * MIB)], 3.5015 * 0.0000166667 + 0.0000002 + 0.000109375, id="a-stream-of-20-mb"
        ),
    ],
)
def test_the_cost_equals_a_calculation_by_hand(records: list[RequestRecord], expected: float) -> None:
    summary = summary_of(*records)
    assert summary.total == pytest.approx(expected, rel=1e-9)
    assert summary.fields()["cost"]["total"] == pytest.approx(expected, rel=1e-9)


def test_an_unknown_price_makes_the_cost_unknown() -> None:
    summary = summary_of(invocation(1000, 1024), region="mars-1")
    assert summary.total is None
    assert "unknown for Lambda in mars-1" in "\n".join(summary.lines())
    on_instances = Summary(PRICES.for_billing(on_demand=False), "us-east-1")
    on_instances.add_invocation(invocation(1000, 1024))
    assert on_instances.total is None
    assert on_instances.fields()["cost"]["request"] == pytest.approx(0.0000002)


def test_each_price_has_a_source_with_a_date() -> None:
    sources = PRICES.sources_for("us-east-1")
    assert len(sources) == 3
    assert all("20" in source for source in sources)
    assert PRICES.sources_for("mars-1") == []


def test_a_summary_has_requests_errors_and_times() -> None:
    failed = RequestRecord(method="GET", target="/", status=502, error_type="Function.X", duration=2.0, held=0.5)
    cold = invocation(300, 1024, MIB, init=0.2, first_byte=0.1, duration=0.4)
    summary = summary_of(cold, failed, failed)
    fields = summary.fields()
    assert (fields["requests"], fields["invocations"], fields["coldStarts"]) == (3, 1, 1)
    assert fields["errors"] == {"Function.X": 2}
    assert (fields["bytes"], fields["heldMs"], fields["gbSeconds"]) == (MIB, 1000, 0.3)
    assert fields["firstByteP50Ms"] == pytest.approx(100, rel=0.011)
    assert fields["totalP99Ms"] == pytest.approx(2000, rel=0.011)
    text = "\n".join(summary.lines())
    assert "Function.X: 2" in text
    assert "1 MB, held back by the bandwidth cap for 1.00 s" in text


def test_an_invocation_that_the_end_of_the_run_cuts_off_is_counted_without_a_cost() -> None:
    record = RequestRecord(method="GET", target="/", begun=0.1, init=0.5)
    summary = Summary(PRICES, "us-east-1")
    summary.add(record)
    assert summary.lines()[1:3] == [
        "  requests   1, 1 invocation, 1 cold start",
        "  unfinished 1 invocation still running when this run ended; not included in the cost",
    ]
    assert (summary.fields()["invocations"], summary.fields()["unfinishedInvocations"]) == (0, 1)
    record.report = {"billedDurationMs": 1000, "memorySizeMB": 1024}
    summary.add_invocation(record)
    assert summary.lines()[1] == "  requests   1, 1 invocation, 1 cold start"
    assert (summary.fields()["invocations"], summary.fields()["unfinishedInvocations"]) == (1, 0)


def test_without_a_request_there_is_no_summary() -> None:
    assert summary_of().lines() == []


def test_quantiles_are_exact_to_one_percent() -> None:
    durations = Durations()
    for number in range(1, 1001):
        durations.add(number / 1000)
    assert durations.quantile(0.5) == pytest.approx(0.5, rel=0.01)
    assert durations.quantile(0.99) == pytest.approx(0.99, rel=0.01)
    assert Durations().quantile(0.5) is None
