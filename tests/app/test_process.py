"""The app's process: real programs that are started, get signals, are waited for and never left behind."""

from __future__ import annotations

import gc
import json
import os
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from select import POLLIN, poll
from tempfile import TemporaryDirectory

import pytest

from adapter.app.process import STDERR_TAIL, AppProcess, Lifeline
from adapter.errors import ConfigurationError

PATIENCE = 20.0
LIFELINE = Lifeline()
NOBODY = 65534
TELL = "import json, os, signal, sys; tell = lambda value: os.write(2, json.dumps(value).encode() + b'\\n');"


class Started:
    """An app, and everything that it wrote to its stderr."""

    def __init__(self, command: list[str], environ: dict[str, str], directory: str | None) -> None:
        self.process = AppProcess(command, environ=environ, directory=directory, lifeline=LIFELINE)
        self.written = b""
        self._changed = threading.Condition()
        self.process.forward_stderr(self._take)

    def _take(self, piece: bytes) -> None:
        with self._changed:
            self.written += piece
            self._changed.notify_all()

    def line(self) -> bytes:
        """Wait for the first line and return it."""
        with self._changed:
            assert self._changed.wait_for(lambda: b"\n" in self.written, PATIENCE)
            return self.written.partition(b"\n")[0]

    def exit_code(self) -> int:
        """Wait for the process to end and return its exit code."""
        os.waitid(os.P_PID, self.process.pid, os.WEXITED | os.WNOWAIT)
        code = self.process.exit_code()
        assert code is not None
        return code


class Starter:
    """Starts programs in Python, or any command."""

    def __init__(self) -> None:
        self.started: list[Started] = []

    def run(
        self, command: list[str], *, environ: dict[str, str] | None = None, directory: str | None = None
    ) -> Started:
        self.started.append(Started(command, {"PATH": os.environ["PATH"]} | (environ or {}), directory))
        return self.started[-1]

    def python(self, code: str, **environ: str) -> Started:
        return self.run([sys.executable, "-c", TELL + code], environ=environ)


@pytest.fixture
def start() -> Iterator[Starter]:
    starter = Starter()
    yield starter
    for each in starter.started:
        each.process.stop(0, no_wait)


def no_wait(seconds: float) -> None:
    """Waits in a poll() without descriptors."""
    poll().poll(seconds * 1000)


EXITS = [
    pytest.param("sys.exit(0)", 0, id="0"),
    pytest.param("sys.exit(3)", 3, id="3"),
    pytest.param("os._exit(255)", 255, id="255"),
    pytest.param("os.kill(os.getpid(), signal.SIGKILL)", 128 + 9, id="killed"),
    pytest.param("os.kill(os.getpid(), signal.SIGTERM)", 128 + 15, id="terminated"),
]


@pytest.mark.parametrize(("code", "expected"), EXITS)
def test_an_exit_code_is_that_of_a_shell(start: Starter, code: str, expected: int) -> None:
    app = start.python(code)
    assert app.exit_code() == expected
    assert app.process.exit_code() == expected


def test_an_app_that_runs_has_no_exit_code(start: Starter) -> None:
    app = start.python("tell(1); signal.pause()")
    app.line()
    assert app.process.exit_code() is None


FAILED_STARTS = [
    pytest.param(["no-such"], None, "CMD: 'no-such' is not a program that can be run (it is not on PATH)", id="name"),
    pytest.param(["/no/such"], None, "CMD: '/no/such' is not a program that can be run (it does not", id="no-file"),
    pytest.param(["/"], None, "CMD: '/' is not a program that can be run (it is a folder)", id="a-folder"),
    pytest.param(["true"], "/no/folder", "--app-dir: '/no/folder' is not a folder", id="no-folder"),
]


@pytest.mark.parametrize(("command", "directory", "message"), FAILED_STARTS)
def test_a_command_that_cannot_be_started_is_a_mistake_that_is_named(
    start: Starter, command: list[str], directory: str | None, message: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"^{re.escape(message)}"):
        start.run(command, directory=directory)


