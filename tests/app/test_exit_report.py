"""What is reported about an app that has ended."""

from __future__ import annotations

import pytest

from adapter.app.exit_report import cause_line, exit_hint, exit_text, failed_start_text

NODE = """node:internal/modules/cjs/loader:1228
  throw err;
  ^

Error: Cannot find module '/app/server.js'
    at Module._resolveFilename (node:internal/modules/cjs/loader:1225:15) {
  code: 'MODULE_NOT_FOUND',
  requireStack: []
}

Node.js v20.19.2
"""
GUNICORN = """[2026-01-01 00:00:00 +0000] [7] [ERROR] Exception in worker process
Traceback (most recent call last):
  File "arbiter.py", line 608, in spawn_worker
    worker.init_process()
ModuleNotFoundError: No module named 'main'
[2026-01-01 00:00:00 +0000] [7] [INFO] Worker exiting (pid: 7)
[2026-01-01 00:00:00 +0000] [6] [ERROR] Reason: Worker failed to boot.
"""
CHAINED = """Traceback (most recent call last):
  File "main.py", line 1, in <module>
KeyError: 'DATABASE'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "main.py", line 3, in <module>
django.core.exceptions.ImproperlyConfigured: set DATABASE
"""
JAVA = 'Exception in thread "main" java.lang.IllegalStateException: no port\n\tat Main.main(Main.java:3)\n'
GO = "panic: no port\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:8 +0x1d\nexit status 2\n"
RUBY = "server.rb:1:in `require': cannot load such file -- sinatra (LoadError)\n\tfrom server.rb:1:in `<main>'\n"
UVICORN = """INFO:     Started server process [7]
ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8080): address already in use
INFO:     Waiting for application shutdown.
INFO:     Application shutdown complete.
"""

CAUSES = [
    pytest.param(NODE, "Error: Cannot find module '/app/server.js'", id="node"),
    pytest.param(GUNICORN, "ModuleNotFoundError: No module named 'main'", id="gunicorn"),
    pytest.param(CHAINED, "django.core.exceptions.ImproperlyConfigured: set DATABASE", id="chained"),
    pytest.param(JAVA, 'Exception in thread "main" java.lang.IllegalStateException: no port', id="java"),
    pytest.param(GO, "panic: no port", id="go"),
    pytest.param(RUBY, "server.rb:1:in `require': cannot load such file -- sinatra (LoadError)", id="ruby"),
    pytest.param(
        UVICORN,
        "ERROR:    [Errno 98] error while attempting to bind on address ('127.0.0.1', 8080): address already in use",
        id="a-logger",
    ),
    pytest.param(
        "Failed to find attribute 'nope' in 'main'.\n[6] [ERROR] Reason: App failed to load.\n",
        "Failed to find attribute 'nope' in 'main'.",
        id="no-attribute",
    ),
    pytest.param("reading settings\nno database\n", "no database", id="the-last-line"),
    pytest.param("", "", id="nothing"),
]


@pytest.mark.parametrize(("stderr", "cause"), CAUSES)
def test_the_line_with_the_exception_is_the_cause(stderr: str, cause: str) -> None:
    assert cause_line(stderr) == cause


IN_CMD = "correct 'missing' in CMD, install this module, or set --app-dir to the folder that contains it"
NOT_FOUND = [
    pytest.param("ModuleNotFoundError: No module named 'missing'", IN_CMD, id="gunicorn"),
    pytest.param('ERROR:    Error loading ASGI app. Could not import module "missing".', IN_CMD, id="uvicorn"),
    pytest.param("Error: Could not import 'missing'.", IN_CMD, id="flask"),
    pytest.param("/usr/bin/python: No module named missing", IN_CMD, id="python-m"),
    pytest.param(
        "hypercorn.utils.NoAppError: Cannot load application from 'missing:app', module not found.",
        IN_CMD,
        id="hypercorn",
    ),
    pytest.param(
        "ModuleNotFoundError: No module named 'boto3'",
        "the Python that CMD starts does not find the module 'boto3'; install the package that contains it",
        id="imported-by-the-app",
    ),
    pytest.param("Error: Cannot find module 'express'", "in the app's folder, run: npm install express", id="node"),
    pytest.param("Error: Cannot find module '/app/lib/db'", "correct the path '/app/lib/db'", id="a-file-of-node"),
]


@pytest.mark.parametrize(("cause", "hint"), NOT_FOUND)
def test_a_module_that_is_not_found_is_reported_with_what_to_do(cause: str, hint: str) -> None:
    text = failed_start_text(3, f"Traceback:\n{cause}\n", ["server", "missing:app"])
    assert text == f"the app ended with exit code 3 before it was ready ({hint}): {cause}"


def test_a_pid_file_that_all_environments_share_is_explained() -> None:
    stderr = "A server is already running. Check /app/tmp/pids/server.pid.\nExiting\n"
    assert exit_hint(1, stderr, ["bin/rails", "server"]).endswith("add to CMD: -P tmp/pids/{port}.pid)")


def test_an_app_that_has_failed_does_not_start_a_server_in_the_background() -> None:
    """Hypercorn and other servers end with 0 after an exception in a process of theirs."""
    assert "in the background" in exit_hint(0, "bye", ["server"])
    assert exit_hint(0, "Traceback:\nKeyError: 'DATABASE'\nbye", ["server"]) == ""


@pytest.mark.parametrize(
    ("code", "text"),
    [(0, "exit code 0"), (3, "exit code 3"), (139, "exit code 139 (SIGSEGV)"), (137, "exit code 137 (SIGKILL)")],
)
def test_a_signal_is_shown_by_its_name(code: int, text: str) -> None:
    assert exit_text(code) == text


def test_an_exit_code_of_no_signal_is_only_a_number() -> None:
    assert exit_text(255) == "exit code 255"
