"""The runtime is small: what it imports, and what it holds while it streams as much as Lambda allows.

Peak memory is read from /proc, so that test needs Linux, which is where Lambda runs.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

from tests.e2e import large_app
from tests.e2e.draining_runtime_api import DrainingRuntimeApi
from tests.events import SQS, function_url
from tests.runtime_process import RuntimeProcess, app_command
from tests.scripted_runtime_api import ScriptedRuntimeApi

# In bytes. The smallest function has 128 MB, which are the app's.
PEAK_LIMIT = 24 * 1024 * 1024
# What would make cold starts longer. (orjson imports dataclasses and with it inspect, httptools imports typing.)
TOO_SLOW = {
    "aiohttp",
    "asyncio",
    "click",
    "concurrent",
    "email",
    "http",
    "logging",
    "multidict",
    "ssl",
    "subprocess",
    "urllib",
}
# A line of ``-X importtime``: "import time: self [us] | cumulative | imported package".
IMPORTED = re.compile(r"^import time: +\d+ \| +\d+ \| +(\S+)$", re.MULTILINE)


@pytest.mark.parametrize("invoke_mode", ["buffered", "response_stream"])
def test_a_runtime_that_has_served_invocations_has_imported_nothing_slow(invoke_mode: str) -> None:
    with (
        ScriptedRuntimeApi() as api,
        RuntimeProcess(
            api,
            *app_command(),
            environ={"AWS_LWA_INVOKE_MODE": invoke_mode},
            interpreter=("-X", "importtime"),
        ) as runtime,
    ):
        for event in (function_url(), function_url(method="POST", body="text"), SQS):
            api.invoke(event).answer()
        # An event that cannot be a request: errors are part of the work.
        api.invoke(function_url(method="G E T")).error()
        runtime.terminate()
        imported = set(IMPORTED.findall(runtime.stderr()))
    assert {"adapter.runtime.invocation_relay", "adapter.app.process", "orjson"} <= imported
    assert {name.partition(".")[0] for name in imported} & TOO_SLOW == set()
    assert not {
        name for name in imported if name.startswith(("adapter.emulator", "adapter.proxy", "adapter.cli.command_line"))
    }


@pytest.mark.parametrize("framing", ["length", "chunked"])
def test_200_mb_are_streamed_within_24_mb_of_memory(framing: str) -> None:
    with (
        DrainingRuntimeApi() as api,
        RuntimeProcess(
            None,
            sys.executable,
            str(Path(large_app.__file__)),
            "{port}",
            environ={"AWS_LAMBDA_RUNTIME_API": api.address, "AWS_LWA_INVOKE_MODE": "response_stream"},
        ) as runtime,
    ):
        prelude = api.invoke(function_url("/small")) - len(b"ok")
        streamed = api.invoke(function_url(f"/{framing}"))
        peak = _peak_memory(runtime.process.pid)
    # The preludes differ in their content types.
    assert streamed - prelude == large_app.SIZE + len("application/octet-stream") - len("text/plain")
    assert peak < PEAK_LIMIT


def _peak_memory(pid: int) -> int:
    """Return the most memory that a process has had resident, in bytes."""
    found = re.search(r"^VmHWM:\s+(\d+) kB$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    assert found
    return int(found[1]) * 1024
