"""Explains why a port cannot be listened on, and finds the process that listens on it.

The process is found in /proc. This works only on Linux, and only for processes that this process may inspect.
"""

from __future__ import annotations

import errno
import os

from adapter.net.listening_sockets import command_of, holds_one, listening_sockets, processes

# ``port_owner`` cuts a command that is longer than this, in characters.
_SHOWN = 80


def listen_problem(error: OSError, port: int) -> str:
    """Return why ``port`` cannot be listened on, for example ``is taken by pid 123 (python3 server.py)``."""
    if error.errno == errno.EADDRINUSE:
        owner = port_owner(port)
        return f"is taken by {owner}" if owner else "is taken"
    # The error's own text repeats the address. For an unknown host, the number is not a system error's.
    number = error.errno or 0
    return f"cannot be listened on: {os.strerror(number) if number > 0 else error.strerror or error}"


def port_owner(port: int) -> str | None:
    """Return the process that listens on ``port`` as ``pid 123 (python3 server.py)``, or None if none is found."""
    found = listening_process(port)
    return None if found is None else process_text(*found)


def process_text(pid: int, command: str) -> str:
    """Return a process as ``pid 123 (python3 server.py)``."""
    return f"pid {pid} ({command if len(command) <= _SHOWN else f'{command[: _SHOWN - 1]}…'})"


def listening_process(port: int) -> tuple[int, str] | None:
    """Return the pid and the command of the process that listens on ``port``, or None if no process is found."""
    links = {each.link for each in listening_sockets() if each.port == port}
    return next(((pid, command_of(pid)) for pid in processes() if holds_one(pid, links)), None) if links else None


def listening_hosts(port: int) -> list[str]:
    """Return the addresses with a listener on ``port``. ``0.0.0.0`` or ``::`` means all addresses of this machine."""
    return [each.host for each in listening_sockets() if each.port == port]
