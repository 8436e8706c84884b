"""``adapter run`` as Lambda starts it: a process of its own, with Lambda's variables and nothing else around it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import TracebackType

from tests.scripted_app import PATIENCE, ScriptedApp
from tests.scripted_runtime_api import ScriptedRuntimeApi

APP_PROGRAM = str(Path(__file__).resolve().parent / "scripted_app.py")


def app_command(port: str = "{port}") -> list[str]:
    """CMD for a scripted app at ``port``, which may also be the path of a Unix socket."""
    return [sys.executable, APP_PROGRAM, port]


class RuntimeProcess:
    """Runs ``adapter run -- command`` against ``api``; with ``app`` that one is served and no command is needed.

    ``environ`` are further variables. The process is gone when the context ends.
    """

    def __init__(
        self,
        api: ScriptedRuntimeApi | None,
        *command: str,
        app: ScriptedApp | None = None,
        environ: dict[str, str] | None = None,
        interpreter: tuple[str, ...] = (),
    ) -> None:
        variables = {"PATH": os.environ["PATH"]}
        if api is not None:
            variables["AWS_LAMBDA_RUNTIME_API"] = api.address
        if app is not None and app.port:
            variables["AWS_LWA_PORT"] = str(app.port)
        arguments = [sys.executable, "-I", *interpreter, "-m", "adapter", "run"]
        self.process = subprocess.Popen(
            [*arguments, "--", *command] if command else arguments,
            env=variables | (environ or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        self._stderr = bytearray()
        self._changed = threading.Condition()
        self._ended = False
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> RuntimeProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        assert self.process.stderr is not None
        self.process.stderr.close()

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE)

    def stderr(self) -> str:
        """All of it; the process must have ended."""
        return self.raw_stderr().decode()

    def raw_stderr(self) -> bytes:
        self.process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        return bytes(self._stderr)

    def wait_for_line(self, part: str) -> str:
        """The first line on stderr that has ``part`` in it."""

        def found() -> list[str]:
            return [line for line in self._stderr.decode().splitlines() if part in line]

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, PATIENCE)
        assert found(), f"no line with {part!r} in:\n{self._stderr.decode()}"
        return found()[0]

    def _read(self) -> None:
        assert self.process.stderr is not None
        while piece := os.read(self.process.stderr.fileno(), 65536):
            with self._changed:
                self._stderr += piece
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
