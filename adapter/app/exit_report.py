"""What is reported about an app that has ended: how, the line of its output that has the cause, and a hint.

Only a failure needs this module, so it is imported late.
"""

from __future__ import annotations

import re
import signal

from adapter.app.command import CONVERT_LINES

# The message of Node for a file that was written for AWS's Node runtime.
_NEEDS_NODE_RUNTIME = "awslambda is not defined"
# How a shell or env(1) ends if it does not find a program, or cannot read its script.
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
# A line that reports an error in another form, for example that of a logger or of a command line.
_REPORT = re.compile(r"\b(error|fatal|critical|panic)\b", re.IGNORECASE)


def exit_text(code: int) -> str:
    """Return an exit code as text, with the name of the signal that it stands for: ``exit code 139 (SIGSEGV)``."""
    number = code - _SIGNALLED
    name = signal.Signals(number).name if number in set(signal.Signals) else ""
    return f"exit code {code} ({name})" if name else f"exit code {code}"


def exit_hint(code: int, stderr: str, *, was_ready: bool = False) -> str:
    """Return a hint why CMD has ended with ``code``, or an empty text.

    ``stderr`` has the last lines of CMD's stderr.
    """
    if _NEEDS_NODE_RUNTIME in stderr:
        return " (awslambda exists only in AWS's Node runtime; docs/plain-handlers.md shows how to run such a handler)"
    if code in _SHELL_FAILURES and "\r" in stderr.replace("\r\n", "\n").replace("\\r", "\r"):
        return f" (it reads a script with the line ends of Windows; {CONVERT_LINES})"
    if code or was_ready:
        return ""
    return (
        " (a command that starts a server in the background is not supported; docs/plain-handlers.md is about handlers "
        "without a server)"
    )


def cause_line(stderr: str) -> str:
    """Return the line of ``stderr`` that has the cause: that of the last exception, or else of the last error.

    If there is neither, return the last line. Servers often write further lines after the exception.
    """
    lines = [line.strip() for line in stderr.splitlines() if line.strip()]
    _, traceback, after = stderr.rpartition(_TRACEBACK)
    if traceback:
        # The first line after the frames, which are indented.
        for line in after.splitlines():
            if line.strip() and not line[:1].isspace() and not line.startswith(("+", "|")):
                return line.strip()
    for form in (_EXCEPTION.match, _REPORT.search):
        found = [line for line in lines if form(line)]
        if found:
            return found[-1]
    return lines[-1] if lines else ""
