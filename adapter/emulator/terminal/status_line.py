"""A line at the bottom of the terminal, updated in place, about the request that has been running the longest.

The line is shown only if stderr is a terminal, and is erased before anything else is written. A request is slow if it
has been running for SHOWN_AFTER seconds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from adapter.logs import visible
from adapter.quantities import duration_text, size_text

if TYPE_CHECKING:
    from adapter.emulator.records.record import RequestRecord
    from adapter.emulator.records.ring import RecordRing

# The time after which a request is shown, in seconds.
SHOWN_AFTER = 1.0
_ERASE = "\r\x1b[2K"


class StatusLine:
    """Shows the request of ``ring`` that has been running the longest, and the number of other slow requests.

    ``write`` writes to the terminal. ``width`` returns the number of columns of the terminal.
    """

    def __init__(self, ring: RecordRing, write: Callable[[str], None], width: Callable[[], int]) -> None:
        self._ring = ring
        self._write = write
        self._width = width
        self._is_shown = False
        # The number and the bytes of the shown record at the previous update, and the time of that update.
        self._last = (0, 0, 0.0)

    def update(self) -> None:
        """Write the line with the current values. If no request is slow, only erase the line."""
        text = self.text()
        self.erase()
        if text:
            self._write(text[: max(1, self._width() - 1)])
            self._is_shown = True

    def erase(self) -> None:
        """Erase the line. Call this before anything else is written."""
        if self._is_shown:
            self._is_shown = False
            self._write(_ERASE)

    def text(self) -> str:
        """Return the line, or an empty string if no request is slow."""
        slow = [record for record in self._ring.running if record.now() >= SHOWN_AFTER]
        if not slow:
            return ""
        record = slow[0]
        request = visible(f"… {record.method} {record.target[:80]}")
        parts = [request, duration_text(record.now()), self._progress(record)]
        if record.held_since is not None:
            parts.append(f"held back for {duration_text(record.held_so_far)} so far")
        if record.environment:
            parts.append(f"environment {record.environment}")
        parts.append(record.request_id[:8])
        if len(slow) > 1:
            parts.append(f"and {len(slow) - 1} more")
        return " | ".join(filter(None, parts))

    def _progress(self, record: RequestRecord) -> str:
        """Return the number of sent bytes, and the rate since the previous update.

        If nothing has been sent yet, return what the request is waiting for.
        """
        now, sent = record.now(), record.curve.sent
        number, before, at = self._last
        self._last = (record.number, sent, now)
        if not sent:
            return "waits for an environment" if not record.environment else "waits for the app"
        is_same = number == record.number and now > at
        rate = (sent - before) / (now - at) if is_same else sent / now
        return f"{size_text(sent)}, {size_text(round(rate))}/s"
