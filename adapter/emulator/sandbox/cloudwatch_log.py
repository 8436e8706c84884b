"""The log of one execution environment.

The log goes to three places. ``show`` receives the lines that Lambda writes to CloudWatch (INIT_START, START, END,
REPORT). ``LocalInvocation.log`` keeps the last 4 KB of each invocation's log: Lambda's lines and the output of the
processes. Extensions receive telemetry records, as in AWS's "Telemetry API Event schema reference" (2022-07-01 and
later). The records contain neither spans nor the X-Ray segment id: these fields are optional, and the emulator has no
values for them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import time
from typing import TYPE_CHECKING

from adapter.aws.identity import FUNCTION_VERSION
from adapter.emulator.environment.result import EXIT_ERROR, TIMEOUT
from adapter.emulator.function_settings import ON_DEMAND, FunctionSettings
from adapter.logs import utc_timestamp

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.environment.result import Failure
    from adapter.emulator.platform_api.telemetry import Telemetry

# The number of bytes kept from the end of an invocation's log (Lambda, "Invoke": LogType Tail returns the last 4 KB).
LOG_TAIL = 4096


class CloudWatchLog:
    """Writes the log of one environment. Each method logs one event.

    ``show`` receives each line that Lambda itself writes. If ``show`` is None, these lines are not shown. Durations
    are in seconds. ``memory`` is in bytes, or None if unknown.
    """

    def __init__(
        self,
        settings: FunctionSettings,
        initialization_type: str,
        telemetry: Telemetry,
        show: Callable[[str], None] | None = None,
    ) -> None:
        self._telemetry = telemetry
        self._settings = settings
        self._function = {"functionName": settings.name, "functionVersion": FUNCTION_VERSION}
        self._initialization_type = initialization_type
        self._show = show
        self._invocations: list[LocalInvocation] = []

    def init_started(self, phase: str) -> None:
        """Log the start of init. ``phase`` is ``invoke`` if init is repeated within an invocation, else ``init``."""
        self._write("INIT_START Runtime Version: local")
        self._telemetry.emit_platform(
            "initStart", initializationType=self._initialization_type, phase=phase, **self._function
        )

    def init_ended(self, phase: str, took: float, failure: Failure | None) -> None:
        """Log the end of init. ``took`` is its duration. ``failure`` is None if init succeeded."""
        self._write_failure(f"INIT_REPORT Init Duration: {took * 1000:.2f} ms\tPhase: {phase}", failure)
        init = {"initializationType": self._initialization_type, "phase": phase}
        self._telemetry.emit_platform("initRuntimeDone", **init, **_status(failure))
        self._telemetry.emit_platform("initReport", **init, metrics=_duration(took))

    def restore_started(self) -> None:
        """Log that the environment starts to restore its snapshot (SnapStart)."""
        self._write("RESTORE_START Runtime Version: local")
        self._telemetry.emit_platform("restoreStart", **self._function)

    def restore_ended(self, took: float, failure: Failure | None) -> None:
        """Log the end of the restore. ``took`` is its duration. ``failure`` is None if the restore succeeded."""
        self._write_failure(f"RESTORE_REPORT Restore Duration: {took * 1000:.2f} ms", failure)
        self._telemetry.emit_platform("restoreRuntimeDone", **_status(failure))
        self._telemetry.emit_platform(
            "restoreReport", initializationType=self._initialization_type, metrics=_duration(took)
        )

    def invocation_started(self, invocation: LocalInvocation) -> None:
        """Log the start of an invocation."""
        self._invocations.append(invocation)
        request_id = invocation.request_id
        self._write(f"START RequestId: {request_id} Version: {FUNCTION_VERSION}", invocation)
        if self._telemetry.is_wanted:
            tracing = _tracing(invocation)
            self._telemetry.emit_platform("start", requestId=request_id, version=FUNCTION_VERSION, tracing=tracing)

    def invocation_ended(self, invocation: LocalInvocation, took: float, memory: int | None) -> None:
        """Log the end of an invocation, whether it succeeded or failed.

        ``took`` is its duration. ``memory`` is the environment's peak memory so far.
        """
        request_id, failure = invocation.request_id, invocation.reply.failure
        metrics = self._metrics(invocation, took, memory)
        if failure is not None and failure.message and failure.error_type in (EXIT_ERROR, TIMEOUT):
            self._write(f"{utc_timestamp(time())} {request_id} {_without_id(failure.message)}", invocation)
        self._write(f"END RequestId: {request_id}", invocation)
        self._write(_report_line(request_id, metrics, failure), invocation)
        if self._telemetry.is_wanted:
            about = {"requestId": request_id, "tracing": _tracing(invocation), **_status(failure)}
            self._telemetry.emit_platform("runtimeDone", **about, metrics=_duration(took))
            # Only the Logs API delivers this record.
            self._telemetry.emit_platform("end", requestId=request_id)
            self._telemetry.emit_platform("report", **about, metrics=metrics)
        self._invocations.remove(invocation)
        invocation.record.conclude(metrics)

    def output(self, line: bytes, category: str, stream: str = "stdout") -> None:
        """Log a line that a process wrote to ``stream``.

        ``category`` is ``function`` or ``extension``, the kind of the process.
        """
        for invocation in self._invocations:
            invocation.log = (invocation.log + line + b"\n")[-LOG_TAIL:]
            invocation.record.add_output(line, stream)
        self._telemetry.emit(category, category, line.decode("utf-8", "replace"))

    def _metrics(self, invocation: LocalInvocation, took: float, memory: int | None) -> dict[str, float]:
        # Since August 2025 Lambda bills the init phase like an invocation (AWS, "standardizes billing for INIT phase"),
        # except in provisioned environments.
        record = invocation.record
        init = record.init or 0.0
        billed = took + (init if self._initialization_type == ON_DEMAND else 0.0)
        metrics: dict[str, float] = {
            "durationMs": round(took * 1000, 2),
            "billedDurationMs": math.ceil(round(billed * 1000, 3)),
            "memorySizeMB": self._settings.memory,
        }
        if memory is not None:
            metrics["maxMemoryUsedMB"] = math.ceil(memory / 1024**2)
        if record.init is not None:
            metrics["initDurationMs"] = round(init * 1000, 2)
        if record.restore is not None:
            metrics["restoreDurationMs"] = round(record.restore * 1000, 2)
        return metrics

    def _write(self, line: str, invocation: LocalInvocation | None = None) -> None:
        if self._show is not None:
            self._show(line)
        if invocation is not None:
            invocation.log = (invocation.log + line.encode() + b"\n")[-LOG_TAIL:]
            invocation.record.log_lines.append(line)

    def _write_failure(self, line: str, failure: Failure | None) -> None:
        """After a failure, write ``line`` (an INIT_REPORT or RESTORE_REPORT). Otherwise write nothing, as on Lambda."""
        if failure is not None:
            status = _status(failure)["status"]
            error = f"\tError Type: {failure.error_type}" if status == "error" else ""
            self._write(f"{line}\tStatus: {status}{error}")


def _status(failure: Failure | None) -> dict[str, str]:
    """Return the ``status`` field of a telemetry record and, after a failure, its ``errorType`` field.

    The values of ``status`` (AWS's "Telemetry API Event schema reference", section "Status"):

    - ``success``: there was no failure.
    - ``timeout``: the timeout was exceeded.
    - ``failure``: the runtime process ended unexpectedly.
    - ``error``: there was another failure.
    """
    if failure is None:
        return {"status": "success"}
    status = {TIMEOUT: "timeout", EXIT_ERROR: "failure"}.get(failure.error_type, "error")
    return {"status": status, "errorType": failure.error_type}


def _duration(took: float) -> dict[str, float]:
    return {"durationMs": round(took * 1000, 3)}


def _tracing(invocation: LocalInvocation) -> dict[str, str]:
    return {"type": "X-Amzn-Trace-Id", "value": invocation.trace_id}


def _report_line(request_id: str, metrics: dict[str, float], failure: Failure | None) -> str:
    """Return the REPORT line of an invocation. Its parts are separated by tabs, as in CloudWatch."""
    used = metrics.get("maxMemoryUsedMB")
    parts = [
        f"REPORT RequestId: {request_id}",
        f"Duration: {metrics['durationMs']:.2f} ms",
        f"Billed Duration: {metrics['billedDurationMs']:.0f} ms",
        f"Memory Size: {metrics['memorySizeMB']:.0f} MB",
        f"Max Memory Used: {used:.0f} MB" if used is not None else "Max Memory Used: unknown",
    ]
    for name, key in (("Init", "initDurationMs"), ("Restore", "restoreDurationMs")):
        if key in metrics:
            parts.append(f"{name} Duration: {metrics[key]:.2f} ms")
    if failure is not None:
        parts.append(f"Status: {_status(failure)['status']}")
        if failure.error_type != TIMEOUT:
            parts.append(f"Error Type: {failure.error_type}")
    return "\t".join(parts)


def _without_id(message: str) -> str:
    """Return a failure's message without the request id: the log line already begins with the id."""
    return message.partition(" Error: ")[2] or message
