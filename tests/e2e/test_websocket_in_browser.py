"""A real browser that requests a WebSocket at a function URL: as on Lambda, it is not upgraded, and gets an error."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.logging_process import LoggingProcess
from tests.proxy.test_browser import browser, dom_of

APP = Path(__file__).parents[1] / "proxy"


def test_a_browsers_websocket_is_not_upgraded_and_the_rest_of_its_page_works(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    program = browser()
    if not program:
        with capsys.disabled():
            sys.stderr.write("\nNo browser was tried: Chromium is missing (apt-get install chromium).\n")
        return
    # The page sends several requests at a time to one app.
    options = [
        "--port",
        "0",
        "--invoke-port",
        "0",
        "--no-inspector",
        "--environments",
        "1",
        "--max-concurrency",
        "9",
        "--warm",
    ]
    app = [sys.executable, "-m", "uvicorn", "page_app:app", "--port", "{port}", "--ws", "websockets-sansio"]
    command = [sys.executable, "-I", "-m", "adapter", "dev", *options, "--app-dir", str(APP), "--", *app]
    with LoggingProcess(command, {}) as dev:
        [port] = re.findall(r"http://127\.0\.0\.1:(\d+)/$", dev.wait_for_line("try        curl"), re.MULTILINE)
        html = dom_of(program, f"http://127.0.0.1:{port}/", tmp_path)
        dev.wait_for_line("/socket: a client wants a WebSocket, but no front door of Lambda can upgrade")
        dev.wait_for_line("GET /socket 404")
    assert '<p id="events">1=number 1;2=number 2;3=number 3;end;</p>' in html
    assert '<p id="messages">closed 1006 false;</p>' in html
