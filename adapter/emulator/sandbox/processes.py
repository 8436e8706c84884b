"""The processes of an execution environment: the runtime (usually a real ``adapter run``) and external extensions.

Each of these processes leads its own session. Exception: with ``--debug``, the runtime stays in the emulator's session.

On Linux, the kernel sends SIGTERM to each of these processes if the emulator ends. The emulator is a subreaper: it
becomes the parent of every descendant that loses its parent, so ``process_tree`` can find and end all of them.

On other systems, the emulator kills only the process groups of these processes. When the runtime receives SIGTERM, the
runtime ends the app, which has a process group of its own.

asyncio waits for the end of the runtime and the extensions. ``process_tree`` waits for each orphan by its pid, because
``waitpid(-1)`` would take exit codes away from asyncio.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from adapter.app.job_control import give_terminal, stopped_by
from adapter.emulator.sandbox import process_tree
from adapter.emulator.sandbox.output import OutputPipe
from adapter.emulator.sandbox.variables import LOG_STREAM
from adapter.output import STDERR, STDOUT

# Linux, prctl(2).
_PR_SET_PDEATHSIG = 1

_LINUX = sys.platform == "linux"
# The exit codes of servers after Ctrl-C. Many servers handle the signal and exit with 0.
_INTERRUPTED = (0, 128 + signal.SIGINT, 128 + signal.SIGQUIT, -signal.SIGINT)

#: Receives a line that a process wrote, without its newline, the kind of the process (``function`` or ``extension``),
#: and the stream (``stdout`` or ``stderr``).
OnLine: TypeAlias = Callable[[bytes, str, str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The programs that each environment starts. ``extensions`` maps the base names of external extensions to files.

    ``variables`` is called with the keyword arguments ``runtime_api`` (an address), ``log_stream`` and
    ``initialization_type``, and returns the environment variables of a process. ``directory`` is the runtime's working
    directory, or None for the emulator's own. ``shows`` is called with each piece of output before it is copied to the
    emulator's own output; if it returns False, the piece is not copied. If ``gets_terminal`` is True, the runtime gets
    the emulator's terminal.
    """

    runtime: Sequence[str]
    variables: Callable[..., Mapping[str, str]]
    directory: str | None = None
    extensions: Mapping[str, Path] = field(default_factory=dict)
    shows: Callable[[bytes], bool] | None = None
    gets_terminal: bool = False


class ProcessTree:
    """The processes that one environment has started, with their descendants."""

    def __init__(self, programs: Programs, on_line: OnLine, initialization_type: str) -> None:
        self._programs = programs
        self._initialization_type = initialization_type
        self._on_line = on_line
        self._log_stream = f"local/[$LATEST]{os.urandom(16).hex()}"
        self._marker = f"{LOG_STREAM}={self._log_stream}".encode()
        self._children: list[ChildProcess] = []
        self.is_frozen = False
        self._stopped: set[int] = set()
        self._known: set[int] = set()

    @property
    def extension_names(self) -> Sequence[str]:
        """The base names of the external extensions, in the order in which they are started."""
        return tuple(self._programs.extensions)

    async def start_extension(self, name: str, runtime_api: str) -> ChildProcess:
        """Start an external extension. Raises OSError if it cannot be started.

        ``runtime_api`` is the address of the API server for the extension, ``HOST:PORT``.
        """
        return await self._start([str(self._programs.extensions[name])], runtime_api, "extension")

    async def start_runtime(self, runtime_api: str) -> ChildProcess:
        """Start the runtime. Raises OSError if it cannot be started.

        ``runtime_api`` is the address of the API server for the runtime, ``HOST:PORT``.
        """
        return await self._start(self._programs.runtime, runtime_api, "function")

    async def _start(self, command: Sequence[str], runtime_api: str, category: str) -> ChildProcess:
        environ = self._programs.variables(
            runtime_api=runtime_api, log_stream=self._log_stream, initialization_type=self._initialization_type
        )
        gets_terminal = self._programs.gets_terminal and category == "function"
        child = await start_process(
            command,
            environ,
            on_line=lambda line, stream: self._on_line(line, category, stream),
            directory=self._programs.directory if category == "function" else None,
            shows=self._programs.shows,
            gets_terminal=gets_terminal,
        )
        if gets_terminal:
            give_terminal(child.pid)
        self._children.append(child)
        return child

    def stopped_runtime(self) -> int | None:
        """Return the pid of the runtime if Ctrl-Z has suspended the runtime since the previous call, else None.

        When Ctrl-Z suspends a debugged app, the runtime suspends itself as well.
        """
        running = [child.pid for child in self._children[-1:] if child.is_running]
        return next((pid for pid in running if stopped_by(pid) is not None), None)

    def freeze(self) -> None:
        """Suspend all processes until ``thaw`` is called. No effect if they are already suspended."""
        if not self.is_frozen:
            self.is_frozen = True
            self._stopped = process_tree.stop(self._roots(), self._marker)

    def thaw(self) -> None:
        """Resume all processes that ``freeze`` suspended."""
        process_tree.resume(self._stopped)
        self.is_frozen, self._stopped = False, set()

    def kill_app(self) -> None:
        """Kill all descendants of the runtime, or the runtime itself if it has none."""
        runtime = self._children[-1]
        started = process_tree.descendants([runtime.pid]) - {runtime.pid}
        process_tree.kill(started or {runtime.pid})

    def peak_memory(self) -> int | None:
        """Return the peak memory of the processes and their descendants in bytes; on systems other than Linux, None."""
        return process_tree.peak_memory(process_tree.descendants(self._roots())) if _LINUX else None

    def snapshot_members(self) -> None:
        """Record the pids of all processes, for ``end``. Call this before the runtime and the extensions end.

        ``end`` needs these pids to find orphans that do not have the environment's marker variable.
        """
        self._known |= process_tree.members(self._roots(), self._marker)

    async def end(self) -> None:
        """Kill all remaining processes, and wait until they have ended."""
        self.snapshot_members()
        if self._programs.gets_terminal:
            self._take_terminal_back()
        for child in self._children:
            child.kill()
            await child.wait()
        await process_tree.kill_all(self._marker, self._known - {child.pid for child in self._children})
        for child in self._children:
            child.close()

    def _take_terminal_back(self) -> None:
        """Make the emulator's process group the foreground job again. If Ctrl-C ended the app, end the emulator."""
        # OSError means that stdin is not a terminal.
        with contextlib.suppress(OSError):
            # The emulator ignores SIGTTOU, so this is allowed although it is in the background.
            os.tcsetpgrp(0, os.getpgrp())
            if any(child.was_interrupted for child in self._children):
                os.kill(os.getpid(), signal.SIGINT)

    def _roots(self) -> list[int]:
        return [child.pid for child in self._children if child.is_running]


