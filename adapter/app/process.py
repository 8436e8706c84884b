"""The app's process: started before anything else, told of signals once, waited for by one owner.

The app leads a process group of its own, so that a signal reaches all of it and only it; if the adapter dies without a
word, the kernel kills that group. One daemon thread moves the app's stderr on to ours and keeps its last lines. Nobody
waits long for that thread's end, since grandchildren may hold the pipe open for ever.

The app is spawned (posix_spawn(3)) and not forked: a copy of a Python process takes 2 ms to become another program,
and those are a part of every cold start. What such a child cannot do for itself is done here, around it.

Until their handlers are there, signals are held back and not lost; PID 1 would never get them otherwise, since the
kernel spares it every default action.

This module is imported before the app runs, so whatever is slow to import is imported afterwards.
"""

from __future__ import annotations

import errno

# The built-in module beneath `os`, whose import takes as long as that of all the rest before the app runs.
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
    # The built-in module beneath `signal`, whose import would cost a third of the interpreter's start.
    import _signal

# How much of the app's stderr is kept for an init error, in bytes.
STDERR_TAIL = 4096
# How often a stopped app is asked whether it is gone, in seconds; a signal ends each wait early.
_STOP_POLL = 0.01
# How long the last lines of an app that ended may take to arrive, in seconds; a grandchild may hold the pipe for ever.
_LAST_WORDS = 0.2
# What says that there is no descriptor, no process or no memory left, and nothing of the command.
_EXHAUSTED = frozenset({errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM})

# Signals that end the adapter and with it the app.
ENDING = (_signal.SIGTERM, _signal.SIGINT)
# Signals that mean something to the app and nothing to the adapter.
PASSED_ON = (_signal.SIGHUP, _signal.SIGQUIT, _signal.SIGUSR1, _signal.SIGUSR2, _signal.SIGWINCH)
# What the app does not ignore: what Python does and other programs do not, and what a shell without job control has its
# background commands ignore, although the adapter takes it and passes it on. All else that was ignored when the adapter
# came, as SIGHUP under nohup, stays ignored.
_NOT_IGNORED = (_signal.SIGPIPE, _signal.SIGXFSZ, _signal.SIGINT, _signal.SIGQUIT)
# Linux, prctl(2).
_PR_SET_CHILD_SUBREAPER = 36
# A folder may be ours to be in and not to read.
_FOLDER_AS_SUCH = getattr(posix, "O_PATH", posix.O_RDONLY)
# A process that is killed may leave children behind, which may have children of their own; that many rounds find them.
_KILL_ROUNDS = 10


def hold_signals() -> None:
    """Keep ENDING and PASSED_ON pending until ``release_signals``, when somebody will take them."""
    _signal.pthread_sigmask(_signal.SIG_BLOCK, ENDING + PASSED_ON)


def release_signals() -> None:
    """Take the signals that were held back, and those to come."""
    _signal.pthread_sigmask(_signal.SIG_UNBLOCK, ENDING + PASSED_ON)


class Lifeline:
    """Has the kernel kill the app's group when the adapter is gone, however it went. Does nothing but on Linux.

    It is a pipe that nobody writes to. The app inherits ``descriptor``, the end for reading; the other end is the
    adapter's alone and closed with it, which the kernel tells the group that owns the first by SIGKILL (F_SETSIG and
    F_SETOWN, fcntl(2)). The usual PR_SET_PDEATHSIG of prctl(2) covers one process of the group, and could only be set
    in a fork of this one.

    There is no protection for the half millisecond between the spawn and ``tie``, and perhaps none for an app that
    closes all descriptors which it does not know.
    """

    def __init__(self) -> None:
        self.descriptor: int | None = None
        if sys.platform == "linux":
            self.descriptor, self._held = posix.pipe()
            posix.set_inheritable(self.descriptor, True)

    def tie(self, group: int) -> None:
        """Let the process group ``group``, and no other any more, end with the adapter."""
        if sys.platform == "linux" and self.descriptor is not None:
            import fcntl  # the app runs already

            fcntl.fcntl(self.descriptor, fcntl.F_SETOWN, -group)
            fcntl.fcntl(self.descriptor, fcntl.F_SETSIG, _signal.SIGKILL)
            fcntl.fcntl(self.descriptor, fcntl.F_SETFL, posix.O_ASYNC)


