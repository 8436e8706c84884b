"""Finds the listening sockets of this network namespace, and the processes that hold them, in /proc. Linux only.

The runtime of ``adapter dev`` imports this module during a cold start, so it imports only built-in modules.
"""

from __future__ import annotations

import _socket
import posix  # instead of `os`; app/process.py explains why
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Final

# The state of a listening socket in /proc/net/tcp. All other fields are longer, or decimal.
_LISTEN = " 0A "
# The size of an IPv4 address in bytes.
_IPV4_SIZE = 4


class ListeningSocket:
    """A socket that listens on ``host`` and ``port``. ``link`` is the target of its links in /proc/PID/fd."""

    __slots__ = ("host", "link", "port")

    def __init__(self, *, host: str, port: int, link: str) -> None:
        self.host: Final = host
        self.port: Final = port
        self.link: Final = link


def listening_sockets() -> Iterator[ListeningSocket]:
    """Yield the listening TCP sockets. The host ``0.0.0.0`` or ``::`` means all addresses."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(table) as lines:
                # A busy machine has tens of thousands of other sockets, so only the lines of listening ones are kept.
                rows = [line.split() for line in lines if _LISTEN in line]
        except OSError:
            continue
        for fields in rows:
            words, _, port = fields[1].rpartition(":")
            yield ListeningSocket(host=_address(words), port=int(port, 16), link=f"socket:[{fields[9]}]")


def _address(words: str) -> str:
    """Decode an address in /proc/net/tcp. ``words`` are 32-bit words in hexadecimal, in the machine's byte order."""
    packed = b"".join(int(words[start : start + 8], 16).to_bytes(4, sys.byteorder) for start in range(0, len(words), 8))
    return _socket.inet_ntop(_socket.AF_INET if len(packed) == _IPV4_SIZE else _socket.AF_INET6, packed)


def holds_one(pid: int, links: set[str]) -> bool:
    """Return whether the process holds a socket with one of ``links``. False if the process may not be inspected."""
    return bool(links and not links.isdisjoint(links_of(pid)))


def links_of(pid: int) -> Iterator[str]:
    """Yield the targets of the links in /proc/PID/fd. Yields nothing if the process may not be inspected."""
    folder = f"/proc/{pid}/fd"
    try:
        descriptors = posix.listdir(folder)
    except OSError:
        return
    for descriptor in descriptors:
        try:
            yield posix.readlink(f"{folder}/{descriptor}")
        except OSError:
            # The process has closed the descriptor since.
            continue


def processes() -> list[int]:
    """Return the pids of all processes, or an empty list if there is no /proc."""
    try:
        return [int(name) for name in posix.listdir("/proc") if name.isdecimal()]
    except OSError:
        return []


def command_of(pid: int) -> str:
    """Return the words of a process's command, joined by spaces, or an empty string if the process has ended."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as file:
            return file.read().decode("utf-8", "replace").replace("\0", " ").strip()
    except OSError:
        return ""
