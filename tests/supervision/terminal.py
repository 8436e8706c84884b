"""A terminal with an interactive shell, as a person uses it: lines and keys go in, what is shown comes out."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType

from tests.supervision.supervised import PATIENCE, ROOT

CTRL_C, CTRL_Z = "\x03", "\x1a"
_PROMPT = "ready> "


def wait_until_stopped(pids: list[int]) -> None:
    """Wait until all processes are stopped. A process stops when it runs next after the signal, not with it."""
    deadline = time.monotonic() + PATIENCE
    while (states := [_state_of(pid) for pid in pids]) != ["T"] * len(pids):
        assert time.monotonic() < deadline, f"the states of {pids} are {states}"
        os.sched_yield()


def _state_of(pid: int) -> str:
    """Return the state of a process as one letter: T if it is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


class Terminal:
    """Runs bash on a pseudo terminal. A wait begins behind what the last one has found."""

    def __init__(self) -> None:
        self._master, slave = pty.openpty()
        self._shown = ""
        self._position = 0
        self._changed = threading.Condition()
        self._shell = subprocess.Popen(
            ["setsid", "--ctty", "bash", "--norc", "--noprofile", "-i"],
            stdin=slave,
            stdout=slave,
            stderr=slave,
            cwd=ROOT,
            env={"PATH": os.environ["PATH"], "PS1": _PROMPT, "TERM": "dumb"},
        )
        os.close(slave)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Terminal:
        self.wait_for(_PROMPT)
        # The typed lines would be found among what is shown.
        self.type("stty -echo\n")
        self.wait_for(_PROMPT)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The end of the terminal is SIGHUP for the jobs, which an app may handle. So none of them is left to it.
        for pid in _session(self._shell.pid):
            os.kill(pid, signal.SIGKILL)
        os.close(self._master)
        self._shell.kill()
        self._shell.wait(PATIENCE)
        self._reader.join(PATIENCE)

    @property
    def shown(self) -> str:
        """Everything that has been shown."""
        return self._shown

    def type(self, text: str) -> None:
        os.write(self._master, text.encode())

    def run(self, *app_options: str, options: str = "", end: str = "") -> None:
        """Start ``adapter run`` with the terminal app."""
        adapter = f"{sys.executable} -I -m adapter run --listen 127.0.0.1:0 {options}"
        app = f"{sys.executable} -m tests.supervision.terminal_app {{port}} {' '.join(app_options)}"
        self.type(f"{adapter} -- {app}{end}\n")

    def wait_for(self, pattern: str) -> re.Match[str]:
        """Wait until the pattern is shown."""

        def find() -> re.Match[str] | None:
            return re.compile(pattern).search(self._shown, self._position)

        with self._changed:
            self._changed.wait_for(find, PATIENCE)
            found = find()
            assert found, (
                f"{pattern!r} is not in {self._shown[self._position :]!r} after {self._shown[: self._position]!r}"
            )
            self._position = found.end()
            return found

    def wait_for_prompt(self) -> None:
        """Wait until the shell has the terminal again, and takes a line."""
        self.type("echo $((40 + 2))\n")
        self.wait_for("42")

    def port(self) -> int:
        """Return the port of the adapter."""
        return int(self.wait_for(r"proxy on http://127\.0\.0\.1:(\d+)")[1])

    def _read(self) -> None:
        while True:
            try:
                piece = os.read(self._master, 65536)
            except OSError:
                return
            with self._changed:
                self._shown += piece.decode(errors="replace")
                self._changed.notify_all()


def _session(leader: int) -> list[int]:
    """Return the other processes of the session of ``leader``."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    return [pid for pid in pids if pid != leader and _session_of(pid) == leader]


def _session_of(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0
