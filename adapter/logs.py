"""Log lines on stderr, as text or as JSON in the format of Lambda's own lines (timestamp, level, message, requestId).

A line of up to PIPE_BUF bytes is written in one call, so that lines of several processes never mix. The standard
library's logging is not used, since importing it takes as long as the interpreter's start.
"""

from __future__ import annotations

import os

# Importing `json` instead would make the start take a third longer.
from _json import encode_basestring_ascii
from select import PIPE_BUF, POLLOUT, poll
from time import gmtime, strftime, time

_LEVELS = {"trace": 0, "debug": 1, "info": 2, "warn": 3, "error": 4, "fatal": 5}
_STDERR = 2
# How long a line may wait until stderr accepts it, in seconds. If nothing reads stderr, lines are lost, but requests
# are still served.
_WRITE_TIMEOUT = 0.1

_stderr_poller = poll()
_stderr_poller.register(_STDERR, POLLOUT)


class Log:
    """Writes log lines of ``level`` and above. ``format`` is ``text`` or ``json``.

    ``has_access_log`` is True if requests and invocations are logged. If it is False, callers need not collect fields.
    """

    __slots__ = ("_is_within_line", "_json", "_lost", "_once", "_threshold", "has_access_log")

    def __init__(self, *, format: str = "text", level: str = "info", access_log: bool = True) -> None:
        self._json = format == "json"
        if self._json:
            # Imported now, while the app starts. Otherwise this slow import would delay the first invocation.
            import json  # noqa: F401
        self._threshold = _LEVELS[level]
        self._lost = 0
        self._once: set[str] = set()
        # True if only a part of the last line was written.
        self._is_within_line = False
        self.has_access_log = access_log and self._threshold <= _LEVELS["info"]

    def info(self, message: str, **fields: object) -> None:
        """Log a normal event."""
        self._write("info", message, fields)

    def warning(self, message: str, **fields: object) -> None:
        """Log a problem that does not make an invocation or the process fail."""
        self._write("warn", message, fields)

    def warning_once(self, message: str) -> None:
        """Log a warning, unless this process has logged the same one."""
        if message not in self._once:
            self._once.add(message)
            self.warning(message)

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
        if self._lost and stderr_is_free():
            lost, self._lost = self._lost, 0
            self.warning(f"lines lost because stderr was not read: {lost}")
        line = self._as_json(level, message, fields) if self._json else self._as_text(level, message, fields)
        self._send(line.encode("utf-8", "backslashreplace"))

    def _send(self, line: bytes) -> None:
        if self._is_within_line:
            line = b"\n" + line
        for start in range(0, len(line), PIPE_BUF):
            # Only the first lost line waits. The next lines are lost at once, until stderr is read again.
            if not stderr_is_free(0.0 if self._lost else _WRITE_TIMEOUT):
                self._lost += 1
                return
            write_stderr(line[start : start + PIPE_BUF])
            self._is_within_line = start + PIPE_BUF < len(line)

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
    # The result is also True if stderr is closed: writing to it does not block.
    return bool(_stderr_poller.poll(seconds * 1000))


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
