"""Real process trees: started, watched, and gone afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from adapter.emulator.process import ProcessTree, exit_text, start_process

MARKER = "EMULATOR_TEST_MARK"

# Each tells the FIFO who it is, and waits for ever.
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


async def started(folder: Path, *arguments: str) -> tuple[ProcessTree, dict[str, int]]:
    """A tree, and its pids by name."""
    fifo = folder / "fifo"
    os.mkfifo(fifo)
    environ = dict(os.environ) | {MARKER: str(folder)}
    command = [sys.executable, "-I", "-c", TREE, str(fifo), *arguments]
    tree = await start_process(command, environ, marker=f"{MARKER}={folder}")
    return tree, await asyncio.to_thread(names_and_pids, fifo)


def names_and_pids(fifo: Path) -> dict[str, int]:
    """What the four members of a tree tell."""
    # Open for writing as well, so that there is no end of file between two writers.
    with os.fdopen(os.open(fifo, os.O_RDWR)) as lines:
        told = (lines.readline().split() for _ in range(4))
        return {name: int(pid) for name, pid in told}


def is_running(pid: int) -> bool:
    """Whether there is such a process; a zombie that nobody has waited for is none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.parametrize("deaf", [pytest.param([], id="ends-when-asked"), pytest.param(["deaf"], id="is-killed")])
async def test_nothing_of_a_tree_is_left_when_it_is_stopped(tmp_path: Path, deaf: list[str]) -> None:
    tree, pids = await started(tmp_path, *deaf)
    assert all(is_running(pid) for pid in pids.values())
    await tree.stop()
    assert [name for name, pid in pids.items() if is_running(pid)] == []


async def test_what_a_dead_child_left_behind_is_ended_as_well(tmp_path: Path) -> None:
    tree, pids = await started(tmp_path)
    os.kill(pids["runtime"], signal.SIGKILL)
    assert await tree.wait() == -signal.SIGKILL
    assert is_running(pids["daemon"])
    await tree.stop()
    assert [name for name, pid in pids.items() if is_running(pid)] == []


async def test_an_exit_code_is_passed_on(tmp_path: Path) -> None:
    tree = await start_process([sys.executable, "-I", "-c", "raise SystemExit(3)"], dict(os.environ), marker="x=y")
    assert await tree.wait() == 3
    await tree.stop()


def test_the_child_is_told_when_its_parent_dies_without_a_word() -> None:
    parent = """
import asyncio, os, signal, sys
from adapter.emulator.process import start_process
async def main():
    child = [sys.executable, "-I", "-c", "import signal; print('up', flush=True); signal.pause()"]
    await start_process(child, dict(os.environ), marker="x=y")
    sys.stdin.readline()
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    command = [sys.executable, "-c", parent]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline() == "up\n"
        process.stdin.write("\n")
        process.stdin.flush()
        assert process.wait() == -signal.SIGKILL
        # The child has the same output, which ends when the last of them does.
        assert process.stdout.read() == ""


@pytest.mark.parametrize(
    ("code", "text"), [(0, "exit status 0"), (3, "exit status 3"), (-9, "signal: killed"), (-15, "signal: terminated")]
)
def test_exits_are_told_in_lambdas_words(code: int, text: str) -> None:
    assert exit_text(code) == text
