"""The process of the app that a signal is for which is not for all of them: the server itself, not a shell around it.

This module is imported only when such a signal arrives. It reads /proc; on other systems the app's first process is
taken as it is.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

# Programs that start the server as a child, unless they are asked to become it (exec).
_SHELLS = frozenset({"ash", "bash", "busybox", "dash", "fish", "ksh", "ksh93", "mksh", "sh", "yash", "zsh"})


def first_process(leader: int, number: int) -> int | None:
    """Return the pid of the process that signal ``number`` is for: ``leader``, or if that is a shell, its only child.

    Return None if the shell has several children. A shell that has a trap for the signal gets the signal itself.
    """
    pid = leader
    while _is_shell(pid) and not _handles(pid, number):
        children = _children(pid)
        if len(children) > 1:
            return None
        if not children:
            break
        [pid] = children
    return pid


def shell_warning(number: int) -> str:
    """Return the line to log if all processes of the app get signal ``number``, since a shell has several children."""
    # Real-time signals have no name.
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return (
        f"{name} was sent to all processes of the app, since CMD is a shell with several children; "
        "write exec before the server's command, so that only the server gets such signals"
    )


def _is_shell(pid: int) -> bool:
    # Not the name in /proc/PID/comm, which is that of the script.
    with contextlib.suppress(OSError):
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")) in _SHELLS
    return False


def _handles(pid: int, number: int) -> bool:
    """Return whether the process has a handler for signal ``number`` (proc(5), SigCgt)."""
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_bytes().splitlines():
            if line.startswith(b"SigCgt:"):
                return bool(int(line.split()[1], 16) >> (number - 1) & 1)
    return False


def _children(pid: int) -> list[int]:
    """Return the pids of the children that have not ended."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            children += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
    return [child for child in children if _is_alive(child)]


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        # The state follows the program's name, which is in parentheses and may contain any character.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    return False
