"""``adapter dev`` on a terminal: its keys, the mode of the terminal at each end, and a quiet shutdown."""

from __future__ import annotations

import http.client
import re
import sys
from pathlib import Path

import pytest

from tests.supervision.terminal import CTRL_C, CTRL_Z, Terminal

APP = Path(__file__).parent / "chatty_app.py"
DEV = f"{sys.executable} -I -m adapter dev --port 0 --warm -- {sys.executable} {APP} {{port}}"
# The first key that is typed is read by another process, which had the terminal between its arrival and the keys' read.
LOST_KEY = """
import asyncio, os
from adapter.emulator.terminal.keys import Keys

def lose(seconds, callback):
    loop.call_later = call_later
    print("lost", os.read(0, 64), flush=True)
    loop.call_later(2 * seconds, print, "still here")
    return loop.call_later(seconds, callback)

loop = asyncio.new_event_loop()
call_later, loop.call_later = loop.call_later, lose
keys = Keys(loop, {"k": loop.stop})
keys.open()
print("press a key", flush=True)
loop.run_forever()
keys.close()
loop.close()
"""
# The shell itself does not touch the terminal between these commands.
COMPARED = 'mode=$(stty -g); {}; echo code=$?; test "$mode" = "$(stty -g)" && echo "same $((40 + 2))"\n'


def get(port: int, path: str) -> bytes:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path)
    body = connection.getresponse().read()
    connection.close()
    return body


def start(terminal: Terminal) -> int:
    """Start dev on the terminal. Return the port of its front door."""
    terminal.type(COMPARED.format(DEV))
    port = int(terminal.wait_for(r"function URL at http://127\.0\.0\.1:(\d+)/")[1])
    terminal.wait_for("press h for help")
    terminal.wait_for("is warm")
    return port


def test_keys_act_and_the_terminal_is_restored() -> None:
    with Terminal() as terminal:
        port = start(terminal)
        terminal.type("h")
        terminal.wait_for("replay the last request")
        terminal.type("r")
        terminal.wait_for("no request to repeat yet")
        assert get(port, "/") == b"abcd"
        request_id = terminal.wait_for(r"GET / .*200.* \| environment 1 \| ([0-9a-f-]{36})")[1]
        terminal.type("r")
        assert terminal.wait_for(r"GET / .*200.* \| environment 1 \| ([0-9a-f-]{36})")[1] != request_id
        terminal.type("o")
        terminal.wait_for(r"the inspector is at http://127\.0\.0\.1:\d+/[\w-]{32}/")
        terminal.type("i")
        terminal.wait_for("an hour older")
        terminal.type("f")
        terminal.wait_for("delay=1 is injected")
        terminal.type("x")
        terminal.wait_for("the inspector is empty")
        # Neither a key without a meaning nor an arrow key does anything.
        terminal.type("z\x1b[A")
        terminal.type("q")
        terminal.wait_for("requests +2, 2 invocations")
        terminal.wait_for("code=0")
        terminal.wait_for("same 42")


def test_a_slow_request_is_shown_in_place_and_a_shutdown_is_quiet() -> None:
    with Terminal() as terminal:
        port = start(terminal)
        slow = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
        slow.request("GET", "/slow")
        terminal.wait_for(r"… GET /slow \| 1\.\d\d s \| 2 B")
        terminal.wait_for(r"\r\x1b\[2K")
        slow.close()
        terminal.type(CTRL_C)
        shown = terminal.wait_for(r"(?s).*hidden output lines from the shutdown of the environments: (\d+).*same 42")
        assert int(shown[1]) >= 50
        assert "step 49" not in shown[0]
        assert re.search("code=130", shown[0])


def test_ctrl_z_and_a_signal_restore_the_terminal() -> None:
    with Terminal() as terminal:
        terminal.type(f"mode=$(stty -g); {DEV}\n")
        port = int(terminal.wait_for(r"function URL at http://127\.0\.0\.1:(\d+)/")[1])
        terminal.wait_for("is warm")
        terminal.type(CTRL_Z)
        terminal.wait_for("Stopped")
        terminal.type('test "$mode" = "$(stty -g)" && echo "same $((40 + 2))"\n')
        terminal.wait_for("same 42")
        # In the background the keys belong to the shell.
        terminal.type("bg\n")
        terminal.wait_for("adapter dev")
        assert get(port, "/") == b"abcd"
        terminal.type("q\x7f\n")
        terminal.wait_for_prompt()
        terminal.type("fg\n")
        terminal.wait_for("adapter dev")
        terminal.type("h")
        terminal.wait_for("replay the last request")
        terminal.type(CTRL_C)
        terminal.type('test "$mode" = "$(stty -g)" && echo "again $((40 + 3))"\n')
        terminal.wait_for("again 43")


@pytest.mark.parametrize(
    "end",
    [
        pytest.param("raise RuntimeError('a crash')", id="exception"),
        pytest.param("sys.exit(3)", id="exit"),
    ],
)
def test_the_terminal_is_restored_after_a_crash(end: str) -> None:
    code = (
        "import asyncio, sys; from adapter.emulator.terminal.keys import Keys; "
        f"keys = Keys(asyncio.new_event_loop(), {{}}); keys.open(); print('open', keys.is_open, flush=True); {end}"
    )
    with Terminal() as terminal:
        terminal.type(COMPARED.format(f'{sys.executable} -W ignore -c "{code}"'))
        terminal.wait_for("open True")
        terminal.wait_for("code=[1-9]")
        terminal.wait_for("same 42")


def test_a_key_that_another_process_has_read_is_not_waited_for(tmp_path: Path) -> None:
    """As the lines that a debugger reads, whose app ends before the keys are read."""
    (tmp_path / "lost_key.py").write_text(LOST_KEY)
    with Terminal() as terminal:
        terminal.type(COMPARED.format(f"PYTHONPATH=. {sys.executable} -u {tmp_path}/lost_key.py"))
        terminal.wait_for("press a key")
        terminal.type("k")
        terminal.wait_for("lost b'k'")
        terminal.wait_for("still here")
        terminal.type("k")
        terminal.wait_for("code=0")
        terminal.wait_for("same 42")
