"""Why a port cannot be listened on, and which process listens on it.

The process is found in /proc. This works only on Linux, and only for processes that this process may inspect.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

# ``port_owner`` cuts a command that is longer than this, in characters.
_SHOWN = 80
# The state of a listening socket in /proc/net/tcp.
_LISTEN = "0A"
# The size of an IPv4 address in bytes.
_IPV4_SIZE = 4


def listen_problem(error: OSError, port: int) -> str:
    """Return why ``port`` cannot be listened on: ``is taken by pid 123 (…)`` or ``cannot be listened on: …``."""
    if error.errno == errno.EADDRINUSE:
        owner = port_owner(port)
        return f"is taken by {owner}" if owner else "is taken"
    # The error's own text repeats the address. For an unknown host, the number is not a system error's.
    number = error.errno or 0
    return f"cannot be listened on: {os.strerror(number) if number > 0 else error.strerror or error}"


def port_owner(port: int) -> str | None:
    """Return the process that listens on ``port`` as ``pid 123 (python3 server.py)``, or None if it is not found."""
    found = listening_process(port)
    if found is None:
        return None
    pid, command = found
    return f"pid {pid} ({command if len(command) <= _SHOWN else f'{command[: _SHOWN - 1]}…'})"


def listening_process(port: int) -> tuple[int, str] | None:
    """Return the pid and the command of the process that listens on ``port``, or None if it is not found."""
    sockets = {f"socket:[{inode}]" for inode in (fields[9] for fields in _listeners(port))}
    if not sockets:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        # A process may end during the search, and processes of other users cannot be inspected.
        with contextlib.suppress(OSError):
            if any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir()):
                words = (process / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                return int(process.name), " ".join(words).strip()
    return None


def listening_hosts(port: int) -> list[str]:
    """Return the addresses with a listener on ``port``. ``0.0.0.0`` or ``::`` means all addresses of this machine."""
    return [_address_of(fields[1].partition(":")[0]) for fields in _listeners(port)]


def _address_of(words: str) -> str:
    """Return an address from /proc/net/tcp. ``words`` are hexadecimal 32-bit words in the machine's byte order."""
    packed = b"".join(int(words[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(words), 8))
    return socket.inet_ntop(socket.AF_INET if len(packed) == _IPV4_SIZE else socket.AF_INET6, packed)


def _listeners(port: int) -> Iterator[list[str]]:
    """Yield the fields of each socket that listens on ``port``, from the tables in /proc/net."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields
