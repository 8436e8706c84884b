"""The log of an environment: the CloudWatch block, the log of an invocation, and records."""

from __future__ import annotations

from typing import Any

import pytest

from adapter.emulator.environment.invocation import LocalInvocation
from adapter.emulator.environment.result import Failure, Payload, failure
from adapter.emulator.function_settings import FunctionSettings
from adapter.emulator.sandbox.cloudwatch_log import LOG_TAIL, CloudWatchLog

MIB = 1024 * 1024


class Records:
    """Receives the records of a log in place of telemetry."""

    is_wanted = True

    def __init__(self) -> None:
        self.taken: list[tuple[str, Any]] = []

    def emit(self, _type: str, _category: str, _record: Any) -> None:
        """Lines of processes are of no interest."""

    def emit_platform(self, kind: str, **record: Any) -> None:
        self.taken.append((kind, record))

    def only(self, kind: str) -> Any:
        (record,) = (record for taken, record in self.taken if taken == kind)
        return record


def new_log(kind: str = "on-demand") -> tuple[CloudWatchLog, list[str], Records]:
    shown: list[str] = []
    records = Records()
    settings = FunctionSettings(memory=512)
    return CloudWatchLog(settings, kind, records, shown.append), shown, records  # type: ignore[arg-type]  # all it uses is there


def new_invocation() -> LocalInvocation:
    return LocalInvocation(label="GET /", event=b"{}", request_id="r-1", trace_id="Root=1")


async def test_a_cold_invocation_is_a_block_of_four_lines() -> None:
    log, shown, records = new_log()
    invocation = new_invocation()
    log.init_started("init")
    log.init_ended("init", 0.25, None)
    invocation.record.init = 0.25
    log.invocation_started(invocation)
    log.output(b"from the function", "function")
    invocation.reply.settle(Payload(b"{}"))
    log.invocation_ended(invocation, 0.0101, 70 * MIB)
    assert shown == [
        "INIT_START Runtime Version: local",
        "START RequestId: r-1 Version: $LATEST",
        "END RequestId: r-1",
        "REPORT RequestId: r-1\tDuration: 10.10 ms\tBilled Duration: 261 ms\tMemory Size: 512 MB\t"
        "Max Memory Used: 70 MB\tInit Duration: 250.00 ms",
    ]
    lines = invocation.log.decode().splitlines()
    assert lines == [shown[1], "from the function", *shown[2:]]
    assert records.only("report")["metrics"] == {
        "durationMs": 10.1,
        "billedDurationMs": 261,
        "memorySizeMB": 512,
        "maxMemoryUsedMB": 70,
        "initDurationMs": 250.0,
    }
    assert records.only("start")["tracing"] == {"type": "X-Amzn-Trace-Id", "value": "Root=1"}
    assert records.only("initReport")["metrics"] == {"durationMs": 250.0}


@pytest.mark.parametrize(
    ("why", "status", "line", "end"),
    [
        pytest.param(
            failure("Sandbox.Timeout", "RequestId: r-1 Error: Task timed out after 3.00 seconds"),
            "timeout",
            "r-1 Task timed out after 3.00 seconds",
            "Status: timeout",
            id="timeout",
        ),
        pytest.param(
            failure("Runtime.ExitError", "RequestId: r-1 Error: Runtime exited with error: exit status 3"),
            "failure",
            "r-1 Runtime exited with error: exit status 3",
            "Status: failure\tError Type: Runtime.ExitError",
            id="exit",
        ),
        pytest.param(
            failure("Function.Refused", "no"), "error", "", "Status: error\tError Type: Function.Refused", id="error"
        ),
    ],
)
async def test_a_failure_is_in_the_report_and_in_a_line_of_its_own_if_the_sandbox_noticed_it(
    why: Failure, status: str, line: str, end: str
) -> None:
    log, shown, records = new_log()
    invocation = new_invocation()
    log.invocation_started(invocation)
    invocation.reply.fail(why)
    log.invocation_ended(invocation, 3.0, None)
    assert shown[-1].endswith(end)
    assert "Max Memory Used: unknown" in shown[-1]
    assert (line == "" and len(shown) == 3) or shown[1].endswith(line)
    assert (records.only("report")["status"], records.only("report")["errorType"]) == (status, why.error_type)


async def test_a_provisioned_environment_is_not_billed_for_its_init_and_a_restore_has_its_own_duration() -> None:
    log, shown, _ = new_log("provisioned-concurrency")
    invocation = new_invocation()
    invocation.record.init = 1.0
    log.invocation_started(invocation)
    log.invocation_ended(invocation, 0.002, None)
    assert "Billed Duration: 2 ms" in shown[-1]
    log, shown, records = new_log("snap-start")
    log.restore_started()
    log.restore_ended(0.5, None)
    restored = new_invocation()
    restored.record.restore = 0.5
    log.invocation_started(restored)
    log.invocation_ended(restored, 0.002, None)
    assert shown[0] == "RESTORE_START Runtime Version: local"
    assert shown[-1].endswith("\tRestore Duration: 500.00 ms")
    assert records.only("restoreReport")["metrics"] == {"durationMs": 500.0}


@pytest.mark.parametrize(
    ("why", "line"),
    [
        pytest.param(failure("Sandbox.Timeout", ""), "Phase: init\tStatus: timeout", id="timeout"),
        pytest.param(failure("Runtime.ExitError", ""), "Phase: init\tStatus: failure", id="exit"),
        pytest.param(
            failure("Extension.Crash", ""), "Phase: init\tStatus: error\tError Type: Extension.Crash", id="error"
        ),
    ],
)
async def test_an_init_that_failed_has_a_report(why: Failure, line: str) -> None:
    log, shown, records = new_log()
    log.init_ended("init", 10.0, why)
    assert shown == [f"INIT_REPORT Init Duration: 10000.00 ms\t{line}"]
    assert records.only("initRuntimeDone")["errorType"] == why.error_type


async def test_the_end_of_a_long_log_is_kept() -> None:
    log, _, _ = new_log()
    invocation = new_invocation()
    log.invocation_started(invocation)
    for number in range(1000):
        log.output(b"line %d" % number, "function")
    assert len(invocation.log) == LOG_TAIL
    assert invocation.log.endswith(b"line 999\n")
