"""Describes how the app has ended: the exit code, the line of the app's output that states the cause, and a hint.

Only a failure needs this module, so it is imported late.
"""

from __future__ import annotations

import re
import signal

from adapter.app.command import CONVERT_LINES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

# The message of Node for a file that was written for AWS's Node runtime.
_NEEDS_NODE_RUNTIME = "awslambda is not defined"
# What Rails writes if another environment has started it in the same folder.
_HAS_PID_FILE = "A server is already running. Check "
# The exit codes of a shell or env(1) that does not find a program, or cannot read its script.
_SHELL_FAILURES = (2, 126, 127)
# Exit codes above this are 128 + n for signal n.
_SIGNALLED = 128
_TRACEBACK = "Traceback (most recent call last):"
# The line of an exception: Python's and Node's "NameError: …", with a module or "Uncaught" before it; Java's
# "Exception in thread …"; Go's and Rust's panic; Ruby's "… (LoadError)"; PHP's "Fatal error: …".
_EXCEPTION = re.compile(
    r"(Uncaught )?([A-Za-z_]\w*\.)*\w*(Error|Exception|Interrupt|Exit)( \[\w+\])?(:|$)"
    r"|(Exception in thread|Caused by:|panic:|thread '.*' panicked)"
    r"|.*\(\w+(Error|Exception)\)$"
    r"|(PHP )?Fatal error:"
)
# The message about a module that was not found, by Python and Flask, Uvicorn, Hypercorn, Node.
_MISSING = re.compile(
    r"No module named '?(?P<python>[\w.]+)"
    r"|Could not import (?:module )?['\"](?P<named>[\w.]+)"
    r"|Cannot load application from '(?P<loaded>[\w.]+).*module not found"
    r"|Cannot find (?:module|package) '(?P<node>[^']+)'"
)
# Gunicorn's message about a name that the app's module does not contain.
_NO_ATTRIBUTE = re.compile(r"Failed to find attribute ")
# A line that reports an error in another form, for example that of a logger or of a command line.
_REPORT = re.compile(r"\b(error|fatal|critical|panic)\b", re.IGNORECASE)


def exit_text(code: int) -> str:
    """Return ``exit code 1``, for example, or ``exit code 139 (SIGSEGV)`` if the code stands for a signal."""
    number = code - _SIGNALLED
    name = signal.Signals(number).name if number in set(signal.Signals) else ""
    return f"exit code {code} ({name})" if name else f"exit code {code}"


def failed_start_text(code: int, stderr: str, command: Sequence[str]) -> str:
    """Return the message that ``command`` has ended before the app was ready.

    The message contains the exit code, a hint, and the line of ``stderr`` that states the cause.
    """
    cause = cause_line(stderr)
    hint = exit_hint(code, stderr, command)
    return f"the app ended with {exit_text(code)} before it was ready{hint}{f': {cause}' if cause else ''}"


def exit_hint(code: int, stderr: str, command: Sequence[str], *, was_ready: bool = False) -> str:
    """Return a hint about the reason why ``command`` has ended with ``code``, or an empty string if there is none.

    ``stderr`` contains the last lines of the app's stderr. ``was_ready`` is True if the app had been ready.
    """
    if _NEEDS_NODE_RUNTIME in stderr:
        return " (awslambda exists only in AWS's Node runtime; docs/plain-handlers.md shows how to run such a handler)"
    if code in _SHELL_FAILURES and "\r" in stderr.replace("\r\n", "\n").replace("\\r", "\r"):
        return f" (CMD reads a script with the line ends of Windows; {CONVERT_LINES})"
    if _HAS_PID_FILE in stderr:
        return " (each environment needs a pid file of its own; for Rails, add to CMD: -P tmp/pids/{port}.pid)"
    if not was_ready and (missing := _MISSING.search(cause_line(stderr))):
        return f" ({_missing_hint(missing, command)})"
    if code or was_ready or any(map(_EXCEPTION.match, stderr.splitlines())):
        return ""
    return (
        " (a command that starts a server in the background is not supported; docs/plain-handlers.md is about handlers "
        "without a server)"
    )


def _missing_hint(missing: re.Match[str], command: Sequence[str]) -> str:
    """Return what to do about a module that was not found."""
    if module := missing["node"]:
        is_file = module.startswith(("/", "."))
        return f"correct the path {module!r}" if is_file else f"in the app's folder, run: npm install {module}"
    name = missing["python"] or missing["named"] or missing["loaded"]
    if any(name in word for word in command):
        return f"correct {name!r} in CMD, install this module, or set --app-dir to the folder that contains it"
    return f"the Python that CMD starts does not find the module {name!r}; install the package that contains it"


def cause_line(stderr: str) -> str:
    """Return the line of ``stderr`` that states the cause: the last exception or, if there is none, the last error.

    If there is neither, return the last line. Servers often write further lines after the exception.
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    _, traceback, after = stderr.rpartition(_TRACEBACK)
    if traceback:
        # The first line after the frames, which are indented.
        for line in after.splitlines():
            if line.strip() and not line[:1].isspace() and not line.startswith(("+", "|")):
                return line.strip()
    for form in (_EXCEPTION.match, _MISSING.search, _NO_ATTRIBUTE.search, _REPORT.search):
        found = [line for line in lines if form(line)]
        if found:
            return found[-1]
    return lines[-1] if lines else ""
