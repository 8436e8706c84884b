"""The records of Lambda's Telemetry API: each function returns a type, its category and the record.

The shapes are those of AWS's "Telemetry API Event schema reference" (2022-07-01 and later). Spans, and the id of an
X-Ray segment, are left out: the schema has them as optional, and the emulator does not measure them.
"""

from __future__ import annotations

from typing import Any, TypeAlias

from adapter.aws.identity import FUNCTION_VERSION
from adapter.emulator.settings import SNAPSTART

PLATFORM, FUNCTION, EXTENSION = "platform", "function", "extension"

Record: TypeAlias = tuple[str, str, Any]


def init_start(initialization_type: str, phase: str, function_name: str) -> Record:
    """Report that the init phase begins."""
    return _platform(
        "initStart",
        initializationType=initialization_type,
        phase=phase,
        functionName=function_name,
        functionVersion=FUNCTION_VERSION,
    )


def init_runtime_done(initialization_type: str, phase: str, status: str, error_type: str) -> Record:
    """Report that the runtime is initialized, or cannot be."""
    return _platform(
        "initRuntimeDone",
        initializationType=initialization_type,
        phase=phase,
        status=status,
        **_error(error_type),
    )


def init_report(initialization_type: str, phase: str, took: float) -> Record:
    """Report that the init phase is over; ``took`` in seconds."""
    metrics = {"durationMs": round(took * 1000, 3)}
    return _platform("initReport", initializationType=initialization_type, phase=phase, metrics=metrics)


def restore_start(function_name: str) -> Record:
    """Report that a snapshot is being restored."""
    return _platform("restoreStart", functionName=function_name, functionVersion=FUNCTION_VERSION)


def restore_runtime_done(status: str, error_type: str) -> Record:
    """Report that the runtime has gone on after a restore, or cannot."""
    return _platform("restoreRuntimeDone", status=status, **_error(error_type))


def restore_report(took: float) -> Record:
    """Report that the restore is over; ``took`` in seconds."""
    return _platform("restoreReport", initializationType=SNAPSTART, metrics={"durationMs": round(took * 1000, 3)})


def start(request_id: str, trace_id: str) -> Record:
    """Report that an invocation begins."""
    return _platform("start", requestId=request_id, version=FUNCTION_VERSION, tracing=_tracing(trace_id))


def runtime_done(request_id: str, trace_id: str, took: float, ended: tuple[str, str]) -> Record:
    """Report that the runtime is done; ``took`` in seconds, ``ended`` is the status and the type of the error."""
    status, error_type = ended
    return _platform(
        "runtimeDone",
        requestId=request_id,
        status=status,
        metrics={"durationMs": round(took * 1000, 3)},
        tracing=_tracing(trace_id),
        **_error(error_type),
    )


def report(request_id: str, trace_id: str, metrics: dict[str, float], ended: tuple[str, str]) -> Record:
    """Report what an invocation took."""
    status, error_type = ended
    return _platform(
        "report",
        requestId=request_id,
        status=status,
        metrics=metrics,
        tracing=_tracing(trace_id),
        **_error(error_type),
    )


def end(request_id: str) -> Record:
    """Report to the Logs API that an invocation is over."""
    return _platform("end", requestId=request_id)


def extension(name: str, state: str, events: list[str]) -> Record:
    """Report that an extension has registered, or failed to."""
    return _platform("extension", name=name, state=state, events=events)


def subscription(api: str, name: str, types: list[str]) -> Record:
    """Report that an extension has subscribed; ``api`` is ``telemetry`` or ``logs``."""
    return _platform(f"{api}Subscription", name=name, state="Subscribed", types=types)


def logs_dropped(size: int, count: int, reason: str) -> Record:
    """Report that records were lost."""
    return _platform("logsDropped", droppedBytes=size, droppedRecords=count, reason=reason)


def _platform(kind: str, /, **record: Any) -> Record:
    return f"platform.{kind}", PLATFORM, record


def _error(error_type: str) -> dict[str, str]:
    return {"errorType": error_type} if error_type else {}


def _tracing(trace_id: str) -> dict[str, str]:
    return {"type": "X-Amzn-Trace-Id", "value": trace_id}
