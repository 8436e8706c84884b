"""Encodes a record as a row of the page's list, and an environment as a lane. Times are in milliseconds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from adapter.emulator.environment.result import THROTTLED
from adapter.emulator.inspector.masking import Masker

if TYPE_CHECKING:
    from adapter.emulator.records.record import RequestRecord

# The number of points in the small curve of a row.
_SPARKLINE = 64
_MB = 1024 * 1024


def summary(record: RequestRecord, masker: Masker) -> dict[str, Any]:
    """Return the row for ``record`` in the page's list. A value that is not known yet is None."""
    report = record.report
    is_client_request = bool(record.door)
    return {
        "id": record.number,
        "requestId": record.request_id,
        "began": round(record.began_at * 1000),
        "door": record.door or "invoke-api",
        "method": masker.text(record.method),
        "target": masker.target(record.client_target if is_client_request else record.target),
        "client": record.client or None,
        "traceId": record.trace_id or None,
        "environment": record.environment or None,
        "cold": record.init is not None,
        "restored": record.restore is not None,
        "status": record.status or None,
        "error": record.error_type or None,
        "errorMessage": masker.text(record.error_message) or None,
        "ended": record.is_over,
        "concluded": record.concluded is not None,
        "queuedMs": queued_ms(record),
        "initMs": milliseconds(record.init),
        "restoreMs": milliseconds(record.restore),
        "firstByteMs": milliseconds(record.first_byte),
        "totalMs": milliseconds(record.duration) if record.is_over else None,
        "durationMs": report.get("durationMs"),
        "billedMs": report.get("billedDurationMs"),
        "bytes": record.sent,
        "heldMs": milliseconds(record.held_so_far),
        "heldNow": record.held_since is not None,
        "mismatch": record.mismatch,
        "throttled": record.error_type == THROTTLED,
        "refused": record.refused,
        "answeredBy": record.answered_by or None,
        "clientLeft": record.client_left,
        "brokenOff": record.broken_off,
        "replayOf": record.replay_of or None,
        "mode": record.mode,
        "stored": record.is_stored,
        "curve": [[milliseconds(at), size] for at, size in record.curve.sample(_SPARKLINE)],
    }


def queued_ms(record: RequestRecord) -> float | None:
    """Return how many milliseconds the invocation waited for an environment, or None if it was never queued.

    The durations of the init and the restore are subtracted.
    """
    if record.queued is None:
        return None
    waited = (record.begun if record.begun is not None else record.now()) - record.queued
    return milliseconds(max(0.0, waited - (record.init or 0.0) - (record.restore or 0.0)))


def environment(number: int, memory: int | None, changes: list[tuple[float, str]], started: float) -> dict[str, Any]:
    """Return the page's lane for an environment. ``changes`` are pairs of the event loop's time and a state.

    ``memory`` is in bytes. ``started`` is the event loop's time at the emulator's start. All returned times count from
    ``started``.
    """
    since, state = changes[-1]
    return {
        "id": number,
        "state": state,
        "since": milliseconds(since - started),
        "memoryMb": None if memory is None else round(memory / _MB, 1),
        "lane": [[milliseconds(at - started), name] for at, name in changes],
    }


def milliseconds(seconds: float | None) -> float | None:
    """Return ``seconds`` in milliseconds, or None if ``seconds`` is None."""
    return None if seconds is None else round(seconds * 1000, 3)
