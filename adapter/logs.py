"""Log lines on stderr, as text or as JSON in the shape of Lambda's own (timestamp, level, message, requestId).

Each line is one write, so that lines of several processes never mix. The standard library's logging is not used: its
import alone takes as long as the interpreter's start.
"""

from __future__ import annotations

import json
import os
from time import gmtime, strftime, time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adapter.payload.messages import Invocation

_LEVELS = {"trace": 0, "debug": 1, "info": 2, "warn": 3, "error": 4, "fatal": 5}
_STDERR = 2


class Log:
    """Writes lines of at least ``level``. ``format`` is ``text`` or ``json``."""

    __slots__ = ("_access", "_json", "_threshold")

    def __init__(self, *, format: str = "text", level: str = "info", access: bool = True) -> None:
        self._json = format == "json"
        self._threshold = _LEVELS[level]
        self._access = access and self._threshold <= _LEVELS["info"]

    def debug(self, message: str, **fields: object) -> None:
        """For whoever looks for a fault."""
        self._write("debug", message, fields)

    def info(self, message: str, **fields: object) -> None:
        """What happens in the course of things."""
        self._write("info", message, fields)

    def warning(self, message: str, **fields: object) -> None:
        """Something to mend that stops nothing."""
        self._write("warn", message, fields)

    def error(self, message: str, **fields: object) -> None:
        """Something failed: an invocation, or the process."""
        self._write("error", message, fields)

    def access(self, invocation: Invocation, **fields: object) -> None:
        """The one line of an invocation."""
        if self._access:
            self._write("info", "invocation", {"requestId": invocation.request_id, **fields})

    def visit(self, fields: dict[str, object]) -> None:
        """The one line of a request to the proxy."""
        if self._access:
            self._write("info", "request", fields)

    def _write(self, level: str, message: str, fields: dict[str, object]) -> None:
        if _LEVELS[level] < self._threshold:
            return
        line = self._as_json(level, message, fields) if self._json else self._as_text(level, message, fields)
        write_stderr(line.encode("utf-8", "backslashreplace"))

    @staticmethod
    def _as_text(level: str, message: str, fields: dict[str, object]) -> str:
        pairs = "".join(f" {name}={_quoted(value)}" for name, value in fields.items())
        # One line per record, whatever a message quotes.
        return f"adapter {level.upper()} {message}{pairs}".replace("\r", "\\r").replace("\n", "\\n") + "\n"

    @staticmethod
    def _as_json(level: str, message: str, fields: dict[str, object]) -> str:
        now = time()
        timestamp = f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(now))}.{int(now % 1 * 1000):03d}Z"
        return json.dumps({"timestamp": timestamp, "level": level.upper(), "message": message, **fields}) + "\n"


def write_stderr(line: bytes) -> None:
    """Write ``line`` as it is; a stderr that is gone or full loses it and nothing else."""
    try:
        os.write(_STDERR, line)
    except OSError:
        # There is nowhere left to say so, and a request must not fail for its log line.
        return


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text) if not text or " " in text or '"' in text or "=" in text else text
