"""A process that runs during a test, and the lines that it writes to stderr."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

PATIENCE = 20.0


class LoggingProcess:
    """Runs ``command`` with only the variables ``environ``. At the end of the context, it is terminated or killed."""

    def __init__(self, command: Sequence[str], environ: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            command,
            env={"PATH": os.environ["PATH"], **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._stderr = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def output(self) -> str:
        """Return the text that the process and its children have written to stderr so far."""
        return self._stderr.decode(errors="replace")

    def lines(self) -> list[str]:
        """Return the lines of ``output``."""
        return self.output().splitlines()

    def stderr(self) -> str:
        """Wait for the end of stderr, and return all of its text. The process must have ended, or be about to end."""
        return self.raw_stderr().decode()

    def raw_stderr(self) -> bytes:
        """Return the same as ``stderr``, undecoded."""
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return bytes(self._stderr)

    def wait_for_line(self, *parts: str) -> str:
        """Wait for the first line on stderr that contains all ``parts``, and return it."""

        def found() -> str:
            return next((line for line in self.lines() if all(part in line for part in parts)), "")

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, PATIENCE)
        line = found()
        assert line, f"no line with {parts} in:\n{self.output()}"
        return line

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.process.terminate()

    def exit_code(self) -> int:
        """Wait for the end of the process, and return its exit code. It must have ended, or be about to end."""
        return self.process.wait(PATIENCE)

    def peak_memory(self) -> int:
        """Return the peak resident memory of the process so far, in bytes."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) * 1024

    def _read(self) -> None:
        assert self.process.stderr is not None
        while piece := os.read(self.process.stderr.fileno(), 65536):
            with self._changed:
                self._stderr += piece
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
