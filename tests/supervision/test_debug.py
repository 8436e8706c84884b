"""``adapter dev --debug`` on a terminal: the app reads it, nothing is limited, and Ctrl-C ends everything."""

from __future__ import annotations

import sys
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from tests.supervision.supervised import PATIENCE
from tests.supervision.terminal import CTRL_C, Terminal

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
