"""The log of one environment, in three places: as lines of CloudWatch, in each invocation, and as telemetry.

The lines of CloudWatch (INIT_START, START, END, REPORT) go to ``show``; each invocation keeps the end of its own part
in ``LocalInvocation.log``, with the lines that the function wrote meanwhile; extensions receive the same as records.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from time import time
from typing import TYPE_CHECKING

from adapter.aws.identity import FUNCTION_VERSION
from adapter.emulator.environment.result import EXIT_ERROR, TIMEOUT
from adapter.emulator.platform_api import telemetry_records as records
from adapter.emulator.settings import ON_DEMAND, FunctionSettings
from adapter.logs import utc_timestamp

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.environment.result import Failure
    from adapter.emulator.platform_api.telemetry import Telemetry

# How much of an invocation's log is kept, in bytes (Lambda, "Invoke": LogType Tail returns the last 4 KB).
LOG_TAIL = 4096


class CloudWatchLog:
    """``show`` receives each line of the block; None: nothing is shown.

    Durations are in seconds; ``memory`` is in bytes, None if it is unknown.
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
        self._initialization_type = initialization_type
        self._show = show
        self._invocations: list[LocalInvocation] = []

    def init_started(self, phase: str) -> None:
        """Note that the processes are being started; ``phase`` is ``init``, or ``invoke`` for the second attempt."""
        self._write("INIT_START Runtime Version: local")
        self._telemetry.emit(*records.init_start(self._initialization_type, phase, self._settings.name))

    def init_ended(self, phase: str, took: float, failure: Failure | None) -> None:
        """Note that the init phase is over. Lambda writes a line only if it failed."""
        status, error_type = outcome(failure)
        if failure is not None:
            error = f"\tError Type: {error_type}" if status == "error" else ""
            self._write(f"INIT_REPORT Init Duration: {took * 1000:.2f} ms\tPhase: {phase}\tStatus: {status}{error}")
        self._telemetry.emit(*records.init_runtime_done(self._initialization_type, phase, status, error_type))
        self._telemetry.emit(*records.init_report(self._initialization_type, phase, took))

    def restore_started(self) -> None:
        """Note that the snapshot is being restored."""
        self._write("RESTORE_START Runtime Version: local")
        self._telemetry.emit(*records.restore_start(self._settings.name))

    def restore_ended(self, took: float, failure: Failure | None) -> None:
        """Note that the restore is over."""
        status, error_type = outcome(failure)
        if failure is not None:
            error = f"\tError Type: {error_type}" if status == "error" else ""
            self._write(f"RESTORE_REPORT Restore Duration: {took * 1000:.2f} ms\tStatus: {status}{error}")
        self._telemetry.emit(*records.restore_runtime_done(status, error_type))
        self._telemetry.emit(*records.restore_report(took))

    def invocation_started(self, invocation: LocalInvocation) -> None:
        """Note that the invocation is handed to the runtime."""
        self._invocations.append(invocation)
        self._write(f"START RequestId: {invocation.request_id} Version: {FUNCTION_VERSION}", invocation)
        if self._telemetry.is_wanted:
            self._telemetry.emit(*records.start(invocation.request_id, invocation.trace_id))

    def invocation_ended(self, invocation: LocalInvocation, took: float, memory: int | None) -> None:
        """Note that the environment is done with the invocation, or has ended in it."""
        request_id, failure = invocation.request_id, invocation.reply.failure
        ended = status, error_type = outcome(failure)
        metrics = self._metrics(invocation, took, memory)
        if failure is not None and failure.message and error_type in (EXIT_ERROR, TIMEOUT):
            self._write(f"{utc_timestamp(time())} {request_id} {_without_id(failure.message)}", invocation)
        self._write(f"END RequestId: {request_id}", invocation)
        self._write(report_line(request_id, metrics, status, error_type), invocation)
        if self._telemetry.is_wanted:
            self._telemetry.emit(*records.runtime_done(request_id, invocation.trace_id, took, ended))
            self._telemetry.emit(*records.end(request_id))
            self._telemetry.emit(*records.report(request_id, invocation.trace_id, metrics, ended))
        self._invocations.remove(invocation)

    def output(self, line: bytes, category: str) -> None:
        """Note a line that a process wrote; ``category`` is ``function`` or ``extension``."""
        for invocation in self._invocations:
            invocation.log = (invocation.log + line + b"\n")[-LOG_TAIL:]
        self._telemetry.emit(category, category, line.decode("utf-8", "replace"))

    def _metrics(self, invocation: LocalInvocation, took: float, memory: int | None) -> dict[str, float]:
        # Since August 2025 init is billed like an invocation (AWS, "standardizes billing for INIT phase"), except that
        # of provisioned environments.
        init = invocation.init_seconds or 0.0
        billed = took + (init if self._initialization_type == ON_DEMAND else 0.0)
        metrics: dict[str, float] = {
            "durationMs": round(took * 1000, 2),
            "billedDurationMs": math.ceil(round(billed * 1000, 3)),
            "memorySizeMB": self._settings.memory,
        }
        if memory is not None:
            metrics["maxMemoryUsedMB"] = math.ceil(memory / 1024**2)
        if invocation.init_seconds is not None:
            metrics["initDurationMs"] = round(init * 1000, 2)
        if invocation.restore_seconds is not None:
            metrics["restoreDurationMs"] = round(invocation.restore_seconds * 1000, 2)
        return metrics

    def _write(self, line: str, invocation: LocalInvocation | None = None) -> None:
        if self._show is not None:
            self._show(line)
        if invocation is not None:
            invocation.log = (invocation.log + line.encode() + b"\n")[-LOG_TAIL:]


def outcome(failure: Failure | None) -> tuple[str, str]:
    """Return the status of reports (success, error, failure, timeout) and the error's type, empty for a success.

    Lambda reports ``error`` if the function reported it and ``failure`` if the environment broke ("Telemetry API":
    Status).
    """
    if failure is None:
        return "success", ""
    if failure.error_type == TIMEOUT:
        return "timeout", failure.error_type
    return ("failure" if failure.error_type == EXIT_ERROR else "error"), failure.error_type


def report_line(request_id: str, metrics: dict[str, float], status: str, error_type: str) -> str:
    """Return the REPORT line, tab-separated as in CloudWatch."""
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
    if status != "success":
        parts.append(f"Status: {status}")
        if status != "timeout":
            parts.append(f"Error Type: {error_type}")
    return "\t".join(parts)


def _without_id(message: str) -> str:
    """Return a failure's message without the request id, with which the line begins already."""
    return message.partition(" Error: ")[2] or message
