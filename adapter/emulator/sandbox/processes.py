"""The processes of an execution environment: the runtime, usually a real ``adapter run``, and external extensions.

Each leads a session of its own. On Linux the kernel ends it if the emulator is killed, and the emulator, a subreaper,
adopts every process that loses its parent, so that the whole tree can be found and ended (see ``process_tree``).
Elsewhere a process is asked to end, which ends the app, and its process group is killed.

asyncio waits for these processes; orphans are waited for one by one, never with ``waitpid(-1)``.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from adapter.emulator.sandbox import process_tree
from adapter.emulator.sandbox.output import OutputPipe
from adapter.emulator.sandbox.variables import LOG_STREAM

# Linux, prctl(2).
_PR_SET_PDEATHSIG = 1

_LINUX = sys.platform == "linux"

#: Receives a line that a process wrote, without its end, and its source: ``function`` or ``extension``.
OnLine: TypeAlias = Callable[[bytes, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The programs of every environment; ``extensions`` are files by their base names.

    ``variables`` returns the environment variables for the keywords ``runtime_api``, the address of the API,
    ``log_stream`` and ``initialization_type``.
    """

    runtime: Sequence[str]
    variables: Callable[..., Mapping[str, str]]
    directory: str | None = None
    extensions: Mapping[str, Path] = field(default_factory=dict)


class ProcessTree:
    """The running processes of one environment, and their descendants."""

    def __init__(self, programs: Programs, on_line: OnLine, initialization_type: str) -> None:
        self._programs = programs
        self._initialization_type = initialization_type
        self._on_line = on_line
        self._log_stream = f"local/[$LATEST]{uuid.uuid4().hex}"
        self._marker = f"{LOG_STREAM}={self._log_stream}".encode()
        self._children: list[ChildProcess] = []
        self.is_frozen = False
        self._stopped: set[int] = set()
        self._known: set[int] = set()

    @property
    def extension_names(self) -> Sequence[str]:
        """The base names of the files, in their order."""
        return tuple(self._programs.extensions)

    async def start_extension(self, name: str, runtime_api: str) -> ChildProcess:
        """Start an external extension. Raises OSError."""
        return await self._start([str(self._programs.extensions[name])], runtime_api, "extension")

    async def start_runtime(self, runtime_api: str) -> ChildProcess:
        """Start the runtime. Raises OSError."""
        return await self._start(self._programs.runtime, runtime_api, "function")

    async def _start(self, command: Sequence[str], runtime_api: str, category: str) -> ChildProcess:
        environ = self._programs.variables(
            runtime_api=runtime_api, log_stream=self._log_stream, initialization_type=self._initialization_type
        )
        child = await start_process(
            command,
            environ,
            on_line=lambda line: self._on_line(line, category),
            directory=self._programs.directory if category == "function" else None,
        )
        self._children.append(child)
        return child

    def freeze(self) -> None:
        """Stop all processes until ``thaw``."""
        if not self.is_frozen:
            self.is_frozen = True
            self._stopped = process_tree.stop(self._roots(), self._marker)

    def thaw(self) -> None:
        """Let all processes go on."""
        process_tree.resume(self._stopped)
        self.is_frozen, self._stopped = False, set()

    def kill_app(self) -> None:
        """Kill the processes that the runtime has started, or the runtime itself if it has started none."""
        runtime = self._children[-1]
        started = process_tree.descendants([runtime.pid]) - {runtime.pid}
        process_tree.kill(started or {runtime.pid})

    def peak_memory(self) -> int | None:
        """Return ``process_tree.peak_memory`` of all; None if the system has no /proc."""
        return process_tree.peak_memory(process_tree.descendants(self._roots())) if _LINUX else None

    def snapshot_members(self) -> None:
        """Note all processes before they are asked to end: one that loses its parent may not be recognized later."""
        self._known |= process_tree.members(self._roots(), self._marker)

    async def end(self) -> None:
        """Kill all processes that are left; return when they are gone."""
        self.snapshot_members()
        for child in self._children:
            child.kill()
            await child.wait()
        await process_tree.kill_all(self._marker, self._known - {child.pid for child in self._children})
        for child in self._children:
            child.close()

    def _roots(self) -> list[int]:
        return [child.pid for child in self._children if child.is_running]


#: Returns the processes of a new environment of an initialization type, before they are started.
Launch: TypeAlias = Callable[[OnLine, str], ProcessTree]


class ChildProcess:
    """A running child of ours."""

    def __init__(self, process: asyncio.subprocess.Process, pipes: Sequence[OutputPipe]) -> None:
        self._process = process
        self._pipes = pipes
        # Set if it cannot be killed, since it is another user's: its end is not waited for.
        self._unkillable = asyncio.Event()

    @property
    def pid(self) -> int:
        """Its pid, which is also its process group."""
        return self._process.pid

    @property
    def is_running(self) -> bool:
        """Whether its end has not been noticed."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait until it has ended and its output is read; return the exit code, negative for a signal.

        A process that cannot be killed counts as killed.
        """
        async with asyncio.TaskGroup() as group:
            waits = [group.create_task(self._process.wait()), group.create_task(self._unkillable.wait())]
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            for wait in waits:
                wait.cancel()
        for pipe in self._pipes:
            pipe.read()
        exit_code = self._process.returncode
        return -signal.SIGKILL if exit_code is None else exit_code

    def close(self) -> None:
        """Stop reading what it, or a process that inherited its output, writes."""
        for pipe in self._pipes:
            pipe.close()

    def terminate(self) -> None:
        """Send SIGTERM, which the runtime passes on to the app."""
        with contextlib.suppress(ProcessLookupError, PermissionError):
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to the process group."""
        self._unkillable.clear()
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        except PermissionError:
            # macOS also refuses to signal a group that has only a zombie left.
            if _LINUX:
                self._unkillable.set()


async def start_process(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    on_line: Callable[[bytes], None],
    directory: str | None = None,
) -> ChildProcess:
    """Start ``command`` with an empty input; its output goes to ours and to ``on_line``. Raises OSError."""
    pipes = [OutputPipe(target, on_line) for target in (1, 2)]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environ,
            cwd=directory,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=pipes[0].write_end,
            stderr=pipes[1].write_end,
            start_new_session=True,
            preexec_fn=_end_with_parent(os.getpid()) if _LINUX else None,
        )
    except OSError:
        for pipe in pipes:
            pipe.close()
        raise
    finally:
        for pipe in pipes:
            pipe.close_write_end()
    return ChildProcess(process, pipes)


def exit_text(exit_code: int) -> str:
    """Return an exit code, negative for a signal, in the words of Lambda's Runtime.ExitError."""
    if exit_code >= 0:
        return f"exit status {exit_code}"
    return f"signal: {signal.strsignal(-exit_code) or -exit_code}".lower()


def _end_with_parent(parent: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None)  # loaded before the fork: little is safe after it

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os._exit(128 + signal.SIGTERM)

    return in_child
