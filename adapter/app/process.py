"""The app's process: how it starts, gets signals and ends.

The app leads a process group of its own, so that signals reach all of its processes and no others. If the adapter is
killed, the kernel kills that group. The adapter copies the app's stderr to its own, and keeps the last lines. It waits
only briefly for the end of the app's stderr, since grandchildren may keep the pipe open.

The app is spawned (posix_spawn(3)) and not forked, since forking a Python process would add 2 ms to every cold start.
A spawned process inherits the working directory and the limit of open files. So this process changes its own directory
and its own limit before the call, and restores both after the call.

Signals stay pending until their handlers are installed. Otherwise they could be lost: PID 1 ignores signals that have
no handler.

This module is imported before the app starts, so slow modules are imported later, within functions.
"""

from __future__ import annotations

import errno

# The built-in module beneath `os`. Importing `os` takes as long as everything else before the app starts.
import posix
import sys
from _thread import allocate_lock, start_new_thread
from time import monotonic

from adapter.errors import ConfigurationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from _thread import LockType
    from collections.abc import Callable, Iterator, Mapping
else:
    # The built-in module beneath `signal`. Importing `signal` takes a third of the interpreter's own start.
    import _signal

# The size of the end of the app's stderr that is kept for an init error, in bytes.
STDERR_TAIL = 4096
# The pause between two checks whether the app has ended, in seconds. A signal ends the pause early.
_STOP_POLL = 0.01
# The time to wait for the last lines of an app that has ended, in seconds. A grandchild may keep the pipe open.
_STDERR_TIMEOUT = 0.2
# Errors that mean that the system has no descriptor, process or memory left. The command is not their cause.
_EXHAUSTED = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})

# The action of the adapter for each signal. The models are the init processes tini and dumb-init. All signals that are
# not in the table have the action ``FIRST``, real-time signals included. They can tell a server's first
# process to reload (SIGHUP, SIGUSR1, SIGUSR2) or to stop its workers (SIGWINCH). Workers would die of them.
END = "end"  # end the adapter; the app's whole group gets the signal (the proxy finishes open requests first)
GROUP = "group"  # pass on to the app's whole group
FIRST = "first"  # pass on to the app's first process (``first_process.py``)
STOP = "stop"  # stop the app and the adapter until SIGCONT (``job_control.py``)
IGNORE = "ignore"
OWN = "own"  # the signal concerns the adapter's own process and has its usual effect there
ACTIONS: dict[int, str] = {
    _signal.SIGTERM: END,
    _signal.SIGINT: END,
    _signal.SIGQUIT: GROUP,
    _signal.SIGCONT: GROUP,
    _signal.SIGTSTP: STOP,
    # The kernel sends these to a background job that uses the terminal. With a handler, the kernel would repeat the
    # write and the signal forever.
    _signal.SIGTTIN: IGNORE,
    _signal.SIGTTOU: IGNORE,
    # The system sends these because of this process, its children or its sockets.
    _signal.SIGCHLD: OWN,
    _signal.SIGPIPE: OWN,
    _signal.SIGURG: OWN,
    _signal.SIGXCPU: OWN,
    _signal.SIGXFSZ: OWN,
    _signal.SIGABRT: OWN,
    _signal.SIGBUS: OWN,
    _signal.SIGFPE: OWN,
    _signal.SIGILL: OWN,
    _signal.SIGSEGV: OWN,
    _signal.SIGSYS: OWN,
    _signal.SIGTRAP: OWN,
    # No process can handle these.
    _signal.SIGKILL: OWN,
    _signal.SIGSTOP: OWN,
}
ENDING = tuple(number for number in ACTIONS if ACTIONS[number] == END)
# Signals that need a handler.
HANDLED = tuple(n for n in _signal.valid_signals() if ACTIONS.get(n, FIRST) not in (IGNORE, OWN))
# Signals that are reset to their default action in the app. Python ignores the first two, and the adapter the next two.
# A shell without job control makes a background command ignore the last two; the adapter handles them nevertheless, so
# the app must not ignore them. Other signals that were ignored when the adapter started stay ignored in the app, for
# example SIGHUP under nohup.
_NOT_IGNORED = (
    *(_signal.SIGPIPE, _signal.SIGXFSZ),
    *(_signal.SIGTTIN, _signal.SIGTTOU),
    *(_signal.SIGINT, _signal.SIGQUIT),
)
# Linux, prctl(2).
_PR_SET_CHILD_SUBREAPER = 36
# Flags that open a folder even if this process may enter it but not read it.
_FOLDER_FLAGS = getattr(posix, "O_PATH", posix.O_RDONLY)
# The number of rounds of ``kill_children``. Each round kills the children that the round before has left behind.
_KILL_ROUNDS = 10


