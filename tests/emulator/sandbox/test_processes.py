"""Real process trees: started, watched, and gone afterwards."""

from __future__ import annotations

import asyncio
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from adapter.emulator.sandbox import process_tree
from adapter.emulator.sandbox.processes import ChildProcess, ProcessTree, Programs, exit_text
from adapter.emulator.sandbox.variables import LOG_STREAM

# Each process writes its name to the FIFO, and waits for ever.
TREE = """
import os, signal, sys
def wait(name, *ignored):
    for number in ignored:
        signal.signal(number, signal.SIG_IGN)
    with open(sys.argv[1], "w") as fifo:
        fifo.write(f"{name} {os.getpid()}\\n")
    signal.pause()
    sys.exit(0)
if os.fork() == 0:
    wait("child", signal.SIGTERM)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        wait("daemon", signal.SIGTERM)
    os._exit(0)
if os.fork() == 0:
    os.setpgid(0, 0)
    wait("app")
wait("runtime", *([signal.SIGTERM] if sys.argv[2:] == ["deaf"] else []))
"""


# The user and group without rights that every Linux has.
NOBODY = 65534

Lines = list[tuple[bytes, str]]


def tree_of(command: list[str], lines: Lines | None = None, **programs: Any) -> ProcessTree:
    """Return the processes of an environment whose runtime is ``command``; ``lines`` receives their output."""
    written = [] if lines is None else lines
    what = Programs(
        runtime=command,
        variables=lambda runtime_api, log_stream, initialization_type: (
            os.environ | {LOG_STREAM: log_stream, "API": runtime_api, "KIND": initialization_type}
        ),
        **programs,
    )
    return ProcessTree(what, lambda line, category, _stream: written.append((line, category)), "on-demand")


async def started(folder: Path, *arguments: str) -> tuple[ProcessTree, ChildProcess, dict[str, int]]:
    """Return a tree, its runtime, and its pids by name."""
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    tree = tree_of([sys.executable, "-I", "-c", TREE, str(fifo), *arguments])
    runtime = await tree.start_runtime("127.0.0.1:1")
    return tree, runtime, await asyncio.to_thread(names_and_pids, fifo)


def names_and_pids(fifo: Path) -> dict[str, int]:
    """Return the names and pids that the four members of a tree write."""
    # Open for writing as well, so that there is no end of file between two writers.
    with os.fdopen(os.open(fifo, os.O_RDWR)) as lines:
        pairs = (lines.readline().split() for _ in range(4))
        return {name: int(pid) for name, pid in pairs}


def state(pid: int) -> str:
    """Return the letter of a process's state as ps shows it; empty where there is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return ""


def wait_until_all(pids: dict[str, int], condition: Callable[[str], bool]) -> None:
    """Wait until the state of each process is as it should be: a signal takes its time to a process that runs."""
    while not all(condition(state(pid)) for pid in pids.values()):
        pass


def high_water_mark(pid: int) -> int:
    """Return the most memory that a process has had, in bytes."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))


def is_running(pid: int) -> bool:
    """Return whether the process exists and is not a zombie."""
    return state(pid) not in ("", "Z")


@pytest.mark.parametrize("deaf", [pytest.param([], id="ends-when-asked"), pytest.param(["deaf"], id="is-killed")])
async def test_no_process_of_a_tree_is_left_when_it_has_ended(tmp_path: Path, deaf: list[str]) -> None:
    tree, runtime, pids = await started(tmp_path, *deaf)
    assert all(is_running(pid) for pid in pids.values())
    tree.snapshot_members()
    runtime.terminate()
    if not deaf:
        assert await runtime.wait() in (0, -signal.SIGTERM)
    await tree.end()
    assert [name for name, pid in pids.items() if is_running(pid)] == []


async def test_processes_that_a_dead_child_left_behind_are_ended_as_well(tmp_path: Path) -> None:
    tree, runtime, pids = await started(tmp_path)
    os.kill(pids["runtime"], signal.SIGKILL)
    assert await runtime.wait() == -signal.SIGKILL
    assert is_running(pids["daemon"])
    await tree.end()
    assert [name for name, pid in pids.items() if is_running(pid)] == []


async def test_a_frozen_tree_is_stopped_to_the_last_process_until_it_is_thawed(tmp_path: Path) -> None:
    tree, _, pids = await started(tmp_path)
    tree.freeze()
    wait_until_all(pids, lambda letter: letter == "T")
    tree.thaw()
    wait_until_all(pids, lambda letter: letter != "T")
    tree.freeze()
    await tree.end()
    assert [name for name, pid in pids.items() if is_running(pid)] == []


@contextmanager
def as_another_user() -> Iterator[bool]:
    """No longer as the user who has started everything; only root can become another one, and comes back."""
    users = os.getresuid()
    changed = os.geteuid() == 0
    if changed:
        os.setresuid(NOBODY, NOBODY, 0)
    try:
        yield changed
    finally:
        os.setresuid(*users)


