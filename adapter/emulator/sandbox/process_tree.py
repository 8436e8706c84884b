"""Finds, suspends and kills all processes of one environment.

The search reads two things in /proc: the parent of each process, and an environment variable (the marker) whose value
is unique to the execution environment. Every process of the execution environment inherits the marker, so processes
that have lost their parent are found too. All this works on Linux only: on other systems no process is found.

A process of another user (sudo) cannot be signalled. It keeps running, and no function here waits for its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

from adapter.app.first_process import children_of

# The maximum number of searches for processes. One search may miss the child of a process that forks while it is being
# killed or suspended.
_ROUNDS = 10
_KIB = 1024


def members(roots: Iterable[int], marker: bytes) -> set[int]:
    """Return the pids of ``roots``, of all processes that have ``marker``, and of the descendants of all these.

    This reads the data of every process on the machine, which takes milliseconds. ``descendants`` is faster.
    """
    children: dict[int, list[int]] = {}
    pending = list(roots)
    for pid, parent in _parents():
        children.setdefault(parent, []).append(pid)
        if _has_marker(pid, marker):
            pending.append(pid)
    seen: set[int] = set()
    while pending:
        pid = pending.pop()
        if pid not in seen:
            seen.add(pid)
            pending += children.get(pid, ())
    return seen - {os.getpid()}


def descendants(roots: Iterable[int]) -> set[int]:
    """Return the pids of ``roots`` and of their descendants. Processes that have lost their parent are not found."""
    pending = list(roots)
    seen: set[int] = set()
    while pending:
        pid = pending.pop()
        seen.add(pid)
        pending += [child for child in children_of(pid) if child not in seen]
    return seen


def stop(roots: Iterable[int], marker: bytes) -> set[int]:
    """Suspend (SIGSTOP) all processes that ``members`` finds, also those that start meanwhile. Return their pids."""
    roots = list(roots)
    seen: set[int] = set()
    stopped: set[int] = set()
    for _ in range(_ROUNDS):
        found = members(roots, marker) - seen
        if not found:
            break
        seen |= found
        stopped |= {pid for pid in found if _signal(pid, signal.SIGSTOP)}
    return stopped


def resume(pids: Iterable[int]) -> None:
    """Resume suspended processes (SIGCONT)."""
    for pid in pids:
        _signal(pid, signal.SIGCONT)


def kill(pids: Iterable[int]) -> set[int]:
    """Send SIGKILL to processes without waiting for their end. Return the pids to which the signal was sent."""
    return {pid for pid in pids if _signal(pid, signal.SIGKILL)}


async def kill_all(marker: bytes, known: set[int]) -> None:
    """Kill the remaining processes of an environment, and wait until they have ended.

    Call this after the environment's direct child processes have ended. ``known`` are the pids that ``members``
    returned while those child processes were running.
    """
    unkillable: set[int] = set()
    for _ in range(_ROUNDS):
        # An orphan without the marker can be recognized only by its pid in ``known``.
        known = ({pid for pid in known if _is_orphan_of_ours(pid)} | members((), marker)) - unkillable
        if not known:
            return
        killed = kill(known)
        unkillable |= known - killed
        # A killed process is our child only if its own parent has ended. Others are reaped by their parent or process
        # 1.
        for pid in killed:
            await _reap(pid)


def peak_memory(pids: Iterable[int]) -> int:
    """Return the sum of the peak resident memory of all processes in ``pids``, in bytes.

    A memory page that several processes share is counted once for each of them. A process that has ended counts as 0.
    """
    return sum(map(_peak_memory, pids))


def _peak_memory(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_bytes().splitlines():
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * _KIB
    return 0


def _signal(pid: int, number: signal.Signals) -> bool:
    """Send a signal, and return True. Return False if the process has ended or belongs to another user."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _parents() -> Iterator[tuple[int, int]]:
    """Yield the pid of every process and the pid of its parent. Yield nothing if the system has no /proc."""
    for entry in Path("/proc").glob("[0-9]*"):
        # The process may have ended.
        with contextlib.suppress(OSError):
            yield int(entry.name), _parent(entry)


def _parent(entry: Path) -> int:
    # The parent is the second field after the program's name, which is in parentheses and may contain any character.
    return int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])


def _has_marker(pid: int, marker: bytes) -> bool:
    # The variables of another user's process cannot be read.
    with contextlib.suppress(OSError):
        return marker in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _is_orphan_of_ours(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return _parent(Path(f"/proc/{pid}")) == os.getpid()
    return False


async def _reap(pid: int) -> None:
    """If the killed process ``pid`` has become our child, wait until it has ended. Otherwise return at once."""
    loop = asyncio.get_running_loop()
    if _is_orphan_of_ours(pid):
        with contextlib.suppress(ChildProcessError):
            await loop.run_in_executor(None, os.waitpid, pid, 0)