def test_so_is_a_program_that_the_system_refuses_to_run(start: Starter, tmp_path: Path) -> None:
    program = tmp_path / "my-app"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o755)
    with pytest.raises(
        ConfigurationError, match=f"^CMD: '{program}' cannot be started: /no/such/interpreter, the inter"
    ):
        start.run([str(program)])


def test_a_start_that_fails_leaves_no_descriptor_and_the_own_folder_as_it_was(start: Starter, tmp_path: Path) -> None:
    # What is garbage must not be closed in between.
    gc.collect()
    before = sorted(os.listdir("/proc/self/fd")), os.getcwd()
    with pytest.raises(ConfigurationError):
        start.run(["no-such"], directory=str(tmp_path))
    assert (sorted(os.listdir("/proc/self/fd")), os.getcwd()) == before


def test_a_start_without_a_descriptor_left_is_no_mistake_of_the_command(start: Starter) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, hard))
    try:
        with pytest.raises(OSError, match="Too many open files"):
            start.run(["true"])
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture
def closed_folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a new folder with / as the working directory."""
    with TemporaryDirectory() as name:
        monkeypatch.chdir("/")
        yield Path(name)
        os.chdir("/")
        Path(name).chmod(0o700)


@contextmanager
def as_somebody(folder: Path) -> Iterator[None]:
    """Run the block as a user that is not root and may not search ``folder``."""
    folder.chmod(0)
    users = os.getresuid()
    if os.geteuid() == 0:
        os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield
    finally:
        os.setresuid(*users)


def test_an_app_is_started_from_a_folder_that_may_not_be_searched(start: Starter, closed_folder: Path) -> None:
    os.chdir(closed_folder)
    with as_somebody(closed_folder):
        app = start.run(["/bin/sh", "-c", "pwd >&2; exit 7"], directory="/")
    assert (app.line(), app.exit_code()) == (b"/", 7)


def test_a_folder_that_may_not_be_entered_is_a_mistake_that_is_named(start: Starter, closed_folder: Path) -> None:
    with (
        as_somebody(closed_folder),
        pytest.raises(ConfigurationError, match=f"^--app-dir: '{closed_folder}' cannot be entered: no permission$"),
    ):
        start.run(["/bin/sh", "-c", "exit 7"], directory=str(closed_folder))


def test_a_command_is_looked_for_on_the_path(start: Starter, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "my-app"
    program.write_text("#!/bin/sh\nexit 5\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert start.run(["my-app"]).exit_code() == 5


def test_a_relative_command_is_looked_for_in_the_apps_folder(start: Starter, tmp_path: Path) -> None:
    program = tmp_path / "my-app"
    program.write_text("#!/bin/sh\nexit 6\n")
    program.chmod(0o755)
    before = os.getcwd()
    assert start.run(["./my-app"], directory=str(tmp_path)).exit_code() == 6
    assert os.getcwd() == before


def test_an_app_gets_exactly_its_environment_its_folder_and_its_arguments(start: Starter, tmp_path: Path) -> None:
    code = TELL + "tell([sorted(set(os.environ) - {'LC_CTYPE'}), os.environ['A'], os.getcwd(), sys.argv[1:]])"
    command = [sys.executable, "-c", code, "two words", "$HOME"]
    app = start.run(command, environ={"A": "é"}, directory=str(tmp_path))
    assert json.loads(app.line()) == [["A", "PATH"], "é", str(tmp_path), ["two words", "$HOME"]]


def test_an_app_leads_a_process_group_of_its_own(start: Starter) -> None:
    app = start.python("tell([os.getpid(), os.getpgid(0)]); signal.pause()")
    assert json.loads(app.line()) == [app.process.pid, app.process.pid]
    assert app.process.pid != os.getpgid(0)


def test_an_app_gets_the_signals_that_python_itself_ignores(start: Starter) -> None:
    assert signal.getsignal(signal.SIGPIPE) == signal.SIG_IGN
    # A shell does not touch them, unlike a Python that starts.
    assert start.run(["/bin/sh", "-c", "kill -PIPE $$; exit 0"]).exit_code() == 128 + signal.SIGPIPE


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGQUIT], ids=["int", "quit"])
def test_an_app_gets_the_signals_that_a_script_has_its_background_commands_ignore(
    start: Starter, number: signal.Signals
) -> None:
    before = signal.signal(number, signal.SIG_IGN)
    try:
        assert start.run(["/bin/sh", "-c", f"kill -{int(number)} $$; exit 0"]).exit_code() == 128 + number
    finally:
        signal.signal(number, before)


def test_an_app_goes_on_ignoring_what_nohup_ignores(start: Starter) -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert start.run(["/bin/sh", "-c", "kill -HUP $$; exit 5"]).exit_code() == 5
    finally:
        signal.signal(signal.SIGHUP, before)


def test_an_app_has_no_signal_blocked(start: Starter) -> None:
    app = start.run(["/bin/sh", "-c", "grep SigBlk /proc/self/status >&2"])
    assert app.line().split() == [b"SigBlk:", b"0000000000000000"]


def test_an_app_inherits_no_descriptor_of_ours_but_its_lifeline(start: Starter) -> None:
    show = ["/bin/sh", "-c", "echo $(ls /proc/self/fd) >&2"]
    # Whatever started the tests may have left some open; the lifeline would be inherited from here as well.
    others = subprocess.run(show, close_fds=False, stderr=subprocess.PIPE, check=True, timeout=PATIENCE).stderr
    assert str(LIFELINE.descriptor).encode() in others.split()
    assert start.run(show).line().split() == others.split()


def test_a_signal_reaches_the_whole_group(start: Starter) -> None:
    code = (
        "child = os.fork();"
        "signal.signal(signal.SIGUSR1, lambda *_: (tell(['child', 'parent'][child > 0]), os._exit(0)));"
        "tell('ready');"
        "signal.pause()"
    )
    app = start.python(code)
    ready = b'"ready"\n' * 2
    with app._changed:
        assert app._changed.wait_for(lambda: app.written == ready, PATIENCE)
    app.process.signal(signal.SIGUSR1)
    with app._changed:
        assert app._changed.wait_for(lambda: len(app.written) > len(ready) + 15, PATIENCE)
    assert sorted(app.written[len(ready) :].split()) == [b'"child"', b'"parent"']


def test_a_signal_to_an_app_that_is_gone_is_no_error(start: Starter) -> None:
    app = start.python("pass")
    app.exit_code()
    app.process.signal(signal.SIGTERM)


def test_stderr_is_passed_on_as_it_is_written(start: Starter) -> None:
    app = start.python(r"os.write(2, b'\xff\0first\n'); signal.pause()")
    assert app.line() == b"\xff\0first"


def test_the_tail_of_stderr_consists_of_whole_lines(start: Starter) -> None:
    app = start.python("os.write(2, b''.join(b'line %d\\n' % n for n in range(5000)))")
    app.exit_code()
    lines = app.process.stderr_tail().split("\n")
    first = 5000 - len(lines)
    assert lines == [f"line {number}" for number in range(first, 5000)]
    assert STDERR_TAIL - 40 < sum(len(line) + 1 for line in lines) <= STDERR_TAIL
    assert app.written.count(b"\n") == 5000


def test_the_tail_of_a_short_stderr_is_all_of_it(start: Starter) -> None:
    app = start.python("os.write(2, b'\\n one\\n\\xff two\\n\\n')")
    app.exit_code()
    assert app.process.stderr_tail() == "one\n\ufffd two"


@pytest.mark.parametrize("end", ["", "\\n"], ids=["no-line-end", "line-end"])
def test_of_one_long_line_the_end_is_kept(start: Starter, end: str) -> None:
    app = start.python(f"os.write(2, b'x' * 10000 + b' the cause{end}')")
    app.exit_code()
    assert app.process.stderr_tail().endswith("xxx the cause")


def test_the_tail_of_stderr_does_not_wait_for_a_grandchild_that_keeps_the_pipe_open(start: Starter) -> None:
    # The grandchild ends with these tests, which hold the lifeline's other end.
    stay = f"os.setpgid(0, 0), os.read({LIFELINE.descriptor}, 1)"
    app = start.python(f"os.write(2, b'the cause\\n'); os.fork() or ({stay}); os._exit(1)")
    app.line()
    assert app.exit_code() == 1
    assert app.process.stderr_tail() == "the cause"


def test_stop_gives_the_exit_code_of_an_app_that_ends_in_time(start: Starter) -> None:
    app = start.python("signal.signal(signal.SIGTERM, lambda *_: os._exit(4)); tell(1); signal.pause()")
    app.line()
    app.process.signal(signal.SIGTERM)
    assert app.process.stop(PATIENCE, no_wait) == 4


def test_stop_returns_when_the_apps_last_words_have_been_passed_on(start: Starter) -> None:
    size = 50_000
    code = (
        f"signal.signal(signal.SIGTERM, lambda *_: (os.write(2, b'x' * {size}), os._exit(0))); tell(1); signal.pause()"
    )
    for _ in range(5):
        app = start.python(code)
        app.line()
        app.process.signal(signal.SIGTERM)
        app.process.stop(PATIENCE, no_wait)
        assert app.written.count(b"x") == size


def test_stop_kills_an_app_that_does_not_end_in_time(start: Starter) -> None:
    app = start.python("signal.signal(signal.SIGTERM, signal.SIG_IGN); tell(1); signal.pause()")
    app.line()
    app.process.signal(signal.SIGTERM)
    assert app.process.stop(0.05, no_wait) == 128 + signal.SIGKILL


def test_stop_also_kills_what_an_app_that_ended_left_in_its_group(start: Starter, tmp_path: Path) -> None:
    fifo = str(tmp_path / "alive")
    os.mkfifo(fifo)
    app = start.python(f"alive = os.open({fifo!r}, os.O_WRONLY); os.fork() or signal.pause(); os._exit(0)")
    with open(fifo, "rb", buffering=0) as alive:
        assert app.process.stop(PATIENCE, no_wait) == 0
        # The end of the file is the end of the last one that had it open.
        assert readable(alive.fileno())
        assert alive.read(1) == b""


@pytest.mark.parametrize(
    "how",
    [
        pytest.param("signal.pause()", id="the-app-itself"),
        pytest.param("os.fork() and os._exit(0); signal.pause()", id="what-it-left-behind"),
    ],
)
def test_an_app_does_not_outlive_an_adapter_that_was_killed(tmp_path: Path, how: str) -> None:
    fifo = str(tmp_path / "alive")
    os.mkfifo(fifo)
    app = f"import os, signal; alive = os.open({fifo!r}, os.O_WRONLY); os.write(alive, b'x'); {how}"
    adapter = (
        "import sys, signal\n"
        "from adapter.app.process import AppProcess, Lifeline\n"
        f"AppProcess([sys.executable, '-c', {app!r}], environ={{}}, lifeline=Lifeline())\n"
        "signal.pause()"
    )
    parent = subprocess.Popen([sys.executable, "-I", "-c", adapter])
    try:
        with open(fifo, "rb", buffering=0) as alive:
            assert alive.read(1) == b"x"
            parent.kill()
            assert readable(alive.fileno())
            assert alive.read(1) == b""
    finally:
        parent.kill()
        parent.wait(PATIENCE)


def test_what_may_not_be_killed_is_left_alone() -> None:
    """A child of another user, as sudo creates one. Without root, it can be killed like any other."""
    code = (
        "import os, signal, sys\n"
        "from adapter.app.process import kill_children\n"
        "read_end, write_end = os.pipe()\n"
        "if os.fork() == 0:\n"
        "    os.close(write_end)\n"
        "    os.read(read_end, 1)\n"
        "    os._exit(0)\n"
        f"os.geteuid() or os.setresuid({NOBODY}, {NOBODY}, {NOBODY})\n"
        "kill_children()\n"
        "print('done')"
    )
    done = subprocess.run([sys.executable, "-I", "-c", code], capture_output=True, timeout=PATIENCE, check=True)
    assert done.stdout == b"done\n"


def readable(descriptor: int) -> bool:
    poller = poll()
    poller.register(descriptor, POLLIN)
    return bool(poller.poll(PATIENCE * 1000))
