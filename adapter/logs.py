"""Log lines on stderr, as text or as JSON in the format of Lambda's own lines (timestamp, level, message, requestId).

A line of up to PIPE_BUF bytes is written in one call, so that lines of several processes never mix. A line begins on a
new line, even if the app's output before it does not end with a newline. The standard library's logging is not used,
since importing it takes as long as the interpreter's start.

Messages and values contain text of clients, of the app and of the runtime. Here, and nowhere else, such text gets its
bounds (``bounded``), and characters that a terminal would obey are made visible (``visible``).
"""

from __future__ import annotations

import os

# Importing `json` instead would make the start take a third longer.
from _json import encode_basestring_ascii
from _thread import allocate_lock
from select import PIPE_BUF, POLLOUT, poll
from time import gmtime, strftime, time

from adapter.errors import TEXT_LIMIT, bounded

_LEVELS = {"trace": 0, "debug": 1, "info": 2, "warn": 3, "error": 4, "fatal": 5}
_STDERR = 2
# How long a line may wait until stderr accepts it, in seconds. If nothing reads stderr, lines are lost, but requests
# are still served.
_WRITE_TIMEOUT = 0.1
# The longest value of a field, and the longest line, in characters. Escapes can make a line longer than its parts.
FIELD_LIMIT = 1024
LINE_LIMIT = 2 * TEXT_LIMIT

_stderr_poller = poll()
_stderr_poller.register(_STDERR, POLLOUT)
# Held while something is written to stderr: in the runtime a thread writes the app's output.
_stderr_lock = allocate_lock()
# The file that is stderr (device, inode), if the last byte in it does not end a line, else None. Guarded by the lock.
_file_within_line: tuple[int, int] | None = None
# True if we have ended a line that the app had begun, and the app has written nothing since. Guarded by the lock.
_has_ended_line_for_app = False


class Log:
    """Writes log lines of ``level`` and above. ``format`` is ``text`` or ``json``.

    ``has_access_log`` is True if successful requests and invocations are logged. If it is False, callers need not
    collect their fields.
    """

    __slots__ = ("_access_log", "_json", "_lost", "_threshold", "has_access_log")

    def __init__(self, *, format: str = "text", level: str = "info", access_log: bool = True) -> None:
        self._json = format == "json"
        if self._json:
            # Imported now, while the app starts. Otherwise this slow import would delay the first invocation.
            import json  # noqa: F401
        self._threshold = _LEVELS[level]
        self._lost = 0
        self._access_log = access_log
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

    def log_invocation(self, fields: dict[str, object], level: str = "info") -> None:
        """Log an invocation: as an ``error`` always, as a ``warn`` or ``info`` only if the access log is on.

        Use ``error`` if the app, the adapter or the function failed, ``warn`` if the client did something wrong.
        """
        if level == "error" or self._access_log:
            self._write(level, "invocation", fields)

    def log_request(self, fields: dict[str, object], level: str = "info") -> None:
        """Log a request to the proxy. ``level`` has the same meaning as in ``log_invocation``."""
        if level == "error" or self._access_log:
            self._write(level, "request", fields)

    def _write(self, level: str, message: str, fields: dict[str, object]) -> None:
        if _LEVELS[level] < self._threshold:
            return
        if self._lost and stderr_is_free():
            lost, self._lost = self._lost, 0
            self.warning(f"lines lost because stderr was not read: {lost}")
        line = self._as_json(level, message, fields) if self._json else self._as_text(level, message, fields)
        self._send(line.encode("utf-8", "backslashreplace"))

    def _send(self, line: bytes) -> None:
        # Only the first lost line waits. The next lines are lost at once, until stderr is read again.
        timeout = 0.0 if self._lost else _WRITE_TIMEOUT
        if not _stderr_lock.acquire(timeout=timeout):
            self._lost += 1
            return
        try:
            line = line_break().encode() + line
            for start in range(0, len(line), PIPE_BUF):
                if not stderr_is_free(timeout):
                    self._lost += 1
                    return
                _write_locked(line[start : start + PIPE_BUF])
        finally:
            _stderr_lock.release()

    @staticmethod
    def _as_text(level: str, message: str, fields: dict[str, object]) -> str:
        pairs = "".join([f" {name}={_quoted(value)}" for name, value in fields.items()])
        first, *more = bounded(message).rstrip("\n").split("\n")
        line = f"adapter {level.upper()} {visible(first)}{pairs}"
        # Further lines, for example of a traceback, are indented, so that they do not look like new log lines.
        text = line if not more else "\n    ".join([line] + [visible(each) for each in more])
        return bounded(text, LINE_LIMIT) + "\n"

    @staticmethod
    def _as_json(level: str, message: str, fields: dict[str, object]) -> str:
        import json  # loaded in __init__

        about: dict[str, object] = {"timestamp": utc_timestamp(time()), "level": level.upper()}
        line = json.dumps(about | _bounded_values(message, fields, 1))
        if len(line) > LINE_LIMIT:
            # One character can have an escape of 12 characters.
            line = json.dumps(about | _bounded_values(message, fields, 12))
        return line + "\n"