def hold_signals() -> None:
    """Block the signals in HANDLED, and ignore the signals whose action is IGNORE.

    Blocked signals stay pending until ``release_signals``. Install their handlers before you call that function.
    """
    _signal.pthread_sigmask(_signal.SIG_BLOCK, HANDLED)
    for number, action in ACTIONS.items():
        if action == IGNORE:
            _signal.signal(number, _signal.SIG_IGN)


def release_signals() -> None:
    """Unblock the signals in HANDLED. Pending signals are delivered now."""
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, HANDLED)


class Lifeline:
    """Makes the kernel kill the app's group when the adapter ends for any reason. Does nothing except on Linux.

    The lifeline is a pipe without data. The app inherits ``descriptor``, the reading end. Only the adapter has the
    writing end. When the adapter ends, the writing end is closed, and the kernel sends SIGKILL to the group that owns
    the reading end (F_SETSIG and F_SETOWN, fcntl(2)). The usual PR_SET_PDEATHSIG of prctl(2) covers only one process of
    the group, and can be set only by a forked child.

    The app is not protected during the half millisecond between its start and ``tie``. An app that closes inherited
    descriptors may not be protected at all.
    """

    def __init__(self) -> None:
        self.descriptor: int | None = None
        if sys.platform == "linux":
            self.descriptor, self._held = posix.pipe()
            posix.set_inheritable(self.descriptor, True)

    def tie(self, group: int) -> None:
        """Make the kernel kill the process group ``group`` when the adapter ends. A later call replaces the group."""
        if sys.platform == "linux" and self.descriptor is not None:
            import fcntl  # the app has started by now

            fcntl.fcntl(self.descriptor, fcntl.F_SETOWN, -group)
            fcntl.fcntl(self.descriptor, fcntl.F_SETSIG, _signal.SIGKILL)
            fcntl.fcntl(self.descriptor, fcntl.F_SETFL, posix.O_ASYNC)


