"""Who listens on a port, as far as /proc tells; Linux only, and only for processes that we may look at."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

# How much of a command is shown, in characters.
_SHOWN = 80
# The state of a listening socket in /proc/net/tcp.
_LISTEN = "0A"


def port_owner(port: int) -> str | None:
    """``pid 123 (python3 server.py)``, with the beginning of a long command, or None where it cannot be told."""
    found = listening_process(port)
    if found is None:
        return None
    pid, command = found
    return f"pid {pid} ({command if len(command) <= _SHOWN else f'{command[: _SHOWN - 1]}…'})"


def listening_process(port: int) -> tuple[int, str] | None:
    """The pid and the command of who listens on ``port``, or None where it cannot be told."""
    sockets = {f"socket:[{inode}]" for inode in _listening_inodes(port)}
    if not sockets:
        return None
    for process in Path("/proc").glob("[0-9]*"):
        # Processes end while they are looked at, and other users' are none of ours.
        with contextlib.suppress(OSError):
            if any(str(descriptor.readlink()) in sockets for descriptor in (process / "fd").iterdir()):
                words = (process / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
                return int(process.name), " ".join(words).strip()
    return None


def _listening_inodes(port: int) -> Iterator[str]:
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                fields = line.split()
                if fields[3] == _LISTEN and int(fields[1].rpartition(":")[2], 16) == port:
                    yield fields[9]