def visible(text: str) -> str:
    """Return ``text`` with an escape (for example ``\\x1b``) for every character that is not printable.

    This includes newlines, and characters that change the direction of the text.
    """
    if text.isprintable():
        return text
    return "".join([each if each.isprintable() else each.encode("unicode_escape").decode() for each in text])


def write_error(text: str, *, format: str = "text") -> None:
    """Write the error that ends a command to stderr: as ``adapter: TEXT``, or as a JSON object."""
    if format == "json":
        Log(format=format).error(text)
    else:
        write_stderr(f"adapter: {visible(bounded(text))}\n".encode("utf-8", "backslashreplace"))


def utc_timestamp(now: float) -> str:
    """Return ``now`` (seconds since the epoch) in the format of Lambda's logs: ISO 8601 in UTC, with milliseconds."""
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(now))}.{int(now % 1 * 1000):03d}Z"


def stderr_is_free(seconds: float = 0.0) -> bool:
    """Wait up to ``seconds`` for stderr. Return whether it accepts PIPE_BUF bytes without blocking."""
    # The result is also True if stderr is closed: writing to it does not block.
    return bool(_stderr_poller.poll(seconds * 1000))


def write_stderr(data: bytes) -> None:
    """Write ``data`` of the app to stderr. If that fails, it is lost.

    It is written unchanged, except for a newline at its start that ends a line which we have already ended.
    """
    with _stderr_lock:
        _write_locked(without_written_newline(_STDERR, data))


def without_written_newline(descriptor: int, data: bytes) -> bytes:
    """Return the part of ``data`` that must be written: without a newline that ends a line which we have ended."""
    global _has_ended_line_for_app
    if not _has_ended_line_for_app or not data or not _is_stderr(descriptor):
        return data
    _has_ended_line_for_app = False
    return data[1:] if data.startswith(b"\n") else data


def note_output(descriptor: int, data: bytes) -> None:
    """Record that ``data`` was written to ``descriptor``, so that our next line on stderr begins on a new line."""
    global _file_within_line
    if data and _is_stderr(descriptor):
        _file_within_line = None if data.endswith(b"\n") else _file(_STDERR)


def line_break() -> str:
    """Return what must be written to stderr before a line: a newline if the last output does not end with one."""
    global _file_within_line, _has_ended_line_for_app
    # Stderr can have become another file meanwhile.
    is_within_line = _file_within_line is not None and _file_within_line == _file(_STDERR)
    _file_within_line = None
    if is_within_line:
        _has_ended_line_for_app = True
    return "\n" if is_within_line else ""


def _is_stderr(descriptor: int) -> bool:
    return descriptor == _STDERR or _file(descriptor) == _file(_STDERR)


def _file(descriptor: int) -> tuple[int, int] | None:
    try:
        status = os.fstat(descriptor)
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _write_locked(data: bytes) -> None:
    global _file_within_line
    if not data:
        return
    _file_within_line = None if data.endswith(b"\n") else _file(_STDERR)
    try:
        os.write(_STDERR, data)
    except OSError:
        # This cannot be reported anywhere, and a request must not fail because of its log line.
        return


def _bounded_values(message: str, fields: dict[str, object], share: int) -> dict[str, object]:
    """Return the message and the fields of a JSON line. Each text has at most its limit divided by ``share``."""
    values: dict[str, object] = {"message": bounded(message, TEXT_LIMIT // share)}
    for name, value in fields.items():
        values[name] = bounded(value, FIELD_LIMIT // share) if isinstance(value, str) else value
    return values


def _quoted(value: object) -> str:
    text = bounded(str(value), FIELD_LIMIT)
    return encode_basestring_ascii(text) if not text or " " in text or '"' in text or "=" in text else visible(text)