class AppProcess:
    """The app that ``command`` starts. ``pid`` is also its process group.

    The command is looked for on the adapter's own PATH. ``descriptors`` is the soft limit that it gets, where ours has
    been changed meanwhile. Raises ConfigurationError where the command cannot be started, OSError where no descriptor,
    no process or no memory is left for it.
    """

    def __init__(
        self,
        command: list[str],
        *,
        environ: Mapping[str, str],
        lifeline: Lifeline,
        directory: str | None = None,
        descriptors: int | None = None,
    ) -> None:
        # Whoever started the adapter may ignore SIGCHLD, and then the kernel forgets exit codes.
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
            raise ConfigurationError(_mistakes(command, environ, directory, error)) from error
        finally:
            posix.close(write_end)
        _ignore_os_error(lambda: lifeline.tie(pid))
        self.pid = pid
        self._stderr = read_end
        self._tail = b""
        self._exit_code: int | None = None
        self._group_is_gone = False
        # Held for as long as there may be more of its stderr.
        self._draining: LockType | None = None

    def forward_stderr(self, write: Callable[[bytes], None]) -> None:
        """Hand what the app writes to its stderr to ``write``, from a thread, until everybody closed it."""
        self._draining = allocate_lock()
        self._draining.acquire()
        # Not by `threading`, whose import takes time from the app that is starting meanwhile.
        start_new_thread(self._drain, (write, self._draining))

    def _drain(self, write: Callable[[bytes], None], draining: LockType) -> None:
        try:
            while self.read_stderr(write):
                pass
        finally:
            draining.release()

    @property
    def stderr(self) -> int:
        """The descriptor that ``read_stderr`` reads, for an event loop."""
        return self._stderr

    def read_stderr(self, write: Callable[[bytes], None], size: int = 65536) -> bool:
        """Hand the next piece of the app's stderr to ``write``; False at the end, which closes it.

        Waits for it, unless ``stderr`` has been made non-blocking: then it raises BlockingIOError.
        """
        piece = posix.read(self._stderr, size)
        if not piece:
            posix.close(self._stderr)
            return False
        self._tail = (self._tail + piece)[-STDERR_TAIL:]
        write(piece)
        return True

    def last_lines(self) -> str:
        """What the app, which has ended, wrote to its stderr last: at most STDERR_TAIL bytes, no line cut in two."""
        self._await_last_words()
        text = self._tail.decode("utf-8", "replace")
        if len(self._tail) == STDERR_TAIL:
            # Unless one line is all there is: a part of it says more than nothing.
            text = text.partition("\n")[2] or text
        return text.strip()

    def _await_last_words(self) -> None:
        if self._draining is not None and self._draining.acquire(timeout=_LAST_WORDS):
            self._draining.release()

    def exit_code(self) -> int | None:
        """None while the app runs; else its exit code as a shell gives it, 128 + n for signal n. One thread may ask."""
        if self._exit_code is None:
            pid, status = posix.waitpid(self.pid, posix.WNOHANG)
            if pid:
                self._note_exit(status)
        return self._exit_code

    def reap_all(self) -> None:
        """Wait for every child that has ended, the app and orphans alike: for PID 1, and for a subreaper.

        Nobody else in this process may have children of its own.
        """
        for pid, status in ended_children():
            if pid == self.pid:
                self._note_exit(status)

    def _note_exit(self, status: int) -> None:
        code = posix.waitstatus_to_exitcode(status)
        self._exit_code = code if code >= 0 else 128 - code

    def signal(self, number: int) -> None:
        """Send a signal to the app's whole group; one that is gone already is no error."""
        # By then its number may be another group's.
        if not self._group_is_gone:
            _ignore_os_error(lambda: posix.killpg(self.pid, number))

    def terminate(self) -> None:
        """Tell the app's whole group to end."""
        self.signal(_signal.SIGTERM)

    def kill(self) -> None:
        """Kill the app's whole group: also, after an orderly end, what the app left behind in it."""
        self.signal(_signal.SIGKILL)
        self._group_is_gone = self._exit_code is not None

    def stop(self, grace: float, wait: Callable[[float], None]) -> int:
        """Wait up to ``grace`` seconds for the app to end, then kill its group; give its exit code.

        What it said last has been handed on by then, unless somebody outside the group holds its stderr open.

        The app must have been told to end. ``wait(seconds)`` returns early when a child of ours has ended.
        """
        give_up = monotonic() + grace
        while (code := self.exit_code()) is None and monotonic() < give_up:
            wait(_STOP_POLL)
        self.kill()
        while code is None:
            wait(_STOP_POLL)
            code = self.exit_code()
        self._await_last_words()
        return code


