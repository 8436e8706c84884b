"""The log lines of ``adapter dev``: one for each request, and one for each unusual event.

The functions return strings and JSON fields. ``Terminal`` writes these, as text or as one JSON object per line. In
text, ``Terminal`` replaces control characters with visible escapes, since parts of the text come from clients, the
runtime and the app.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import click

from adapter.aws.limits import FREE_STREAM_BYTES
from adapter.emulator.terminal.banner import mismatch_text, start_fields, start_lines
from adapter.emulator.terminal.prices import PriceTable, billed_bytes
from adapter.emulator.terminal.summary import Summary
from adapter.errors import bounded
from adapter.logs import FIELD_LIMIT, trace_of, visible
from adapter.output import STDERR
from adapter.quantities import cost_text, duration_text, size_text

if TYPE_CHECKING:
    from adapter.emulator.front_doors.door_settings import DoorSettings, UrlSettings
    from adapter.emulator.records.record import RequestRecord
    from adapter.emulator.terminal.status_line import StatusLine
    from adapter.logs import Log

_STDERR = 2
# The size of the end of the processes' output that is kept, in bytes. A runtime writes less after its error message.
_REMEMBERED = 4096
# The beginning of the line in which the adapter's runtime reports an error.
_RUNTIME_ERROR = "adapter ERROR "
# The colour of a status, by its first digit.
_COLOURS = {2: "green", 3: "cyan", 4: "yellow", 5: "red"}


@dataclass(slots=True)
class Terminal:
    """Writes lines as text to stderr or, if ``log`` is not None, as JSON to ``log``.

    - ``color`` is True if lines are coloured. None means that lines are coloured if stderr is a terminal.
    - If ``shows_requests`` is False, a request has a line only if the function or the emulator failed.
    - If ``cloudwatch_block`` is True, an invocation is shown as the block of lines that Lambda writes to CloudWatch.
      If the invocation failed, the line of its request is written as well.
    - If ``names_doors`` is True, the line of a request begins with the name of the request's front door.
    """

    prices: PriceTable
    region: str
    color: bool | None = None
    log: Log | None = None
    shows_requests: bool = True
    cloudwatch_block: bool = False
    names_doors: bool = False
    # The line about requests in progress, if stderr is a terminal. It is erased before anything else is written.
    status: StatusLine | None = None
    # True once the run is ending on a terminal. The lines that processes then write are counted, but not shown.
    is_ending: bool = False
    hidden_lines: int = 0
    # The most recent output of the processes.
    _shown_output: bytes = b""
    summary: Summary = field(init=False)
    # The front doors, by name, for which no line has explained a mismatch of modes yet.
    _unexplained: dict[str, DoorSettings] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.color is None:
            self.color = os.isatty(_STDERR)
        if self.log is None:
            STDERR.loss_line = _loss_line
        self.summary = Summary(self.prices, self.region)

    def log_start(self, settings: UrlSettings) -> None:
        """Write the start message.

        If there are several front doors, the line of each request then begins with the front door's name.
        """
        self.names_doors = len(settings.doors) > 1
        # For all other front doors, the start message explains the mismatch.
        self._unexplained = {
            door.rules.name: door for door in settings.doors if not mismatch_text(settings.invoke_mode, door)
        }
        if self.log is not None:
            self.log.info("serving", **start_fields(settings))
        else:
            self._write("\n".join(_shown(line) for line in start_lines(settings)))

    def end(self) -> None:
        """From now on, hide the output of the processes if stderr is a terminal. Call this when the shutdown begins."""
        self.is_ending = self.log is None and os.isatty(_STDERR)

    def log_summary(self) -> None:
        """Write the summary of the run."""
        if self.hidden_lines:
            self.notice(f"hidden output lines from the shutdown of the environments: {self.hidden_lines}")
        if self.log is not None:
            if self.summary.requests:
                self.log.info("summary", **self.summary.fields())
        elif lines := self.summary.lines():
            self._write("\n".join(map(_shown, lines)))

    def shows_output(self, piece: bytes) -> bool:
        """Return whether to show ``piece``, a part of a process's output. If so, erase the status line."""
        if self.is_ending:
            self.hidden_lines += piece.count(b"\n")
            return False
        if self.status is not None:
            self.status.erase()
        self._shown_output = (self._shown_output + piece)[-_REMEMBERED:]
        return True

    def write_in_place(self, text: str) -> None:
        """Write ``text``, the status line, without a line break."""
        STDERR.write(text.encode("utf-8", "backslashreplace"))

    def log_request(self, record: RequestRecord) -> None:
        """Add a request that has ended to the summary. Write the request's line, if the settings do not hide it."""
        self.summary.add(record)
        if record.mismatch:
            self._explain_mismatch(record.door)
        level = request_level(record)
        # An invocation is shown as its CloudWatch block. A refused request has no block, so its line is still written.
        is_in_block = self.cloudwatch_block and not (record.refused or record.answered_by)
        if level != "error" and (is_in_block or not self.shows_requests):
            return
        if self.log is not None:
            self.log.log_invocation(request_fields(record, self.prices, self.region), level)
            return
        is_shown = bool(record.error_message) and self._is_shown(record.error_message)
        parts = [self._first_part(record), *map(_shown, details(record, without_reason=is_shown))]
        parts += streaming_cost(record.streamed, self.prices, self.region)
        self._write(" | ".join(parts))

    def _is_shown(self, reason: str) -> bool:
        """Return whether the adapter's runtime has just written ``reason``, the first line of an error message."""
        lines = self._shown_output.decode(errors="replace").splitlines()
        return any(_RUNTIME_ERROR in line and reason in " ".join(line.split()) for line in lines)

    def _explain_mismatch(self, name: str) -> None:
        """Warn that the function does not run in the configured invoke mode, but only once for each front door."""
        door = self._unexplained.pop(name, None)
        if door is not None:
            mode = "buffered" if door.streaming else "response_stream"
            self.notice(f"mismatch at {name}: {mismatch_text(mode, door)}", level="warn")

    def _first_part(self, record: RequestRecord) -> str:
        is_error = record.broken_off or (record.error_type and record.status < 400)
        status = self._styled(str(record.status), fg="red" if is_error else _COLOURS.get(record.status // 100))
        door = record.door if self.names_doors else ""
        end = "broken off" if record.broken_off else ""
        return " ".join(filter(None, (door, _shown(record.method), _shown(record.target), status, end)))

    def notice(self, text: str, *, level: str = "info", reason: str = "") -> None:
        """Write a line about an unusual event or a slow operation. ``level`` is ``info``, ``warn`` or ``error``.

        Append ``reason`` to ``text``. But if lines are written as text, leave out a reason that the adapter's runtime
        has just written.
        """
        if reason and (self.log is not None or not self._is_shown(reason)):
            text = f"{text}: {reason}"
        if self.log is not None:
            {"info": self.log.info, "warn": self.log.warning, "error": self.log.error}[level](text)
        else:
            is_error = level == "error"
            # A traceback keeps its line breaks.
            lines = "\n    ".join(visible(line) for line in bounded(text).rstrip("\n").split("\n"))
            self._write(self._styled(f"adapter dev: {lines}", dim=not is_error, fg="red" if is_error else None))

    def report_error(self, text: str) -> None:
        """Write a line about an internal error."""
        self.notice(text, level="error")

    @property
    def show_cloudwatch_line(self) -> Callable[[str], None] | None:
        """The function that writes a line of an invocation's CloudWatch block, or None if no blocks are shown."""
        return self._log_cloudwatch_line if self.cloudwatch_block else None

    def _log_cloudwatch_line(self, text: str) -> None:
        if self.log is not None:
            self.log.info(text)
        else:
            self._write("\t".join(map(_shown, text.split("\t"))))

    def _styled(self, text: str, *, fg: str | None, dim: bool = False) -> str:
        return click.style(text, fg=fg, dim=dim or None) if self.color else text

    def _write(self, text: str) -> None:
        if self.status is not None:
            self.status.erase()
        STDERR.write(f"{text}\n".encode("utf-8", "backslashreplace"))


def _shown(text: str) -> str:
    """Return ``text``, shortened to FIELD_LIMIT characters, with visible escapes for control characters."""
    if len(text) <= FIELD_LIMIT and text.isprintable():
        return text
    return visible(bounded(text, FIELD_LIMIT))


def _loss_line(name: str, lost: int) -> bytes:
    return f"adapter dev: {name} could not be written to; lines lost: {lost}\n".encode()


def request_level(record: RequestRecord) -> str:
    """Return the log level of a request: ``error``, ``warn`` or ``info``.

    It is ``error`` if the function or the emulator failed. It is ``warn`` if the request was refused, if the client
    disconnected, or if the response has a problem. Otherwise, it is ``info``.
    """
    if record.status >= 500 or record.broken_off:
        return "error"
    if record.error_type and not record.refused:
        return "error"
    has_problem = record.refused or record.client_left or record.warning or record.app_status >= 300
    return "warn" if has_problem else "info"


def request_fields(record: RequestRecord, prices: PriceTable, region: str) -> dict[str, object]:
    """Return the fields of a request's JSON object. Empty fields are left out. Times are in milliseconds.

    A field that is also in the proxy's access log has the same name there.
    """
    billed = billed_bytes(record.streamed)
    fields: dict[str, object] = {
        "requestId": record.request_id,
        "door": record.door or "invoke-api",
        "method": record.method,
        "path": record.target,
        "status": record.status,
        "bytes": record.sent,
        "ms": _milliseconds(record.duration),
        "firstByteMs": _milliseconds(record.first_byte),
        "client": record.client,
        "traceId": trace_of(record.trace_id),
        "environment": record.environment or None,
        "coldStart": record.init is not None or None,
        "replayOf": record.replay_of or None,
        "initMs": _milliseconds(record.init),
        "restoreMs": _milliseconds(record.restore),
        "heldMs": _milliseconds(record.held or None),
        "billedBytes": billed or None,
        "cost": prices.cost(record.streamed, region) if billed else None,
        "appPath": record.app_path,
        "appStatus": record.app_status or None,
        "error": record.error_type,
        "reason": record.error_message,
        "brokenOff": record.broken_off or None,
        "clientLeft": record.client_left or None,
        "mismatch": record.mismatch or None,
        "decoded": record.decoded,
        "warning": record.warning,
        "answeredBy": record.answered_by,
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def details(record: RequestRecord, *, without_reason: bool = False) -> list[str]:
    """Return the parts that follow the status in a request's line: size, durations, errors and ids.

    If ``without_reason`` is True, the reason of a failure is left out.
    """
    durations = {
        "first byte": record.first_byte,
        "total": record.duration,
        "cold start, init": record.init,
        "restored,": record.restore,
        "held back by the bandwidth cap": record.held or None,
    }
    parts = [size_text(record.sent)]
    for name, seconds in durations.items():
        if seconds is not None:
            parts.append(f"{name} {duration_text(seconds)}")
    if record.app_status:
        parts.append(f"POST {record.app_path} {record.app_status}")
    if record.client_left:
        parts.append("client left")
    if record.answered_by:
        parts.append(f"answered by {record.answered_by}, not by the function")
    if record.mismatch:
        parts.append("mismatch")
    if record.decoded:
        parts.append(f"{record.decoded} decoded (field report)")
    if record.warning:
        parts.append(f"warning: {record.warning}")
    if record.error_type:
        reason = "" if without_reason else record.error_message
        parts.append(f"{record.error_type}: {reason}" if reason else record.error_type)
    if record.environment:
        parts.append(f"environment {record.environment}")
    if record.request_id:
        parts.append(record.request_id)
    return parts


def streaming_cost(streamed: int, prices: PriceTable, region: str) -> list[str]:
    """Return a list with one string: the billed bytes of a streamed response and the cost of these bytes.

    The list is empty if all bytes are free.
    """
    if streamed <= FREE_STREAM_BYTES:
        return []
    billed = size_text(billed_bytes(streamed))
    cost = prices.cost(streamed, region)
    if cost is None:
        return [f"{billed} beyond the free 6 MB; no price is known for {region}; --price-table adds prices"]
    return [f"{billed} beyond the free 6 MB: {cost_text(cost)} {prices.currency} ({region}, prices of {prices.dated})"]
