"""``adapter dev --debug`` on a terminal: the app reads it, nothing is limited, and Ctrl-C ends everything."""

from __future__ import annotations

import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pytest

from adapter.emulator.sandbox.process_tree import descendants
from tests.supervision.supervised import PATIENCE
from tests.supervision.terminal import CTRL_C, CTRL_Z, Terminal, wait_until_stopped

DEV = f"{sys.executable} -I -m adapter dev --debug --port 0 --invoke-port 0"
APP = f"{sys.executable} -m tests.supervision.debugged_app"


def get(url: str) -> str:
    with urllib.request.urlopen(url, timeout=PATIENCE) as response:
        return str(response.read().decode())


def test_a_breakpoint_gets_the_terminal_and_ctrl_c_ends_dev() -> None:
    with Terminal() as terminal, ThreadPoolExecutor() as pool:
        terminal.type(f"{DEV} --timeout 1 --app-port 0 -- {APP}; echo code=$?\n")
        url = terminal.wait_for(r"function URL at (http://\S+/)")[1]
        terminal.wait_for(r"timeout +none \(--debug\)")
        answer = pool.submit(get, f"{url}stop")
        terminal.wait_for(r"\(Pdb\) ")
        terminal.type("answer = 'set by hand'\n")
        terminal.wait_for(r"\(Pdb\) ")
        terminal.type("import signal; signal.signal(signal.SIGINT, signal.SIG_DFL)\n")
        terminal.type("continue\n")
        assert answer.result(PATIENCE) == "set by hand"
        terminal.wait_for("GET /stop")
        terminal.type(CTRL_C)
        terminal.wait_for("code=130")


@pytest.mark.parametrize("is_sent_back", [False, True], ids=["fg", "bg-and-fg"])
def test_ctrl_z_at_a_breakpoint_stops_the_whole_job_and_fg_continues_it(is_sent_back: bool) -> None:
    with Terminal() as terminal, ThreadPoolExecutor() as pool:
        terminal.type(f"{DEV} --app-port 0 -- {APP}\n")
        url = terminal.wait_for(r"function URL at (http://\S+/)")[1]
        answer = pool.submit(get, f"{url}stop")
        terminal.wait_for(r"\(Pdb\) ")
        for value in ("once", "twice"):
            terminal.type(CTRL_Z)
            terminal.wait_for("Stopped")
            terminal.wait_for_prompt()
            terminal.type("jobs -p\n")
            dev = int(terminal.wait_for(r"(\d+)\r\n")[1])
            job = sorted(descendants([dev]))
            assert len(job) == 3, "adapter dev, the runtime and the app"
            wait_until_stopped(job)
            if is_sent_back:
                # The app still waits for a line, so the kernel stops it again, and with it the job.
                terminal.type("bg\n")
                terminal.wait_for(r"\[1\]\+ .* &")
                terminal.type("wait; jobs\n")
                terminal.wait_for("Stopped")
                terminal.wait_for_prompt()
            terminal.type("fg\n")
            terminal.wait_for("-m adapter dev")
            terminal.type(f"answer = '{value}'; print('set', answer)\n")
            terminal.wait_for(f"set {value}")
            terminal.wait_for(r"\(Pdb\) ")
        terminal.type("continue\n")
        assert answer.result(PATIENCE) == "twice"
        terminal.wait_for("GET /stop")
        terminal.type(CTRL_C)
        terminal.wait_for("Summary")
        terminal.wait_for_prompt()


def test_no_key_of_dev_takes_what_is_typed_for_the_debugger() -> None:
    with Terminal() as terminal, ThreadPoolExecutor() as pool:
        terminal.type(f"{DEV} --app-port 0 -- {APP}\n")
        url = terminal.wait_for(r"function URL at (http://\S+/)")[1]
        terminal.wait_for("try +curl")
        terminal.type("x = 6 * 7\np x\ncontinue\n")
        answer = pool.submit(get, f"{url}stop")
        terminal.wait_for(r"\(Pdb\) 42")
        assert answer.result(PATIENCE) == "untouched"
        terminal.wait_for("GET /stop")
        terminal.type(CTRL_C)
        terminal.wait_for("Summary")
        assert "press h" not in terminal.shown
        assert "\x1b[2K" not in terminal.shown, "no line is redrawn over the prompt"
