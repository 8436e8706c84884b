"""Finds the process of the app that should get a signal: the server, not a shell that has started the server.

Only signals with the action ``FIRST`` (``process.py``) need this module. It is imported when such a signal arrives.
It reads /proc. On a system without /proc, the app's first process gets the signal, even if it is a shell.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path

# Shells. A shell starts the server as a child process, unless the command uses exec.
_SHELLS = frozenset({"ash", "bash", "busybox", "dash", "fish", "ksh", "ksh93", "mksh", "sh", "yash", "zsh"})


def first_process(leader: int, number: int) -> int | None:
    """Return the pid of the process that should get signal ``number``: ``leader``, unless ``leader`` is a shell.

    Instead of a shell, its only child gets the signal; the same rule applies to a child that is a shell. A shell gets
    the signal itself if it has a trap for the signal, or if it has no child. Return None if a shell without
    such a trap has several children.
    """
    pid = leader
    while _is_shell(pid) and not _handles(pid, number):
        children = [child for child in children_of(pid) if _is_alive(child)]
        if len(children) > 1:
            return None
        if not children:
            break
        [pid] = children
    return pid


def shell_warning(number: int) -> str:
    """Return a warning: all processes of the app got signal ``number``, since CMD is a shell with several children."""
    # Real-time signals have no name.
    name = signal.Signals(number).name if number in set(signal.Signals) else f"signal {number}"
    return (
        f"{name} was sent to all processes of the app, since CMD is a shell with several children; "
        "write exec before the server's command, so that only the server gets such signals"
    )


def _is_shell(pid: int) -> bool:
    # The name in /proc/PID/comm can be the name of a script that the shell runs, so it is not used.
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


def children_of(pid: int) -> list[int]:
    """Return the pids of a process's children. If the process ends meanwhile, return those that were read so far."""
    children: list[int] = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            children += map(int, Path(f"/proc/{pid}/task/{thread}/children").read_bytes().split())
    return children


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        # The state follows the program's name, which is in parentheses and may contain any character.
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()[0] != b"Z"
    return False