class AppProcess:
    """The app that ``command`` starts. ``pid`` is the app's pid, and also the id of the app's process group.

    The command is looked up on the adapter's own PATH. ``descriptors`` is the app's soft limit of open files; None
    means the adapter's limit. Raises ConfigurationError if the command cannot be started, and OSError if the system has
    no descriptor, process or memory left.
    """

    _has_warned_of_shell = False

    def __init__(
        self,
        command: list[str],
        *,
        environ: Mapping[str, str],
        lifeline: Lifeline,
        directory: str | None = None,
        descriptors: int | None = None,
    ) -> None:
        # The adapter may have inherited an ignored SIGCHLD. The kernel would then discard exit codes.
        if _signal.getsignal(_signal.SIGCHLD) == _signal.SIG_IGN:
            _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
        read_end, write_end = posix.pipe()
        try:
            pid = _in_folder(
                directory, lambda: _with_limit(descriptors, lambda: _spawn(command, environ, stderr=write_end))
            )
        except OSError as error:
            posix.close(read_end)
            if error.errno in _EXHAUSTED:
                raise
            raise ConfigurationError(_start_mistakes(command, environ, directory, error)) from error
        finally:
            posix.close(write_end)
        _ignore_os_error(lambda: lifeline.tie(pid))
        self.pid = pid
        self.command = command
        # The descriptor that ``read_stderr`` reads, for an event loop.
        self.stderr = read_end
        self._tail = b""
        self._exit_code: int | None = None
        self._group_is_gone = False
        # The thread of ``forward_stderr`` holds this lock until the app's stderr ends.
        self._draining: LockType | None = None

    def forward_stderr(self, write: Callable[[bytes], None]) -> None:
        """Start a thread that passes the app's stderr to ``write`` until all processes of the app have closed it."""
        self._draining = allocate_lock()
        self._draining.acquire()
        # `threading` is not used, since importing it would take CPU time from the starting app.
        start_new_thread(self._drain, (write, self._draining))

    def _drain(self, write: Callable[[bytes], None], draining: LockType) -> None:
        try:
            while self.read_stderr(write):
                pass
        finally:
            draining.release()

    def read_stderr(self, write: Callable[[bytes], None], size: int = 65536) -> bool:
        """Pass the next data of the app's stderr to ``write``, up to ``size`` bytes, and return True.

        At the end of stderr, close it and return False. Block until data arrives. If the descriptor ``self.stderr`` is
        non-blocking, raise BlockingIOError instead.
        """
        piece = posix.read(self.stderr, size)
        if not piece:
            posix.close(self.stderr)
            return False
        self._tail = (self._tail + piece)[-STDERR_TAIL:]
        write(piece)
        return True

    def stderr_tail(self) -> str:
        """Return the last whole lines of the app's stderr, up to STDERR_TAIL bytes. Call this after the app's end."""
        self._wait_for_stderr()
        text = self._tail.decode("utf-8", "replace")
        if len(self._tail) == STDERR_TAIL:
            # If there is only one line, a part of it is better than nothing.
            text = text.partition("\n")[2] or text
        return text.strip()

    def _wait_for_stderr(self) -> None:
        """Wait up to _STDERR_TIMEOUT seconds for the end of the thread that forwards stderr."""
        if self._draining is not None and self._draining.acquire(timeout=_STDERR_TIMEOUT):
            self._draining.release()

    def exit_code(self) -> int | None:
        """Return the app's exit code (128 + n for signal n), or None if the app is still running.

        If the app has ended, reap it. Not thread-safe.
        """
        if self._exit_code is None:
            pid, status = posix.waitpid(self.pid, posix.WNOHANG)
            if pid:
                self._note_exit(status)
        return self._exit_code

    def reap_children(self) -> None:
        """Reap every child that has ended: the app, and orphans that this process has adopted.

        This process must not have other children: their exit codes would be lost.
        """
        for pid, status in ended_children():
            if pid == self.pid:
                self._note_exit(status)

    def stop_signal(self) -> int | None:
        """Return the signal that has suspended the app since the last call, or None. If the app has ended, reap it."""
        if self._exit_code is not None:
            return None
        pid, status = posix.waitpid(self.pid, posix.WNOHANG | posix.WUNTRACED)
        if pid and posix.WIFSTOPPED(status):
            return posix.WSTOPSIG(status)
        if pid:
            self._note_exit(status)
        return None

    def _note_exit(self, status: int) -> None:
        code = posix.waitstatus_to_exitcode(status)
        self._exit_code = code if code >= 0 else 128 - code

    def signal(self, number: int) -> None:
        """Send a signal to the app's whole group. It is not an error if the group has ended."""
        # After the end of the group, its id may belong to another group.
        if not self._group_is_gone:
            _ignore_os_error(lambda: posix.killpg(self.pid, number))

    def pass_on(self, number: int, warn: Callable[[str], None]) -> None:
        """Send a signal to the app's first process or to the app's whole group, according to ACTIONS.

        If the first process is a shell with several children, the whole group gets the signal instead. The first time,
        ``warn`` logs a line about this.
        """
        if ACTIONS.get(number, FIRST) == FIRST and self._exit_code is None:
            from adapter.app.first_process import first_process, shell_warning  # only such a signal needs it

            pid = first_process(self.pid, number)
            if pid is not None:
                _ignore_os_error(lambda: posix.kill(pid, number))
                return
            if not AppProcess._has_warned_of_shell:
                AppProcess._has_warned_of_shell = True
                warn(shell_warning(number))
        self.signal(number)

    def terminate(self) -> None:
        """Send SIGTERM to the app's whole group."""
        self.signal(_signal.SIGTERM)

    def kill(self) -> None:
        """Kill the app's whole group, including processes that remain in the group after the app's end."""
        self.signal(_signal.SIGKILL)
        self._group_is_gone = self._exit_code is not None

    def stop(self, grace: float, wait: Callable[[float], None]) -> int:
        """Wait up to ``grace`` seconds for the app to end, then kill its group. Return the app's exit code.

        Before you call this, send the app a signal that ends it. If ``forward_stderr`` was called, this also waits for
        the end of stderr, up to _STDERR_TIMEOUT seconds: a process outside of the group may keep stderr open.
        ``wait(seconds)`` may return early.
        """
        give_up = monotonic() + grace
        while (code := self.exit_code()) is None and monotonic() < give_up:
            wait(_STOP_POLL)
        self.kill()
        while code is None:
            wait(_STOP_POLL)
            code = self.exit_code()
        self._wait_for_stderr()
        return code


