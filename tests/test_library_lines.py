"""What libraries and the interpreter write: with a JSON log, every line is an object, and nothing is lost."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

PREPARED = (
    "import sys; from adapter.logs import Log; from adapter.library_lines import *\n"
    "log = Log(format='json'); report_errors(log.error); log_stderr_as_json(log)\n"
)


def records_of(code: str, *interpreter: str) -> list[dict[str, Any]]:
    """Return the lines of a process that runs ``code`` after our hooks are in place; each must be a JSON object."""
    command = [sys.executable, *interpreter, "-c", PREPARED + code]
    done = subprocess.run(command, stderr=subprocess.PIPE, text=True, timeout=20, check=False)
    return [json.loads(line) for line in done.stderr.splitlines()]


IGNORED = "class X:\n    def __del__(self): raise ValueError('ignored')\nX()"
THREAD = "import threading\nreport_errors(log.error)\nthreading.Thread(target=lambda: 1 / 0).start()"
ASYNCIO = (
    "import asyncio\nasync def main():\n"
    "    report_loop_errors(asyncio.get_running_loop(), log.error)\n"
    "    asyncio.get_running_loop().call_soon(lambda: 1 / 0)\n    await asyncio.sleep(0)\n    await asyncio.sleep(0)\n"
    "asyncio.run(main())"
)
AIOHTTP = "import aiohttp.log; aiohttp.log.client_logger.warning('a client went away')"


@pytest.mark.parametrize(
    ("code", "level", "part"),
    [
        pytest.param("import warnings; warnings.warn('take care')", "WARN", "UserWarning: take care", id="warnings"),
        pytest.param("import logging; logging.error('two\\nlines')", "WARN", "two\nlines", id="logging"),
        pytest.param(AIOHTTP, "WARN", "a client went away", id="aiohttp"),
        pytest.param("1 / 0", "ERROR", "ZeroDivisionError: division by zero", id="uncaught"),
        pytest.param(IGNORED, "ERROR", "ValueError: ignored", id="in-a-destructor"),
        pytest.param(THREAD, "ERROR", "ZeroDivisionError", id="in-a-thread"),
        pytest.param(ASYNCIO, "ERROR", "ZeroDivisionError", id="asyncio"),
        pytest.param("print('plain', file=sys.stderr)", "WARN", "plain", id="print"),
        pytest.param("sys.stderr.write('x' * 100_000)", "WARN", "characters left out", id="without-an-end"),
    ],
)
def test_each_is_one_object(code: str, level: str, part: str) -> None:
    [record] = records_of(code)
    assert record["level"] == level
    assert part in record["message"]


def test_the_fault_handler_writes_no_plain_text() -> None:
    code = "import os, signal; os.kill(os.getpid(), signal.SIGSEGV)"
    assert records_of(code, "-X", "faulthandler") == []
