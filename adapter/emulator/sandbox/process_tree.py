"""All processes of one environment, found in /proc: by ancestry, or by an environment variable.

That variable (the marker) has a value that is unique to the environment, and every process that is started in it
inherits it. So processes that have lost their parent are found as well. Linux only; elsewhere nothing is found.

A process of another user (sudo) cannot be signalled: it is left alone, and its end is not waited for.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Iterable, Iterator
from pathlib import Path

# How often processes are looked for: one that forks while it is killed or stopped may leave a child behind.
_ROUNDS = 10
_KIB = 1024


def members(roots: Iterable[int], marker: bytes) -> set[int]:
    """Return the pids of ``roots``, of their descendants, and of processes with ``marker`` and their descendants.

    This reads every process of the machine, which takes milliseconds; ``descendants`` does not.
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
    """Return the pids of ``roots`` and of their descendants, without those that have lost their parent."""
    pending = list(roots)
    seen: set[int] = set()
    while pending:
        pid = pending.pop()
        seen.add(pid)
        # A process may end meanwhile.
        with contextlib.suppress(OSError):
            for thread in os.listdir(f"/proc/{pid}/task"):
                children = Path(f"/proc/{pid}/task/{thread}/children").read_bytes()
                pending += [child for child in map(int, children.split()) if child not in seen]
    return seen


def stop(roots: Iterable[int], marker: bytes) -> set[int]:
    """Stop all members (SIGSTOP), also those that are forked meanwhile; return their pids."""
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
    """Let stopped processes go on."""
    for pid in pids:
        _signal(pid, signal.SIGCONT)


def kill(pids: Iterable[int]) -> set[int]:
    """Kill processes without waiting for them; return the pids of those that will end."""
    return {pid for pid in pids if _signal(pid, signal.SIGKILL)}


async def kill_all(marker: bytes, known: set[int]) -> None:
    """Kill the rest of a tree whose roots have ended, and wait for it; ``known`` were its members before that."""
    unkillable: set[int] = set()
    for _ in range(_ROUNDS):
        # An orphan without the marker is only recognized as one of those that were in the tree before.
        known = ({pid for pid in known if _is_orphan_of_ours(pid)} | members((), marker)) - unkillable
        if not known:
            return
        killed = kill(known)
        unkillable |= known - killed
        # They become our children as their parents die, in any order; init waits for the others.
        for pid in killed:
            await _reap(pid)


def peak_memory(pids: Iterable[int]) -> int:
    """Return the sum of the peak resident memory of all ``pids``, in bytes.

    Pages that processes share are counted for each of them; processes that have ended are not counted.
    """
    return sum(map(_peak_memory, pids))


def _peak_memory(pid: int) -> int:
    with contextlib.suppress(OSError):
        for line in Path(f"/proc/{pid}/status").read_bytes().splitlines():
            if line.startswith(b"VmHWM:"):
                return int(line.split()[1]) * _KIB
    return 0


def _signal(pid: int, number: signal.Signals) -> bool:
    """Send a signal; False if the process has ended or is another user's."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def _parents() -> Iterator[tuple[int, int]]:
    """Yield every process and its parent; nothing if the system has no /proc."""
    for entry in Path("/proc").glob("[0-9]*"):
        # A process may end meanwhile.
        with contextlib.suppress(OSError):
            yield int(entry.name), _parent(entry)


def _parent(entry: Path) -> int:
    # The program's name, in parentheses, may contain any character; the parent is the second field after it.
    return int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])


def _has_marker(pid: int, marker: bytes) -> bool:
    # The environment of another user's process cannot be read.
    with contextlib.suppress(OSError):
        return marker in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _is_orphan_of_ours(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return _parent(Path(f"/proc/{pid}")) == os.getpid()
    return False


async def _reap(pid: int) -> None:
    """Wait for a killed orphan, if it is our child by now."""
    loop = asyncio.get_running_loop()
    if _is_orphan_of_ours(pid):
        with contextlib.suppress(ChildProcessError):
            await loop.run_in_executor(None, os.waitpid, pid, 0)
