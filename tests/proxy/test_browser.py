"""A real browser behind the proxy: Chromium runs a page that uses EventSource and WebSocket and shows what it got."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.proxy.process import ProxyProcess

BROWSER_SECONDS = 40.0
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
)


def browser() -> str:
    """Chromium's program; where CI is set it must be there."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is None and "CI" in os.environ:
        pytest.fail("Chromium is missing: apt-get install chromium")
    return found or ""


def dom_of(program: str, url: str, profile: Path) -> str:
    """Return the page's DOM when it has been loaded."""
    command = [program, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, check=False, timeout=BROWSER_SECONDS)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    return done.stdout.decode()


def test_event_source_and_websocket_in_a_browser(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program = browser()
    if not program:
        with capsys.disabled():
            sys.stderr.write("\nNo browser was tried: Chromium is missing (apt-get install chromium).\n")
        return
    command = (sys.executable, "-m", "uvicorn", "page_app:app", "--port", "{port}", "--ws", "websockets-sansio")
    with ProxyProcess("--app-dir", str(Path(__file__).parent), command=command) as proxy:
        html = dom_of(program, f"http://127.0.0.1:{proxy.port}/", tmp_path)
        proxy.wait_for_line("path=/events", "status=200")
        proxy.wait_for_line("path=/socket", "status=101")
    assert '<p id="events">1=number 1;2=number 2;3=number 3;end;</p>' in html
    assert '<p id="messages">ONE;TWO;closed 1000 true;</p>' in html
