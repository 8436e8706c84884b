"""The app's process: started before anything else, told of signals once, waited for by one owner.

The app leads a process group of its own, so that a signal reaches all of it and only it; if the adapter dies without a
word, the kernel kills the app. One daemon thread moves the app's stderr on to ours and keeps its last lines. Nobody
waits for that thread's end, since grandchildren may hold the pipe open for ever.

This module is imported before the app runs, so whatever is slow to import is imported in the child or afterwards.
"""

from __future__ import annotations

import os
import sys
from _thread import allocate_lock
from time import monotonic

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Thread
    from typing import NoReturn

# How much of the app's stderr is kept for an init error, in bytes.
STDERR_TAIL = 4096
# How often a stopped app is asked whether it is gone, in seconds; a signal ends each wait early.
_STOP_POLL = 0.01
# How long the last lines of an app that ended may take to arrive, in seconds; a grandchild may hold the pipe for ever.
_LAST_WORDS = 0.2
# The shell's exit codes for a command that is not there and for one that cannot be run.
_NOT_FOUND, _NOT_EXECUTABLE = 127, 126

# Numbers that are the same on Linux and macOS. `import signal` would cost a third of the interpreter's start.
_SIGKILL, _SIGPIPE, _SIGXFSZ, _SIG_DFL = 9, 13, 25, 0
# Linux, prctl(2).
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


class AppProcess:
    """The app that ``command`` starts. ``pid`` is also its process group."""

    def __init__(self, command: list[str], *, environ: Mapping[str, str], directory: str | None = None) -> None:
        parent = os.getpid()
        read_end, write_end = os.pipe()
        pid = os.fork()
        if pid == 0:
            _become(command, environ=environ, directory=directory, stderr=write_end, parent=parent)
        os.close(write_end)
        # Also done by the child: whoever comes first, the group is there before it is used.
        _ignore_os_error(lambda: os.setpgid(pid, pid))
        self.pid = pid
        self._stderr = read_end
        self._tail = b""
        self._exit_code: int | None = None
        self._lock = allocate_lock()
        self._drainer: Thread | None = None

    def forward_stderr(self, write: Callable[[bytes], None]) -> None:
        """Hand what the app writes to its stderr to ``write``, from a thread, until everybody closed it."""
        from threading import Thread  # the app is starting meanwhile

        self._drainer = Thread(target=self._drain, args=(write,), name="app-stderr", daemon=True)
        self._drainer.start()

    def _drain(self, write: Callable[[bytes], None]) -> None:
        while self.read_stderr(write):
            pass

    @property
    def stderr(self) -> int:
        """The descriptor that ``read_stderr`` reads, for an event loop."""
        return self._stderr

    def read_stderr(self, write: Callable[[bytes], None]) -> bool:
        """Hand the next piece of the app's stderr to ``write``, waiting for it; False at the end, which closes it."""
        piece = os.read(self._stderr, 65536)
        if not piece:
            os.close(self._stderr)
            return False
        self._tail = (self._tail + piece)[-STDERR_TAIL:]
        write(piece)
        return True

    def last_lines(self) -> str:
        """What the app, which has ended, wrote to its stderr last: at most STDERR_TAIL bytes, no line cut in two."""
        if self._drainer is not None:
            self._drainer.join(_LAST_WORDS)
        text = self._tail.decode("utf-8", "replace")
        if len(self._tail) == STDERR_TAIL:
            # Unless one line is all there is: a part of it says more than nothing.
            text = text.partition("\n")[2] or text
        return text.strip()

    def exit_code(self) -> int | None:
        """None while the app runs; else its exit code as a shell gives it, 128 + n for signal n."""
        # Every invocation slot asks, and a process can be waited for once.
        with self._lock:
            if self._exit_code is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                if pid:
                    self._note_exit(status)
            return self._exit_code

    def reap_all(self) -> None:
        """Wait for every child that has ended, the app and orphans alike: for PID 1, and for a subreaper.

        Nobody else in this process may have children of its own.
        """
        with self._lock:
            while True:
                try:
                    pid, status = os.waitpid(-1, os.WNOHANG)
                except ChildProcessError:
                    return
                if pid == 0:
                    return
                if pid == self.pid:
                    self._note_exit(status)

    def _note_exit(self, status: int) -> None:
        code = os.waitstatus_to_exitcode(status)
        self._exit_code = code if code >= 0 else 128 - code

    def signal(self, number: int) -> None:
        """Send a signal to the app's whole group; one that is gone already is no error."""
        _ignore_os_error(lambda: os.killpg(self.pid, number))

    def stop(self, grace: float, wait: Callable[[float], None]) -> int:
        """Wait up to ``grace`` seconds for the app to end, then kill its group; give its exit code.

        The app must have been told to end. ``wait(seconds)`` returns early when a child of ours has ended.
        """
        give_up = monotonic() + grace
        while (code := self.exit_code()) is None and monotonic() < give_up:
            wait(_STOP_POLL)
        # Also after an orderly end: what the app left behind in its group goes too.
        self.signal(_SIGKILL)
        while code is None:
            wait(_STOP_POLL)
            code = self.exit_code()
        return code


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own, as PID 1 is; Linux only."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def kill_children() -> None:
    """Kill whatever is still a child of this process: orphans that left the app's group. Linux only."""
    from functools import partial

    for pid in _read(f"/proc/self/task/{os.getpid()}/children").split():
        _ignore_os_error(partial(os.kill, int(pid), _SIGKILL))


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        # No /proc, or none that tells.
        return ""


def _become(
    command: list[str], *, environ: Mapping[str, str], directory: str | None, stderr: int, parent: int
) -> NoReturn:
    """In the child: turn into the app. Nothing of ours may run on if that fails."""
    code = _NOT_EXECUTABLE
    try:
        os.setpgid(0, 0)
        os.dup2(stderr, 2)
        _restore_signals(parent)
        if directory is not None:
            os.chdir(directory)
        os.execvpe(command[0], command, environ)
    except OSError as error:
        code = _NOT_FOUND if isinstance(error, FileNotFoundError) else _NOT_EXECUTABLE
        where = "" if directory is None else f" in {directory}"
        os.write(2, f"adapter: cannot start {command[0]!r}{where}: {error.strerror}\n".encode())
    finally:
        os._exit(code)


def _restore_signals(parent: int) -> None:
    """Undo what Python ignores, and have the kernel kill this process when the adapter is gone."""
    import ctypes  # in the child: the adapter itself does not wait for it

    libc = ctypes.CDLL(None)
    for number in (_SIGPIPE, _SIGXFSZ):
        libc.signal(number, _SIG_DFL)
    if sys.platform == "linux":
        libc.prctl(_PR_SET_PDEATHSIG, _SIGKILL)
        if os.getppid() != parent:
            os._exit(128 + _SIGKILL)


def _ignore_os_error(call: Callable[[], None]) -> None:
    try:
        call()
    except OSError:
        # The process is gone, or has become another program: what was to be reached is no longer there.
        return
