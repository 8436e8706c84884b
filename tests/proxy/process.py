"""``adapter run`` as the proxy: a process of its own, on a free port, with the flags of a test."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import TracebackType

PATIENCE = 15.0
STARTED = re.compile(r"proxy on http://[^:]+:(\d+) ")


class ProxyProcess:
    """Runs ``adapter run --listen 127.0.0.1:0 flags… -- command``, until it is ready; ``port`` is where it listens.

    The process is gone when the context ends.
    """

    def __init__(
        self,
        *flags: str,
        app_port: int | None = None,
        command: tuple[str, ...] = (),
        waits: bool = True,
        environ: dict[str, str] | None = None,
    ) -> None:
        arguments = [sys.executable, "-I", "-m", "adapter", "run", "--listen", "127.0.0.1:0", *flags]
        if app_port is not None:
            arguments += ["--app-port", str(app_port)]
        self.process = subprocess.Popen(
            [*arguments, "--", *command] if command else arguments,
            env={"PATH": os.environ["PATH"], **(environ or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._stderr = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        try:
            found = STARTED.search(self.wait_for_line("proxy on "))
            assert found is not None
            self.port = int(found[1])
            if waits:
                self.wait_for_line("the app is ready")
        except AssertionError:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> ProxyProcess:
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

    def lines(self) -> list[str]:
        """What it has written to stderr so far."""
        return self._stderr.decode().splitlines()

    def wait_for_line(self, *parts: str) -> str:
        """The first line on stderr that has all ``parts`` in it."""

        def found() -> str:
            return next((line for line in self.lines() if all(part in line for part in parts)), "")

        return self._wait_for(found, f"no line with {parts}")

    def _wait_for(self, found: Callable[[], str], problem: str) -> str:
        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, PATIENCE)
        line = found()
        assert line, f"{problem} in:\n{self._stderr.decode()}"
        return line

    def peak_memory(self) -> int:
        """The most memory that the process has had resident so far, in bytes."""
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
