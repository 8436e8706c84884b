"""The process of an execution environment: a real ``adapter run``, with everything that it and the app start.

The child leads a session of its own. On Linux the kernel tells it when the emulator dies without a word, and the
emulator, a subreaper, adopts whatever loses its parent, so that the whole tree can be found in /proc and ended: by
ancestry, or by the log stream name in its environment, which is unique to the environment and inherited by all.
Elsewhere the child is asked to end, which ends the app, and its process group is killed.

asyncio waits for the child; orphans are waited for one by one, never with ``waitpid(-1)``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol, TypeAlias

# How long a process may take to end after SIGTERM before it is killed, in seconds (Lambda, "Shutdown phase").
SHUTDOWN_GRACE = 2.0
# Linux, prctl(2).
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
# A process that forks while it is being killed may leave a child behind; that many rounds find it.
_KILL_ROUNDS = 10

_LINUX = sys.platform == "linux"


class RuntimeProcess(Protocol):
    """What an environment needs of the process that talks to its Runtime API."""

    async def wait(self) -> int:
        """The exit code, negative for a signal, once the process has ended."""

    async def stop(self) -> None:
        """End the process and all that it started; returns when nothing is left."""


#: Starts the process for the Runtime API at an address, ``HOST:PORT``.
StartRuntime: TypeAlias = Callable[[str], Awaitable[RuntimeProcess]]


class ProcessTree:
    """A running child and what descends from it. ``marker`` is the entry in their environment that only they have."""

    def __init__(self, process: asyncio.subprocess.Process, marker: str) -> None:
        self._process = process
        self._marker = marker.encode()

    async def wait(self) -> int:
        """The child's exit code; negative for a signal."""
        return await self._process.wait()

    async def stop(self) -> None:
        """SIGTERM to the child, which passes it on to the app; after the grace SIGKILL to all that is left."""
        members = set(self._members())
        with contextlib.suppress(ProcessLookupError):
            self._process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_GRACE):
                await self._process.wait()
        # macOS refuses to signal a group of which only a zombie is left.
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, signal.SIGKILL)
        await self._process.wait()
        for _ in range(_KILL_ROUNDS):
            # Those that were in the tree before, since an orphan without the marker can no longer be told.
            members = {pid for pid in members if _is_orphan_of_ours(pid)} | set(self._members())
            if not members:
                return
            await _kill(members)

    def _members(self) -> Iterator[int]:
        """The pids of the tree as /proc has it now, without the child."""
        children: dict[int, list[int]] = {}
        roots = [self._process.pid] if self._process.returncode is None else []
        for pid, parent in _parents():
            children.setdefault(parent, []).append(pid)
            if _has_marker(pid, self._marker):
                roots.append(pid)
        seen: set[int] = set()
        while roots:
            pid = roots.pop()
            if pid not in seen:
                seen.add(pid)
                roots += children.get(pid, ())
        yield from seen - {self._process.pid, os.getpid()}


async def start_process(command: Sequence[str], environ: Mapping[str, str], marker: str) -> ProcessTree:
    """Start ``command``. Its standard output and error are ours, its input is empty."""
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environ,
        stdin=asyncio.subprocess.DEVNULL,
        start_new_session=True,
        preexec_fn=_end_with_parent(os.getpid()) if _LINUX else None,
    )
    return ProcessTree(process, marker)


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own; Linux only."""
    if _LINUX:
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def exit_text(exit_code: int) -> str:
    """An exit code, negative for a signal, in the words of Lambda's Runtime.ExitError."""
    if exit_code >= 0:
        return f"exit status {exit_code}"
    return f"signal: {signal.strsignal(-exit_code) or -exit_code}".lower()


def _end_with_parent(parent: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None)  # before the fork: little is safe after it

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os._exit(128 + signal.SIGTERM)

    return in_child


def _parents() -> Iterator[tuple[int, int]]:
    """Every process and its parent; nothing where there is no /proc."""
    for entry in Path("/proc").glob("[0-9]*"):
        # A process may end while it is looked at.
        with contextlib.suppress(OSError):
            yield int(entry.name), _parent(entry)


def _parent(entry: Path) -> int:
    # The name of the program, in parentheses, may contain anything; the parent is the second field after it.
    return int((entry / "stat").read_bytes().rpartition(b")")[2].split()[1])


def _has_marker(pid: int, marker: bytes) -> bool:
    # Another user's process is none of ours.
    with contextlib.suppress(OSError):
        return marker in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _is_orphan_of_ours(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return _parent(Path(f"/proc/{pid}")) == os.getpid()
    return False


async def _kill(pids: set[int]) -> None:
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    # They become our children as their parents die, in any order; one that never does is init's to wait for.
    for pid in pids:
        await _reap(pid)


async def _reap(pid: int) -> None:
    """Wait for a killed orphan, if it is our child by now."""
    loop = asyncio.get_running_loop()
    if _is_orphan_of_ours(pid):
        with contextlib.suppress(ChildProcessError):
            await loop.run_in_executor(None, os.waitpid, pid, 0)
