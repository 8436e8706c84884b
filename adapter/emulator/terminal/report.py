"""What ``adapter dev`` tells the user: one line per invocation, and a line when something is unusual.

The functions here only make texts and fields; ``Terminal`` writes them, as text or as one JSON object a line.
"""

from __future__ import annotations

import math
import sys
from typing import TYPE_CHECKING

import click

from adapter.aws.sizes import size_text
from adapter.emulator.terminal.banner import start_fields, start_lines
from adapter.emulator.terminal.prices import PriceTable, billed_bytes

if TYPE_CHECKING:
    from adapter.emulator.front_doors.settings import UrlSettings
    from adapter.emulator.requests.request_record import RequestRecord
    from adapter.logs import Log

_SEPARATOR = " | "
# Colours by the first digit of the status.
_COLOURS = {2: "green", 3: "cyan", 4: "yellow", 5: "red"}
_BAD_END = "red"


class Terminal:
    """Writes to stderr; every line as a JSON object where there is a ``log``, which is to write such.

    ``color`` None: where stderr is a terminal.
    """

    def __init__(self, prices: PriceTable, region: str, color: bool | None = None, log: Log | None = None) -> None:
        self._prices = prices
        self._region = region
        self._is_plain = not (sys.stderr.isatty() if color is None else color)
        self._log = log
        self._names_doors = False

    def visit(self, visit: RequestRecord) -> None:
        """The line of an invocation that is over."""
        if self._log is not None:
            is_bad = visit.status >= 500 or visit.broken_off or (visit.error_type and not visit.refused)
            write = self._log.error if is_bad else self._log.info
            write("invocation", **visit_fields(visit, self._prices, self._region))
            return
        parts = [self._request_line(visit), *details(visit)]
        parts += streaming_cost(visit.streamed, self._prices, self._region)
        self._write(_SEPARATOR.join(parts))

    def _request_line(self, visit: RequestRecord) -> str:
        is_bad_end = visit.broken_off or (visit.error_type and visit.status < 400)
        status = click.style(str(visit.status), fg=_BAD_END if is_bad_end else _COLOURS.get(visit.status // 100))
        door = visit.door if self._names_doors else ""
        end = "broken off" if visit.broken_off else ""
        return " ".join(filter(None, (door, visit.method, visit.target, status, end)))

    def notice(self, text: str) -> None:
        """Something unusual, or worth waiting for."""
        if self._log is not None:
            self._log.info(text)
        else:
            self._write(click.style(f"adapter dev: {text}", dim=True))

    def line(self, text: str) -> None:
        """A line of the block that CloudWatch would show."""
        if self._log is not None:
            self._log.info(text)
        else:
            self._write(text)

    def start(self, settings: UrlSettings) -> None:
        """What is served, and what to try; from here on lines name their front door where there are several."""
        self._names_doors = len(settings.doors) > 1
        if self._log is not None:
            self._log.info("serving", **start_fields(settings))
        else:
            self._write("\n".join(start_lines(settings)))

    def _write(self, text: str) -> None:
        # Not click.echo, which finds out anew for every line what stderr is.
        sys.stderr.write(f"{click.unstyle(text) if self._is_plain else text}\n")


def visit_fields(visit: RequestRecord, prices: PriceTable, region: str) -> dict[str, object]:
    """An invocation for machines, with the names of the access line; times in milliseconds, no field that is empty."""
    billed = billed_bytes(visit.streamed)
    fields: dict[str, object] = {
        "requestId": visit.request_id,
        "door": visit.door or "invoke-api",
        "method": visit.method,
        "path": visit.target,
        "status": visit.status,
        "bytes": visit.sent,
        "ms": _milliseconds(visit.duration),
        "firstByteMs": _milliseconds(visit.first_byte),
        "initMs": _milliseconds(visit.init),
        "restoreMs": _milliseconds(visit.restore),
        "heldMs": _milliseconds(visit.held or None),
        "billedBytes": billed or None,
        "cost": prices.cost(visit.streamed, region) if billed else None,
        "error": visit.error_type,
        "reason": visit.error_message,
        "brokenOff": visit.broken_off or None,
        "clientLeft": visit.client_left or None,
        "mismatch": visit.mismatch,
    }
    return {name: value for name, value in fields.items() if value not in (None, "")}


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)


def details(visit: RequestRecord) -> list[str]:
    """The parts of an invocation's line after its status."""
    parts = [size_text(visit.sent)]
    if visit.first_byte is not None:
        parts.append(f"first byte {duration_text(visit.first_byte)}")
    parts.append(f"total {duration_text(visit.duration)}")
    if visit.init is not None:
        parts.append(f"cold start, init {duration_text(visit.init)}")
    if visit.restore is not None:
        parts.append(f"restored, {duration_text(visit.restore)}")
    if visit.held:
        parts.append(f"held back by the cap {duration_text(visit.held)}")
    if visit.client_left:
        parts.append("client left")
    if visit.mismatch:
        parts.append(f"mismatch: {visit.mismatch}")
    if visit.error_type:
        parts.append(f"{visit.error_type}: {visit.error_message}" if visit.error_message else visit.error_type)
    return parts


def streaming_cost(streamed: int, prices: PriceTable, region: str) -> list[str]:
    """What a streamed response has beyond the free bytes, and what that costs; nothing where it has not."""
    billed = billed_bytes(streamed)
    if not billed:
        return []
    cost = prices.cost(streamed, region)
    if cost is None:
        return [f"{size_text(billed)} beyond the free 6 MB, no price known for {region} (--price-table)"]
    money = f"{cost_text(cost)} {prices.currency}"
    return [f"{size_text(billed)} beyond the free 6 MB: {money} ({region}, prices of {prices.dated})"]


def duration_text(seconds: float) -> str:
    """Milliseconds below a second, else seconds with two digits."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.2f} s"


def cost_text(cost: float) -> str:
    """An amount of money with two significant digits, never in powers of ten."""
    digits = max(2, 1 - math.floor(math.log10(cost))) if cost > 0 else 2
    return f"{cost:.{digits}f}"
