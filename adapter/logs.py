"""Log lines on stderr, as text or as JSON in the shape of Lambda's own (timestamp, level, message, requestId).

Each line is one write up to PIPE_BUF bytes, so that lines of several processes never mix. The standard library's
logging is not used: its import alone takes as long as the interpreter's start.
"""

from __future__ import annotations

import os

# What `json` has it from, whose import would take a third as long as all the rest of a start.
from _json import encode_basestring_ascii
from select import PIPE_BUF, POLLOUT, poll
from time import gmtime, strftime, time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adapter.payload.messages import Invocation

_LEVELS = {"trace": 0, "debug": 1, "info": 2, "warn": 3, "error": 4, "fatal": 5}
_STDERR = 2
# How long a line may wait until stderr takes it, in seconds. Nobody may read it, and a request is worth more than its
# line.
_PATIENCE = 0.1

_stderr_poller = poll()
_stderr_poller.register(_STDERR, POLLOUT)


class Log:
    """Writes lines of at least ``level``. ``format`` is ``text`` or ``json``."""

    __slots__ = ("_access", "_broken_off", "_json", "_lost", "_threshold")

    def __init__(self, *, format: str = "text", level: str = "info", access: bool = True) -> None:
        self._json = format == "json"
        if self._json:
            # Now, while the app starts: it takes as long as all the rest of this process, and the first line is that of
            # an invocation.
            import json  # noqa: F401
        self._threshold = _LEVELS[level]
        self._lost = 0
        # A part of a line is out, and not its end.
        self._broken_off = False
        self._access = access and self._threshold <= _LEVELS["info"]

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
        if self._lost and stderr_is_free():
            lost, self._lost = self._lost, 0
            self.warning(f"lines that were lost since nobody took them from stderr: {lost}")
        line = self._as_json(level, message, fields) if self._json else self._as_text(level, message, fields)
        self._send(line.encode("utf-8", "backslashreplace"))

    def _send(self, line: bytes) -> None:
        if self._broken_off:
            line = b"\n" + line
        for start in range(0, len(line), PIPE_BUF):
            # One is waited for; those after it are lost at once, until somebody reads again.
            if not stderr_is_free(0.0 if self._lost else _PATIENCE):
                self._lost += 1
                return
            write_stderr(line[start : start + PIPE_BUF])
            self._broken_off = start + PIPE_BUF < len(line)

    @staticmethod
    def _as_text(level: str, message: str, fields: dict[str, object]) -> str:
        pairs = "".join(f" {name}={_quoted(value)}" for name, value in fields.items())
        first, *more = message.replace("\r", "\\r").rstrip("\n").split("\n")
        line = f"adapter {level.upper()} {first}{pairs}".replace("\r", "\\r").replace("\n", "\\n")
        # What a message quotes, a traceback for example, stays readable and cannot pass for a record of ours.
        return "\n    ".join((line, *more)) + "\n"

    @staticmethod
    def _as_json(level: str, message: str, fields: dict[str, object]) -> str:
        import json  # loaded with the first log of this format

        record = {"timestamp": utc_timestamp(time()), "level": level.upper(), "message": message, **fields}
        return json.dumps(record) + "\n"


def utc_timestamp(now: float) -> str:
    """Return ``now``, in seconds since the epoch, as Lambda's logs have it: ISO 8601 in UTC, with milliseconds."""
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(now))}.{int(now % 1 * 1000):03d}Z"


def stderr_is_free(seconds: float = 0.0) -> bool:
    """Whether stderr takes PIPE_BUF bytes without making the writer wait, or does so within ``seconds``."""
    # A stderr that is gone counts: writing to it does not wait.
    return bool(_stderr_poller.poll(seconds * 1000))


def write_stderr(line: bytes) -> None:
    """Write ``line`` as it is; a stderr that is gone or full loses it and nothing else."""
    try:
        os.write(_STDERR, line)
    except OSError:
        # There is nowhere left to say so, and a request must not fail for its log line.
        return


def _quoted(value: object) -> str:
    text = str(value)
    return encode_basestring_ascii(text) if not text or " " in text or '"' in text or "=" in text else text