async def test_a_tree_of_another_user_is_left_alone_and_not_waited_for(tmp_path: Path) -> None:
    tree, runtime, pids = await started(tmp_path)
    with as_another_user() as changed:
        tree.freeze()
        tree.thaw()
        tree.snapshot_members()
        if changed:
            runtime.terminate()
        async with asyncio.timeout(10):
            await tree.end()
            assert await runtime.wait() == -signal.SIGKILL
    assert [is_running(pid) for pid in pids.values()] == [changed] * 4
    await tree.end()
    assert [name for name, pid in pids.items() if is_running(pid)] == []


def pausing() -> subprocess.Popen[bytes]:
    """Return a child that asyncio does not wait for."""
    return subprocess.Popen([sys.executable, "-I", "-c", "import signal; signal.pause()"])


async def test_an_orphan_of_another_user_is_left_alone_and_not_waited_for() -> None:
    with pausing() as orphan:
        try:
            with as_another_user() as changed:
                async with asyncio.timeout(10):
                    await process_tree.kill_all(b"NO=SUCH_MARKER", {orphan.pid})
            assert is_running(orphan.pid) == changed
        finally:
            orphan.kill()


async def test_memory_is_that_of_all_processes_that_have_a_parent(tmp_path: Path) -> None:
    tree, _, pids = await started(tmp_path)
    del pids["daemon"]
    assert tree.peak_memory() == sum(map(high_water_mark, pids.values()))
    await tree.end()


async def test_killing_the_app_kills_what_the_runtime_has_started(tmp_path: Path) -> None:
    tree, runtime, pids = await started(tmp_path)
    handle = os.pidfd_open(pids["app"])
    tree.kill_app()
    assert select.select([handle], [], [], 10)[0] == [handle]
    os.close(handle)
    assert runtime.is_running
    await tree.end()


async def test_killing_the_app_of_a_runtime_without_one_kills_the_runtime() -> None:
    tree = tree_of([sys.executable, "-I", "-c", "import signal; signal.pause()"])
    runtime = await tree.start_runtime("127.0.0.1:1")
    tree.kill_app()
    assert await runtime.wait() == -signal.SIGKILL
    await tree.end()


async def test_an_exit_code_is_returned_after_all_output_is_read(capfd: pytest.CaptureFixture[str]) -> None:
    lines: Lines = []
    code = "import sys; print('out'); sys.stderr.write('one\\ntwo'); sys.stdout.flush(); raise SystemExit(3)"
    tree = tree_of([sys.executable, "-I", "-c", code], lines)
    runtime = await tree.start_runtime("127.0.0.1:1")
    assert await runtime.wait() == 3
    await tree.end()
    assert sorted(lines) == [(b"one", "function"), (b"out", "function"), (b"two", "function")]
    assert capfd.readouterr() == ("out\n", "one\ntwo")


async def test_an_extension_is_a_file_and_its_lines_are_its_own(tmp_path: Path) -> None:
    lines: Lines = []
    script = tmp_path / "sidecar"
    script.write_text('#!/bin/sh\necho "$API $KIND $(basename "$0")"\n')
    script.chmod(0o755)
    tree = tree_of(["true"], lines, extensions={"sidecar": script})
    assert list(tree.extension_names) == ["sidecar"]
    extension = await tree.start_extension("sidecar", "127.0.0.1:9")
    assert await extension.wait() == 0
    await tree.end()
    assert lines == [(b"127.0.0.1:9 on-demand sidecar", "extension")]


async def test_a_command_that_cannot_be_started_is_an_error() -> None:
    tree = tree_of(["/no/such/runtime"])
    with pytest.raises(FileNotFoundError):
        await tree.start_runtime("127.0.0.1:1")
    await tree.end()


def test_the_child_is_ended_when_its_parent_is_killed() -> None:
    parent = """
import asyncio, os, signal, sys
from adapter.emulator.sandbox.processes import start_process
async def main():
    child = [sys.executable, "-I", "-c", "import os, signal; print(os.getpid(), flush=True); signal.pause()"]
    process = await start_process(child, dict(os.environ), on_line=lambda line, stream: None)
    await asyncio.to_thread(sys.stdin.readline)
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        handle = os.pidfd_open(int(process.stdout.readline()))
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait() == -signal.SIGKILL
        # It is readable once the process has ended.
        assert select.select([handle], [], [], 10)[0] == [handle]
        os.close(handle)


@pytest.mark.parametrize(
    ("code", "text"), [(0, "exit status 0"), (3, "exit status 3"), (-9, "signal: killed"), (-15, "signal: terminated")]
)
def test_exit_codes_are_described_in_lambdas_words(code: int, text: str) -> None:
    assert exit_text(code) == text
