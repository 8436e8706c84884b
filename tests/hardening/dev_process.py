"""``adapter dev`` with every front door at once, in front of an app that a test serves itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import uuid
from types import TracebackType

from tests.hardening.recorder import PROBE

PATIENCE = 20.0
DOORS = ("function-url", "http-api", "rest-api", "alb", "alb-multi-value", "lattice", "lattice-v1")
_URL = re.compile(r"http://127\.0\.0\.1:(\d+)/")


class DevProcess:
    """``ports`` are by front door, ``invoke_port`` is that of the Invoke APIs. Gone when the context ends."""

    def __init__(self, app_port: int, *flags: str, doors: tuple[str, ...] = DOORS, **environ: str) -> None:
        listening = ["--port", "0", "--front-door", ",".join(doors)]
        app = ["--app-port", str(app_port), "--readiness-path", PROBE]
        # The app is the test's; what is started in its place only has to live.
        command = [sys.executable, "-c", "import signal; signal.pause()"]
        self.mark = f"HARDENING_MARK={uuid.uuid4().hex}"
        name, _, value = self.mark.partition("=")
        self.process = subprocess.Popen(
            [sys.executable, "-I", "-m", "adapter", "dev", *listening, *app, "--warm", *flags, "--", *command],
            env={"PATH": os.environ["PATH"], name: value, **environ},
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
            self.wait_for("try        curl")
            ports = [int(number) for number in _URL.findall(self.output())]
            self.ports = dict(zip(doors, ports, strict=False))
            self.invoke_port = int(_URL.findall(self.wait_for("--endpoint-url"))[0])
        except BaseException:
            self.__exit__(None, None, None)
            raise

    def __enter__(self) -> DevProcess:
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
        """What it, the runtime and the app have written to stderr so far."""
        return self._stderr.decode(errors="replace")

    def wait_for(self, part: str) -> str:
        """The first line with ``part`` in it."""

        def found() -> str:
            return next((line for line in self.output().splitlines() if part in line), "")

        with self._changed:
            self._changed.wait_for(lambda: found() or self._ended, PATIENCE)
        line = found()
        assert line, f"no line with {part!r} in:\n{self.output()}"
        return line

    def _read(self) -> None:
        assert self.process.stderr is not None
        while piece := os.read(self.process.stderr.fileno(), 65536):
            with self._changed:
                self._stderr += piece
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()