def adopt_orphans() -> None:
    """Make this process adopt descendants whose parent ends, as PID 1 does. Does nothing except on Linux."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def ended_children() -> Iterator[tuple[int, int]]:
    """Reap each child that has ended. Yield the child's pid and status, as returned by ``os.waitpid``."""
    while True:
        try:
            pid, status = posix.waitpid(-1, posix.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def kill_children() -> None:
    """Kill and reap all children of this process, and the orphans that they leave behind. Linux only.

    Most children are orphans that left the app's group. Call ``exit_code`` first, since this function discards the
    app's exit code. Processes of other users keep running if this process may not kill them.
    """
    for _ in range(_KILL_ROUNDS):
        try:
            with open(f"/proc/self/task/{posix.getpid()}/children") as children:
                pids = [int(pid) for pid in children.read().split()]
        except OSError:
            # /proc does not exist, or does not contain this file.
            return
        killed = [pid for pid in pids if _kill(pid)]
        if not killed:
            return
        for pid in killed:
            # When this returns, this process has adopted the children of ``pid``.
            posix.waitpid(pid, 0)


def _kill(pid: int) -> bool:
    """Kill the child ``pid``, which has not been reaped. Return False if that is not permitted."""
    try:
        posix.kill(pid, _signal.SIGKILL)
    except PermissionError:
        return False
    return True


def _spawn(command: list[str], environ: Mapping[str, str], *, stderr: int) -> int:
    """Start ``command`` with the descriptor ``stderr`` as its stderr. Return its pid. Raises OSError if that fails."""
    held_back = _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
    return posix.posix_spawnp(
        command[0],
        command,
        environ,
        file_actions=[(posix.POSIX_SPAWN_DUP2, stderr, 2)],
        setpgroup=0,
        setsigmask=held_back - {*HANDLED},
        setsigdef=_NOT_IGNORED,
    )


def _in_folder(folder: str | None, spawn: Callable[[], int]) -> int:
    """Call ``spawn()`` in the working directory ``folder``, and return its result.

    If ``folder`` is None, keep the current working directory.
    """
    if folder is None:
        return spawn()
    try:
        ours = posix.open(".", _FOLDER_FLAGS)
    except PermissionError:
        # This process may not enter its own working directory, for example after su, so it cannot return to it.
        ours = None
    try:
        posix.chdir(folder)
        return spawn()
    finally:
        if ours is not None:
            posix.fchdir(ours)
            posix.close(ours)


def _with_limit(descriptors: int | None, spawn: Callable[[], int]) -> int:
    """Call ``spawn()`` under a limit of ``descriptors`` open files, and return its result.

    If ``descriptors`` is None, keep the current limit.
    """
    if descriptors is None:
        return spawn()
    import resource  # the runtime does not need it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
    try:
        return spawn()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _start_mistakes(command: list[str], environ: Mapping[str, str], directory: str | None, error: OSError) -> list[str]:
    """Return at least one message that explains why ``command`` cannot be started."""
    from adapter.app.command import command_mistakes  # only a mistake needs it

    mistakes = list(command_mistakes(command, environ, directory))
    reason = error.strerror
    if error.errno == errno.ENOEXEC:
        reason = "the file is neither a script that begins with #! nor a program for this kind of machine"
    return mistakes or [f"CMD: {command[0]!r} cannot be started: {reason}"]


def _ignore_os_error(call: Callable[[], None]) -> None:
    try:
        call()
    except OSError:
        # The process has ended, or runs as another user by now.
        return
