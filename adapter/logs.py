"""Log lines on stderr, as text or as JSON in the format of Lambda's own lines (timestamp, level, message, requestId).

A line of up to PIPE_BUF bytes is written in one call, so that lines of several processes never mix. A line that cannot
be written is lost; no request fails because of it (``output.py``). The standard library's logging is not used, since
importing it takes as long as the interpreter's start.

Messages and values contain text from clients, from the app and from the runtime. So this module limits the length of
every text (``bounded``), and escapes characters that would control a terminal (``visible``).
"""

from __future__ import annotations

# Importing `json` instead would lengthen the start by a third.
from _json import encode_basestring_ascii
from time import gmtime, strftime, time

from adapter.errors import TEXT_LIMIT, bounded
from adapter.output import STDERR

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Final

_LEVELS: Final = {"trace": 0, "debug": 1, "info": 2, "warn": 3, "error": 4, "fatal": 5}
# The maximum length of a field's value, and of a line, in characters. Escapes can make a value longer than that.
FIELD_LIMIT: Final = 1024
LINE_LIMIT: Final = 2 * TEXT_LIMIT
_TRACE_CHARACTERS: Final = b"0123456789abcdefABCDEF-"


class Log:
    """Writes log lines of ``level`` and above. ``format`` is ``text`` or ``json``.

    ``has_access_log`` is True if successful requests and invocations are logged. If it is False, callers need not
    collect the fields of these lines.
    """

    __slots__ = ("_access_log", "_json", "_once", "_threshold", "has_access_log")

    def __init__(self, *, format: str = "text", level: str = "info", access_log: bool = True) -> None:
        self._json = format == "json"
        if self._json:
            # Imported now, while the app starts. Otherwise this slow import would delay the first invocation.
            import json  # noqa: F401
        self._threshold = _LEVELS[level]
        STDERR.loss_line = self._loss_line
        self._once: set[str] = set()
        self._access_log = access_log
        self.has_access_log = access_log and self._threshold <= _LEVELS["info"]

    def info(self, message: str, **fields: object) -> None:
        """Log a normal event."""
        self._write("info", message, fields)

    def warning(self, message: str, **fields: object) -> None:
        """Log a problem that does not make an invocation or the process fail."""
        self._write("warn", message, fields)

    def warning_once(self, message: str) -> None:
        """Log a warning, but only the first time that this method is called with ``message``."""
        if message not in self._once:
            self._once.add(message)
            self.warning(message)

    def error(self, message: str, **fields: object) -> None:
        """Log a failure of an invocation or of the process."""
        self._write("error", message, fields)

    def log_invocation(self, fields: dict[str, object], level: str = "info") -> None:
        """Log an invocation. If the access log is off, only invocations with the level ``error`` are logged.

        The caller passes the level ``error`` if the app, the adapter or the Lambda function failed, and ``warn`` if the
        client made a mistake.
        """
        if level == "error" or self._access_log:
            self._write(level, "invocation", fields)

    def log_request(
        self,
        fields: dict[str, object],
        level: str = "info",
        call_soon: Callable[[Callable[[], None]], object] | None = None,
    ) -> None:
        """Log a request to the proxy. ``level`` has the same meaning as in ``log_invocation``.

        ``call_soon`` is the event loop's method with this name. If it is given, the line is not written now, but a
        moment later, together with the lines of other requests.
        """
        if (level == "error" or self._access_log) and _LEVELS[level] >= self._threshold:
            line = self._line(level, "request", fields)
            if call_soon is None:
                STDERR.write(line)
            elif STDERR.write_later(line):
                call_soon(STDERR.flush)

    def _write(self, level: str, message: str, fields: dict[str, object]) -> None:
        if _LEVELS[level] >= self._threshold:
            STDERR.write(self._line(level, message, fields))

    def _line(self, level: str, message: str, fields: dict[str, object]) -> bytes:
        line = self._as_json(level, message, fields) if self._json else self._as_text(level, message, fields)
        return line.encode("utf-8", "backslashreplace")

    def _loss_line(self, name: str, lost: int) -> bytes:
        return self._line("warn", f"{name} could not be written to; lines lost: {lost}", {})

    @staticmethod
    def _as_text(level: str, message: str, fields: dict[str, object]) -> str:
        lines = bounded(message).rstrip("\n").split("\n")
        # A float needs neither quotes nor escapes.
        pairs = [
            f" {name}={str(value) if isinstance(value, float) else _quoted(str(value))}"
            for name, value in fields.items()
        ]
        line = f"adapter {level.upper()} {visible(lines[0])}{''.join(pairs)}"
        if len(lines) > 1:
            # The lines of a traceback, for example. They are indented, so that they do not look like new log lines.
            line = "\n    ".join([line] + [visible(each) for each in lines[1:]])
        return (line if len(line) <= LINE_LIMIT else bounded(line, LINE_LIMIT)) + "\n"

    @staticmethod
    def _as_json(level: str, message: str, fields: dict[str, object]) -> str:
        import json  # loaded in __init__

        about: dict[str, object] = {"timestamp": utc_timestamp(time()), "level": level.upper()}
        line = json.dumps(about | _bounded_values(message, fields, 1))
        if len(line) > LINE_LIMIT:
            # In JSON, the escape of one character can have 12 characters.
            line = json.dumps(about | _bounded_values(message, fields, 12))
        return line + "\n"


