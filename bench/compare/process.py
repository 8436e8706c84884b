"""Processes to measure: their time of start, their CPU time and their memory. They always end with their context.

The kernel keeps a clock for the CPU time of every process, all its threads included, in nanoseconds
(clock_getcpuclockid(3)); the ticks of ``/proc/PID/stat`` are 10 ms.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from compare.places import BASE_PYTHON

# The time that a process has to end after its signal, in seconds.
GRACE = 5.0
# The time that a process has to answer, in seconds.
PATIENCE = 30.0
# The interval of checks whether the process that must answer is still running, in seconds.
_LOOK_AGAIN = 0.5
# All processes run with this search path, and without the caller's other variables.
SEARCH_PATH = f"{BASE_PYTHON.parent}:/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


class Process:
    """A process in its own group, which ends with the context. ``started_ns`` is a time of the monotonic clock."""

    def __init__(
        self,
        command: Sequence[object],
        environ: Mapping[str, str] | None = None,
        *,
        directory: Path | None = None,
        talks: bool = False,
        log: Path | None = None,
    ) -> None:
        output: IO[bytes] | int = subprocess.DEVNULL if log is None else log.open("wb")
        self._command = command
        self._log = log
        self.started_ns = time.monotonic_ns()
        self._process = subprocess.Popen(
            list(map(str, command)),
            env={"PATH": SEARCH_PATH} | dict(environ or {}),
            cwd=directory,
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talks else output,
            stderr=output,
            bufsize=0,
            process_group=0,
        )
        self.pid = self._process.pid
        if not isinstance(output, int):
            output.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """End the process and its whole group."""
        try:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait(GRACE)
        except subprocess.TimeoutExpired:
            pass
        finally:
            self._kill_group()
            self._process.wait()
            for pipe in (self._process.stdin, self._process.stdout):
                if pipe is not None:
                    pipe.close()

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    def tell(self, line: str) -> None:
        """Write a line to its standard input."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())

    def hear(self, meanwhile: Process | None = None) -> str:
        """Return the next line of its standard output.

        Raises RuntimeError if the process ends before that, or if ``meanwhile``, the process that it measures, ends.
        """
        assert self._process.stdout is not None
        give_up = time.monotonic() + PATIENCE
        while not select.select([self._process.stdout], [], [], _LOOK_AGAIN)[0]:
            if meanwhile is not None and meanwhile.ended:
                raise RuntimeError(f"{meanwhile.name} has ended: {meanwhile.last_words()}")
            if time.monotonic() > give_up:
                raise RuntimeError(f"{self.name} said nothing for {PATIENCE:g} s")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.name} has ended with {self._process.wait()}")
        return line.decode().rstrip("\n")

    def last_words(self) -> str:
        """Return the last line of its log that contains a word."""
        text = "" if self._log is None else self._log.read_text(errors="replace")
        lines = [line.strip(" |") for line in text.splitlines() if re.search(r"\w", line)]
        return lines[-1] if lines else f"exit code {self._process.poll()}"

    @property
    def name(self) -> str:
        """The name of its program, for messages."""
        return Path(str(self._command[0])).name

    def cpu_ns(self, *, without: str = "") -> int:
        """Return the CPU time of the process and its descendants, except those that run the program ``without``."""
        return sum(map(_cpu_ns, self._tree(without)))

    def own_cpu_ns(self) -> int:
        """Return the CPU time of the process alone."""
        return _cpu_ns(self.pid)

    def peak_memory(self, *, without: str = "") -> int:
        """Return the sum of the peak resident memory of the same processes as in ``cpu_ns``, in bytes."""
        return sum(map(_peak_memory, self._tree(without)))

    def memory(self, *, without: str = "") -> int:
        """Return the sum of the current resident memory of the same processes as in ``cpu_ns``, in bytes."""
        return sum(map(_memory, self._tree(without)))

    def own_peak_memory(self) -> int:
        """Return the peak resident memory of the process alone, in bytes."""
        return _peak_memory(self.pid)

    def _tree(self, without: str) -> list[int]:
        return [pid for pid in _descendants(self.pid) if not without or _name(pid) != without]

    def _kill_group(self) -> None:
        try:
            os.killpg(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            return


def _descendants(pid: int) -> Iterator[int]:
    yield pid
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in _read(children).split():
            yield from _descendants(int(child))


def _cpu_ns(pid: int) -> int:
    # The id that clock_getcpuclockid(3) returns: the complement of the pid, and 2 for the precise clock of the
    # scheduler.
    try:
        return time.clock_gettime_ns((~pid << 3) | 2)
    except OSError:
        # The process has ended.
        return 0


def _peak_memory(pid: int) -> int:
    return _of_status("VmHWM", pid)


def _memory(pid: int) -> int:
    return _of_status("VmRSS", pid)


def _of_status(name: str, pid: int) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", _read(Path(f"/proc/{pid}/status")))
    return int(found[1]) * 1024 if found else 0


def _name(pid: int) -> str:
    return _read(Path(f"/proc/{pid}/comm")).strip()


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
