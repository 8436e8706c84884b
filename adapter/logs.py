"""Log lines on stderr, as text or as JSON in the format of Lambda's own lines (timestamp, level, message, requestId).

A line of up to PIPE_BUF bytes is written in one call, so that lines of several processes never mix. What cannot be
written is lost, and requests are still served (``output.py``). The standard library's logging is not used, since
importing it takes as long as the interpreter's start.
"""

from __future__ import annotations

import os

# Importing `json` instead would make the start take a third longer.
from _json import encode_basestring_ascii
from time import gmtime, strftime, time

from adapter.output import STDERR

_LEVELS = {"trace": 0, "debug": 1, "info": 2, "warn": 3, "error": 4, "fatal": 5}
_STDERR = 2


class Log:
    """Writes log lines of ``level`` and above. ``format`` is ``text`` or ``json``.

    ``has_access_log`` is True if requests and invocations are logged. If it is False, callers need not collect fields.
    """

    __slots__ = ("_json", "_threshold", "has_access_log")

    def __init__(self, *, format: str = "text", level: str = "info", access_log: bool = True) -> None:
        self._json = format == "json"
        if self._json:
            # Imported now, while the app starts. Otherwise this slow import would delay the first invocation.
            import json  # noqa: F401
        self._threshold = _LEVELS[level]
        STDERR.loss_line = self._loss_line
        self.has_access_log = access_log and self._threshold <= _LEVELS["info"]

    def info(self, message: str, **fields: object) -> None:
        """Log a normal event."""
        self._write("info", message, fields)

    def warning(self, message: str, **fields: object) -> None:
        """Log a problem that does not make an invocation or the process fail."""
        self._write("warn", message, fields)

    def error(self, message: str, **fields: object) -> None:
        """Log a failure of an invocation or of the process."""
        self._write("error", message, fields)

    def log_invocation(self, fields: dict[str, object]) -> None:
        """Log an invocation, if the access log is on."""
        if self.has_access_log:
            self._write("info", "invocation", fields)

    def log_request(self, fields: dict[str, object]) -> None:
        """Log a request to the proxy, if the access log is on."""
        if self.has_access_log:
            self._write("info", "request", fields)

    def _write(self, level: str, message: str, fields: dict[str, object]) -> None:
        if _LEVELS[level] < self._threshold:
            return
        STDERR.write(self._line(level, message, fields))

    def _line(self, level: str, message: str, fields: dict[str, object]) -> bytes:
        line = self._as_json(level, message, fields) if self._json else self._as_text(level, message, fields)
        return line.encode("utf-8", "backslashreplace")

    def _loss_line(self, name: str, lost: int) -> bytes:
        return self._line("warn", f"lines lost because {name} could not be written: {lost}", {})

    @staticmethod
    def _as_text(level: str, message: str, fields: dict[str, object]) -> str:
        pairs = "".join(f" {name}={_quoted(value)}" for name, value in fields.items())
        first, *more = message.replace("\r", "\\r").rstrip("\n").split("\n")
        line = f"adapter {level.upper()} {first}{pairs}".replace("\r", "\\r").replace("\n", "\\n")
        # Further lines, for example of a traceback, are indented, so that they do not look like new log lines.
        return "\n    ".join((line, *more)) + "\n"

    @staticmethod
    def _as_json(level: str, message: str, fields: dict[str, object]) -> str:
        import json  # loaded in __init__

        record = {"timestamp": utc_timestamp(time()), "level": level.upper(), "message": message, **fields}
        return json.dumps(record) + "\n"


def utc_timestamp(now: float) -> str:
    """Return ``now`` (seconds since the epoch) in the format of Lambda's logs: ISO 8601 in UTC, with milliseconds."""
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(now))}.{int(now % 1 * 1000):03d}Z"


def stderr_is_free(seconds: float = 0.0) -> bool:
    """Wait up to ``seconds`` for stderr. Return whether it accepts PIPE_BUF bytes without blocking."""
    return STDERR.is_free(seconds)


def write_stderr(line: bytes) -> None:
    """Write ``line`` unchanged to stderr. If that fails, the line is lost."""
    try:
        os.write(_STDERR, line)
    except OSError:
        # This cannot be reported anywhere, and a request must not fail because of its log line.
        return


def _quoted(value: object) -> str:
    text = str(value)
    return encode_basestring_ascii(text) if not text or " " in text or '"' in text or "=" in text else text