def adopt_orphans() -> None:
    """Become the parent of every descendant that loses its own, as PID 1 is; Linux only."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def ended_children() -> Iterator[tuple[int, int]]:
    """Wait for every child that has ended: its pid and its status, as ``os.waitpid`` gives them."""
    while True:
        try:
            pid, status = posix.waitpid(-1, posix.WNOHANG)
        except ChildProcessError:
            return
        if pid == 0:
            return
        yield pid, status


def kill_children() -> None:
    """Kill whatever is still a child of this process or becomes one by that, and wait for it. Linux only.

    Most of them are orphans that left the app's group. The app's exit code is lost, unless it is known already. What we
    may not kill, since it runs as another user, is left alone.
    """
    for _ in range(_KILL_ROUNDS):
        pids = [int(pid) for pid in _read(f"/proc/self/task/{posix.getpid()}/children").split()]
        killed = [pid for pid in pids if _kill(pid)]
        if not killed:
            return
        for pid in killed:
            # Its children are ours by the time that this returns.
            posix.waitpid(pid, 0)


def _kill(pid: int) -> bool:
    """Whether ``pid``, a child that nobody has waited for, could be killed."""
    try:
        posix.kill(pid, _signal.SIGKILL)
    except PermissionError:
        return False
    return True


def _read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except OSError:
        # No /proc, or none that tells.
        return ""


def _spawn(command: list[str], environ: Mapping[str, str], *, stderr: int) -> int:
    """Start ``command``: its pid. Every other descriptor of ours closes by itself. Raises OSError."""
    held_back = _signal.pthread_sigmask(_signal.SIG_BLOCK, ())
    return posix.posix_spawnp(
        command[0],
        command,
        environ,
        file_actions=[(posix.POSIX_SPAWN_DUP2, stderr, 2)],
        setpgroup=0,
        setsigmask=held_back - {*ENDING, *PASSED_ON},
        setsigdef=_NOT_IGNORED,
    )


def _in_folder(folder: str | None, spawn: Callable[[], int]) -> int:
    """``spawn()`` with ``folder`` as the working directory."""
    if folder is None:
        return spawn()
    try:
        ours = posix.open(".", _FOLDER_AS_SUCH)
    except PermissionError:
        # Whoever may not search the folder that he is in, as after su, has no use for it afterwards either.
        posix.chdir(folder)
        return spawn()
    try:
        posix.chdir(folder)
        try:
            return spawn()
        finally:
            posix.fchdir(ours)
    finally:
        posix.close(ours)


def _with_limit(descriptors: int | None, spawn: Callable[[], int]) -> int:
    """``spawn()`` with ``descriptors`` as the soft limit of open files."""
    if descriptors is None:
        return spawn()
    import resource  # the runtime, which is waited for, has no use for it

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, hard))
    try:
        return spawn()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _mistakes(command: list[str], environ: Mapping[str, str], directory: str | None, error: OSError) -> list[str]:
    """Why ``command`` cannot be started."""
    from adapter.app.command import program_mistakes  # only a mistake needs it

    mistakes = list(program_mistakes(command, environ, directory))
    return mistakes or [f"CMD: {command[0]!r} cannot be started: {error.strerror}"]


def _ignore_os_error(call: Callable[[], None]) -> None:
    try:
        call()
    except OSError:
        # The process is gone, or is another user's by now: what was to be reached is out of reach.
        return
