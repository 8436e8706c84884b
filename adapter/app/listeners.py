"""Finds the addresses on which the app listens, and checks that the app itself answers on the app's port.

This works on Linux only, because it reads /proc. A process belongs to the app if it is in the app's process group, or
if it descends from the app or from this process, which adopts the app's orphans (``adopt_orphans``). In ``adapter dev``
another process adopts the orphans. There, a process also belongs to the app if its variable
AWS_LAMBDA_LOG_STREAM_NAME has the same value as the app's.

The runtime of ``adapter dev`` imports this module during a cold start, so it imports only built-in modules.
"""

from __future__ import annotations

import posix  # instead of `os`; app/process.py explains why

from adapter.net.address import Address
from adapter.net.listening_sockets import command_of, holds_one, links_of, listening_sockets, processes

# Ports on which debuggers listen by default: node --inspect, debugpy. No client of the app uses them.
_DEBUGGERS = frozenset({9229, 5678})
_EVERYWHERE = ("0.0.0.0", "::")
# Programs that listen on behalf of containers. If CMD runs the app in a container, such a program listens for the app.
_OF_CONTAINERS = frozenset(
    {"docker-proxy", "rootlesskit", "rootlessport", "conmon", "pasta", "passt", "slirp4netns", "gvproxy"}
)


def addresses_of(app: int) -> list[Address]:
    """Return the addresses on which the app's processes listen, without the ports of debuggers.

    ``app`` is the app's pid. An address that means "all addresses" is returned as the loopback address. Each port is
    returned once.
    """
    links = {link for pid in _members(app) for link in links_of(pid)}
    found: dict[int, Address] = {}
    for each in listening_sockets():
        if each.link in links and each.port not in _DEBUGGERS:
            found.setdefault(each.port, Address(host=each.host, port=each.port).local)
    return [found[port] for port in sorted(found)]


def foreign_owner(address: Address, app: int, marker: str) -> tuple[int, str] | None:
    """Return the pid and the command of the process that listens on ``address`` and does not belong to the app.

    Return None if the app itself listens there, or if no such process is found. ``app`` is the app's pid. ``marker`` is
    an environment variable of all the app's processes, as ``NAME=VALUE``, or an empty string.
    """
    sockets = [each for each in listening_sockets() if each.port == address.port]
    exact = [each for each in sockets if each.host == address.host]
    links = {each.link for each in exact or [each for each in sockets if each.host in _EVERYWHERE]}
    if not links or any(holds_one(pid, links) for pid in _descendants(app)):
        return None
    owners = [pid for pid in processes() if holds_one(pid, links)]
    parents = _parents()
    if not owners or any(_is_of_app(pid, app, marker, parents) for pid in owners):
        return None
    return owners[0], command_of(owners[0])


def _is_of_app(pid: int, app: int, marker: str, parents: dict[int, tuple[int, int]]) -> bool:
    """Return True if the process belongs to the app, and also if it has ended or listens on behalf of containers."""
    if pid not in parents or parents[pid][1] == app or _has_variable(pid, marker):
        return True
    try:
        with open(f"/proc/{pid}/comm") as file:
            if file.read().strip() in _OF_CONTAINERS:
                return True
    except OSError:
        return True
    ancestor = pid
    while ancestor in parents:
        if ancestor in (app, posix.getpid()):
            return True
        ancestor = parents[ancestor][0]
    return False


def _has_variable(pid: int, marker: str) -> bool:
    if not marker:
        return False
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return marker.encode("utf-8", "surrogateescape") in file.read().split(b"\0")
    except OSError:
        return False


def _members(app: int) -> set[int]:
    """Return the pids of the app's process group, and of all descendants of the app's first process."""
    return {pid for pid, (_, group) in _parents().items() if group == app} | set(_descendants(app))


def _parents() -> dict[int, tuple[int, int]]:
    """Return a dict from the pid of each process to its parent's pid and its process group."""
    found: dict[int, tuple[int, int]] = {}
    for pid in processes():
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                # State, parent and group follow the program's name, which may contain any character.
                fields = file.read().rpartition(b")")[2].split()
        except OSError:
            continue
        found[pid] = int(fields[1]), int(fields[2])
    return found


def _descendants(app: int) -> list[int]:
    """Return the pid ``app`` and the pids of its descendants."""
    found = [app]
    for pid in found:
        try:
            for thread in posix.listdir(f"/proc/{pid}/task"):
                with open(f"/proc/{pid}/task/{thread}/children") as file:
                    found += map(int, file.read().split())
        except OSError:
            # The process has ended, or this kernel has no such file.
            continue
    return found