def visible(text: str) -> str:
    """Return ``text`` with every unprintable character replaced by an escape, for example ``\\x1b``.

    Newlines are replaced too, and so are characters that change the direction of the text.
    """
    if text.isprintable():
        return text
    return "".join([each if each.isprintable() else each.encode("unicode_escape").decode() for each in text])


def write_error(text: str, *, format: str = "text") -> None:
    """Write ``text``, the error that ended a command, to stderr.

    The format ``text`` writes the line ``adapter: TEXT``; the format ``json`` writes a JSON object.
    """
    if format == "json":
        Log(format=format).error(text)
    else:
        STDERR.write(f"adapter: {visible(bounded(text))}\n".encode("utf-8", "backslashreplace"))


def tenths_of_ms(seconds: float) -> float:
    """Return ``seconds`` in milliseconds with one decimal. ``round`` would take ten times as long."""
    return int(seconds * 10_000 + 0.5) / 10


def trace_of(value: str) -> str:
    """Return the trace id in ``value``, or an empty string if there is none.

    ``value`` is the value of a header, X-Amzn-Trace-Id or traceparent (W3C). A trace id has only hexadecimal digits and
    hyphens, so no other text of a client gets into the log.
    """
    root = value.partition("Root=")[2].partition(";")[0]
    trace = value[3:].partition("-")[0] if value.startswith("00-") else root
    is_legal = len(trace) <= 64 and not trace.encode(errors="replace").translate(None, _TRACE_CHARACTERS)
    return trace if is_legal else ""


def utc_timestamp(now: float) -> str:
    """Return ``now`` (seconds since the epoch) in the format of Lambda's logs: ISO 8601 in UTC, with milliseconds."""
    return f"{strftime('%Y-%m-%dT%H:%M:%S', gmtime(now))}.{int(now % 1 * 1000):03d}Z"


def _bounded_values(message: str, fields: dict[str, object], share: int) -> dict[str, object]:
    """Return the message and the fields for a JSON line. Cut each string to its limit divided by ``share``."""
    values: dict[str, object] = {"message": bounded(message, TEXT_LIMIT // share)}
    for name, value in fields.items():
        values[name] = bounded(value, FIELD_LIMIT // share) if isinstance(value, str) else value
    return values


def _quoted(text: str) -> str:
    if len(text) > FIELD_LIMIT:
        text = bounded(text, FIELD_LIMIT)
    if text.isalnum():
        # Most values are numbers, methods and ids. Letters and digits need no quotes and no escapes.
        return text
    return encode_basestring_ascii(text) if not text or " " in text or '"' in text or "=" in text else visible(text)
