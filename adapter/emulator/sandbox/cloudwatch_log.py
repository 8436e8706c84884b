"""What happens in one environment, told three times: as CloudWatch would have it, to the invocations, as telemetry.

The CloudWatch block (INIT_START, START, END, REPORT) goes to ``show``; every invocation keeps the end of its own part
in ``LocalInvocation.log``, with the lines that the function wrote meanwhile; extensions get the same as records.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

from adapter.emulator.environment.result import EXIT_ERROR, TIMEOUT
from adapter.emulator.platform_api import telemetry_records as events
from adapter.emulator.settings import FUNCTION_VERSION, ON_DEMAND, FunctionSettings

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.environment.result import Failure
    from adapter.emulator.platform_api.telemetry import Telemetry


class CloudWatchLog:
    """``show`` is given each line of the block. Durations are in seconds, ``memory`` is in bytes or unknown."""

    def __init__(
        self,
        settings: FunctionSettings,
        initialization_type: str,
        telemetry: Telemetry,
        show: Callable[[str], None],
    ) -> None:
        self.telemetry = telemetry
        self._settings = settings
        self._initialization_type = initialization_type
        self._show = show
        self._calls: list[LocalInvocation] = []

    def init_started(self, phase: str) -> None:
        """The processes are being started; ``phase`` is ``init``, or ``invoke`` for the second try."""
        self._line("INIT_START Runtime Version: local")
        self.telemetry.emit(*events.init_start(self._initialization_type, phase, self._settings.name))

    def init_ended(self, phase: str, took: float, failure: Failure | None) -> None:
        """The init phase is over. Lambda writes a line only where it failed."""
        status, error_type = outcome(failure)
        if failure is not None:
            error = f"\tError Type: {error_type}" if status == "error" else ""
            self._line(f"INIT_REPORT Init Duration: {took * 1000:.2f} ms\tPhase: {phase}\tStatus: {status}{error}")
        self.telemetry.emit(*events.init_runtime_done(self._initialization_type, phase, status, error_type))
        self.telemetry.emit(*events.init_report(self._initialization_type, phase, took))

    def restore_started(self) -> None:
        """The snapshot is being restored."""
        self._line("RESTORE_START Runtime Version: local")
        self.telemetry.emit(*events.restore_start(self._settings.name))

    def restore_ended(self, took: float, failure: Failure | None) -> None:
        """The restore is over."""
        status, error_type = outcome(failure)
        if failure is not None:
            error = f"\tError Type: {error_type}" if status == "error" else ""
            self._line(f"RESTORE_REPORT Restore Duration: {took * 1000:.2f} ms\tStatus: {status}{error}")
        self.telemetry.emit(*events.restore_runtime_done(status, error_type))
        self.telemetry.emit(*events.restore_report(took))

    def started(self, call: LocalInvocation) -> None:
        """The call is handed to the runtime."""
        self._calls.append(call)
        self._line(f"START RequestId: {call.request_id} Version: {FUNCTION_VERSION}", call)
        if self.telemetry.wanted:
            self.telemetry.emit(*events.start(call.request_id, call.trace_id))

    def answered(self, call: LocalInvocation, took: float) -> None:
        """The runtime is done with the call."""
        if self.telemetry.wanted:
            ended = outcome(call.reply.failure)
            self.telemetry.emit(*events.runtime_done(call.request_id, call.trace_id, took, ended))

    def ended(self, call: LocalInvocation, took: float, memory: int | None) -> None:
        """The environment is done with the call, or has ended in it."""
        failure = call.reply.failure
        status, error_type = outcome(failure)
        if failure is not None and failure.message and error_type in (EXIT_ERROR, TIMEOUT):
            self._line(f"{events.timestamp(time.time())} {call.request_id} {_without_id(failure.message)}", call)
        self._line(f"END RequestId: {call.request_id}", call)
        metrics = self._metrics(call, took, memory)
        self._line(report_line(call.request_id, metrics, status, error_type), call)
        if self.telemetry.wanted:
            self.telemetry.emit(*events.end(call.request_id))
            self.telemetry.emit(*events.report(call.request_id, call.trace_id, metrics, (status, error_type)))
        self._calls.remove(call)

    def output(self, line: bytes, category: str) -> None:
        """A line that a process wrote; ``category`` is ``function`` or ``extension``."""
        for call in self._calls:
            call.log.write(line + b"\n")
        self.telemetry.emit(category, category, line.decode("utf-8", "replace"))

    def _metrics(self, call: LocalInvocation, took: float, memory: int | None) -> dict[str, float]:
        # Since August 2025 init is billed like an invocation (AWS, "standardizes billing for INIT phase"); what was
        # provisioned is paid for in another way.
        init = call.init_seconds or 0.0
        billed = took + (init if self._initialization_type == ON_DEMAND else 0.0)
        metrics: dict[str, float] = {
            "durationMs": round(took * 1000, 2),
            "billedDurationMs": math.ceil(round(billed * 1000, 3)),
            "memorySizeMB": self._settings.memory,
        }
        if memory is not None:
            metrics["maxMemoryUsedMB"] = math.ceil(memory / 1024**2)
        if call.init_seconds is not None:
            metrics["initDurationMs"] = round(init * 1000, 2)
        if call.restore_seconds is not None:
            metrics["restoreDurationMs"] = round(call.restore_seconds * 1000, 2)
        return metrics

    def _line(self, text: str, call: LocalInvocation | None = None) -> None:
        self._show(text)
        if call is not None:
            call.log.write(text.encode() + b"\n")


def outcome(failure: Failure | None) -> tuple[str, str]:
    """The status of reports (success, error, failure, timeout) and the error's type, empty for a success.

    Lambda says ``error`` where the function reported it and ``failure`` where the environment broke ("Telemetry API":
    Status).
    """
    if failure is None:
        return "success", ""
    if failure.error_type == TIMEOUT:
        return "timeout", failure.error_type
    return ("failure" if failure.error_type == EXIT_ERROR else "error"), failure.error_type


def report_line(request_id: str, metrics: dict[str, float], status: str, error_type: str) -> str:
    """The REPORT line, tab-separated as in CloudWatch."""
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
    """A failure's message without the request id, which the line begins with."""
    return message.partition(" Error: ")[2] or message
