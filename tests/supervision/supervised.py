"""``adapter run`` as a supervisor, as PID 1 of a namespace of its own or as any other process, seen from outside.

What a test waits for comes over pipes and sockets, each wait with an end. Nothing is polled by the clock.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

ROOT = Path(__file__).resolve().parent.parent.parent
# How long a test waits for something that must come, in seconds.
PATIENCE = 20.0
ADAPTER = (sys.executable, "-I", "-m", "adapter", "run")
# Root in a user namespace, if the tests do not run as root.
NEW_PID_NAMESPACE = (
    "unshare",
    *(() if os.geteuid() == 0 else ("--user", "--map-root-user")),
    "--pid",
    "--fork",
    "--mount-proc",
    "--kill-child=KILL",
)


class Reporter:
    """The other end of one process's report: what it says, and that it is gone."""

    def __init__(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        self._socket = connection
        self._lines = connection.makefile("r")
        self.role, pid = self.line().split()
        #: As the process itself sees it.
        self.pid = int(pid)

    def line(self) -> str:
        """Return the next line; empty when the process is gone."""
        return self._lines.readline().strip()

    def tell(self, order: str) -> None:
        self._socket.sendall(f"{order}\n".encode())

    def wait_until_gone(self) -> None:
        """Return when the process has ended; what it said last is thrown away."""
        while self.line():
            pass

    def close(self) -> None:
        self._lines.close()
        self._socket.close()


class Reports:
    """Where the app's processes report; they come in any order."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "reports")
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.settimeout(PATIENCE)
        self._listener.bind(self.path)
        self._listener.listen(1024)
        self._reporters: list[Reporter] = []

    def next(self) -> Reporter:
        reporter = Reporter(self._listener.accept()[0])
        self._reporters.append(reporter)
        return reporter

    def app(self) -> Reporter:
        """Return the app's reporter. For an app with a single process."""
        reporter = self.next()
        assert reporter.role == "app"
        return reporter

    def close(self) -> None:
        for reporter in self._reporters:
            reporter.close()
        self._listener.close()


class Supervisor:
    """Runs ``adapter run OPTIONS -- command``. ``pid`` is its pid as the test sees it, whatever it is to itself.

    ``begin`` is done by the shell that becomes the adapter.
    """

    def __init__(
        self, *options: str, command: list[str], as_pid_1: bool = False, stderr: int | None = None, begin: str = ""
    ) -> None:
        arguments = [*ADAPTER, "--listen", "127.0.0.1:0", "--bandwidth", "unlimited", *options]
        if command:
            arguments += ["--", *command]
        if begin:
            arguments = ["sh", "-c", f'{begin} exec "$@"', "sh", *arguments]
        if as_pid_1:
            arguments = [*NEW_PID_NAMESPACE, *arguments]
        with not_ignored(signal.SIGHUP):
            self._process = subprocess.Popen(
                arguments,
                cwd=ROOT,
                env={"PATH": os.environ["PATH"]},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE if stderr is None else stderr,
            )
        self._as_pid_1 = as_pid_1
        self._lines: list[str] = []
        self._ended = False
        self._changed = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Supervisor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # The namespace goes with its first process, and that one with unshare.
        self._process.kill()
        self._process.wait(PATIENCE)
        self._reader.join(PATIENCE)
        if self._process.stderr is not None:
            self._process.stderr.close()

    @property
    def pid(self) -> int:
        return children_of(self._process.pid)[0] if self._as_pid_1 else self._process.pid

    def port(self) -> int:
        """Where it listens."""
        line = self.wait_for_line("proxy on http://")
        return int(line.partition("127.0.0.1:")[2].split()[0])

    def wait_until_ready(self, count: int = 1) -> None:
        """Return when the app has become ready for the ``count``-th time."""
        self.wait_for_line("the app is ready", count)

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def exit_code(self) -> int:
        return self._process.wait(PATIENCE)

    def wait_for_line(self, part: str, count: int = 1) -> str:
        """Return the ``count``-th line on stderr with ``part`` in it."""

        def found() -> list[str]:
            return [line for line in self._lines if part in line]

        with self._changed:
            self._changed.wait_for(lambda: len(found()) >= count or self._ended, PATIENCE)
        assert len(found()) >= count, f"not {count} lines with {part!r} in:\n{self.log()}"
        return found()[count - 1]

    def log(self) -> str:
        """What it has written to stderr so far; all of it once it has ended."""
        if self._process.poll() is not None:
            self._reader.join(PATIENCE)
        return "".join(self._lines)

    def _read(self) -> None:
        for line in self._process.stderr or ():
            with self._changed:
                self._lines.append(line.decode(errors="replace"))
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()


@contextmanager
def not_ignored(number: signal.Signals) -> Iterator[None]:
    """Let a process that starts meanwhile not inherit an ignored signal, as SIGHUP is under nohup."""
    before = signal.signal(number, signal.SIG_DFL)
    try:
        yield
    finally:
        signal.signal(number, before)


@contextmanager
def request(
    port: int, path: str, *, method: str = "GET", receive_buffer: int | None = None
) -> Iterator[http.client.HTTPResponse]:
    """Yield the response to a request, its body unread."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        if receive_buffer is not None:
            connection.sock = socket.socket()
            connection.sock.settimeout(PATIENCE)
            connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            connection.sock.connect(("127.0.0.1", port))
        connection.request(method, path)
        yield connection.getresponse()
    finally:
        connection.close()


def status_of(port: int, path: str = "/", *, method: str = "GET") -> int:
    with request(port, path, method=method) as response:
        response.read()
        return response.status


def shell(script: str) -> list[str]:
    """CMD for a shell that runs ``script``. It gets a port of its own, since the default one may be taken."""
    return ["sh", "-c", script, "{port}"]


def children_of(pid: int) -> list[int]:
    """Return the pids of its children, including those that have ended and are not reaped."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descriptors_of(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))