#: Returns the ProcessTree of a new environment with the given initialization type. No process is started yet.
Launch: TypeAlias = Callable[[OnLine, str], ProcessTree]


class ChildProcess:
    """A child process of the emulator, with the pipes of its output."""

    def __init__(self, process: asyncio.subprocess.Process, pipes: Sequence[OutputPipe]) -> None:
        self._process = process
        self._pipes = pipes
        # Set if the process belongs to another user and cannot be killed. In this case ``wait`` returns early.
        self._unkillable = asyncio.Event()
        self._was_asked_to_end = False

    @property
    def pid(self) -> int:
        """The pid of the process, which is also the id of its process group."""
        return self._process.pid

    @property
    def was_interrupted(self) -> bool:
        """Whether Ctrl-C has ended the process, as far as the exit code shows. False if the emulator has ended it."""
        return not self._was_asked_to_end and self._process.returncode in _INTERRUPTED

    @property
    def is_running(self) -> bool:
        """Whether the process is running. Stays True until asyncio has noticed the end of the process."""
        return self._process.returncode is None

    async def wait(self) -> int:
        """Wait for the end of the process, and read all of its output. Return the exit code, negative for a signal.

        If ``kill`` finds that the process cannot be killed, return -SIGKILL without waiting for its end.
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
        """Stop reading the output of the process and of all processes that inherited its pipes."""
        for pipe in self._pipes:
            pipe.close()

    def terminate(self) -> None:
        """Send SIGTERM to the process; the runtime forwards it to the app. No effect if the process has ended."""
        self._was_asked_to_end |= self.is_running
        with contextlib.suppress(ProcessLookupError, PermissionError):
            self._process.terminate()

    def kill(self) -> None:
        """Send SIGKILL to the process group. No effect if the group has ended or belongs to another user."""
        self._unkillable.clear()
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        except PermissionError:
            # macOS also refuses to signal a group that contains only a zombie.
            if _LINUX:
                self._unkillable.set()


async def start_process(
    command: Sequence[str],
    environ: Mapping[str, str],
    *,
    on_line: Callable[[bytes, str], None],
    directory: str | None = None,
    shows: Callable[[bytes], bool] | None = None,
    gets_terminal: bool = False,
) -> ChildProcess:
    """Start ``command``. Raises OSError if it cannot be started.

    If ``gets_terminal`` is True, the process has the emulator's standard input, and stays in the emulator's session.
    Otherwise its standard input is empty. The output is copied to the emulator's own output, except pieces for which
    ``shows`` returns False. ``on_line`` receives each line of the output, and the name of the line's stream.
    """
    pipes = [
        OutputPipe(STDOUT, lambda line: on_line(line, "stdout"), shows),
        OutputPipe(STDERR, lambda line: on_line(line, "stderr"), shows),
    ]
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            env=environ,
            cwd=directory,
            stdin=None if gets_terminal else asyncio.subprocess.DEVNULL,
            stdout=pipes[0].write_end,
            stderr=pipes[1].write_end,
            start_new_session=not gets_terminal,
            process_group=0 if gets_terminal else None,
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
    """Return the description of an exit code in Lambda's Runtime.ExitError. A negative exit code means a signal."""
    if exit_code >= 0:
        return f"exit status {exit_code}"
    return f"signal: {signal.strsignal(-exit_code) or -exit_code}".lower()


def _end_with_parent(parent: int) -> Callable[[], None]:
    libc = ctypes.CDLL(None)  # loaded before the fork, because only few calls are safe between fork and exec

    def in_child() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != parent:
            os._exit(128 + signal.SIGTERM)

    return in_child
