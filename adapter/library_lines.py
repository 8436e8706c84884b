"""Turns text that libraries and the interpreter write to stderr into lines of our own log.

The text consists of warnings, messages of the standard library's logging, unhandled exceptions, and errors that asyncio
reports. The app's output does not pass through this module: it is copied as bytes to the descriptor of stderr.
"""

from __future__ import annotations

import sys
from io import TextIOBase

TYPE_CHECKING = False
if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable
    from types import TracebackType
    from typing import Any

    from adapter.logs import Log

# Text without a newline is logged as soon as it is longer than this, in characters.
_PART_LIMIT = 8192


def report_errors(report: Callable[[str], object]) -> None:
    """From now on, call ``report`` for each exception that ends the process or a thread.

    Also call ``report`` for each exception that the interpreter ignores, for example in ``__del__``.
    """

    def on_exception(
        kind: type[BaseException], error: BaseException | None, trace: TracebackType | None, where: str = ""
    ) -> None:
        from traceback import format_exception  # only an error needs it

        text = "".join(format_exception(kind, error, trace))
        report(f"an internal error of the adapter{where}: {text}")

    sys.excepthook = on_exception
    sys.unraisablehook = lambda ignored: on_exception(
        ignored.exc_type, ignored.exc_value, ignored.exc_traceback, f" (ignored in {ignored.object!r})"
    )
    if "threading" in sys.modules:
        import threading

        threading.excepthook = lambda ended: on_exception(ended.exc_type, ended.exc_value, ended.exc_traceback)


def report_loop_errors(loop: asyncio.AbstractEventLoop, report: Callable[[str], object]) -> None:
    """Make the event ``loop`` pass its error reports to ``report``, each with the exception's traceback."""

    def on_report(_: object, context: dict[str, Any]) -> None:
        from traceback import format_exception  # only an error needs it

        error = context.get("exception")
        trace = "" if error is None else f": {''.join(format_exception(error))}"
        report(f"an internal error of the adapter: {context.get('message', '')}{trace}")

    loop.set_exception_handler(on_report)


def log_stderr_as_json(log: Log) -> None:
    """Replace ``sys.stderr`` by a file that passes each line to ``log``, which must write JSON."""
    import faulthandler

    sys.stderr = _LoggedText(log)
    # faulthandler would write plain text to the descriptor. PYTHONFAULTHANDLER is meant for the app, not for us.
    faulthandler.disable()


class _LoggedText(TextIOBase):
    """A text file that writes to ``log``. It collects text up to a newline, and then logs the text as one line."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, log: Log) -> None:
        self._log = log
        self._begun = ""

    def write(self, text: str) -> int:
        """Collect ``text``. Log the collected text once it ends with a newline or is too long. Return ``len(text)``."""
        self._begun += text
        if self._begun.endswith("\n") or len(self._begun) > _PART_LIMIT:
            complete, self._begun = self._begun.rstrip("\n"), ""
            if complete:
                self._log.warning(complete)
        return len(text)

    def writable(self) -> bool:
        """Return True."""
        return True

    def fileno(self) -> int:
        """Return the descriptor of stderr."""
        return 2
