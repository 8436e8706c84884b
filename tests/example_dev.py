"""Runs ``adapter dev`` with the FastAPI example as a separate process, for scripts that measure it or draw it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent


@asynccontextmanager
async def example_dev(*flags: str) -> AsyncIterator[dict[str, Any]]:
    """Run ``adapter dev`` with ``flags``. Yield the fields of its start message, such as ``inspectorUrl``."""
    app = (sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}", "--log-level", "info")
    common = ("--port", "0", "--invoke-mode", "response_stream", "--timeout", "60", "--log-format", "json")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "adapter", "dev", *common, *flags, "--app-dir", "examples/fastapi_app", "--", *app),
        cwd=REPOSITORY,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        fields: dict[str, Any] = {}
        while "inspectorUrl" not in fields:
            line = await process.stderr.readline()
            assert line, "adapter dev ended at its start"
            fields = json.loads(line) if line.startswith(b"{") else {}
        async with asyncio.TaskGroup() as group:
            # Read its lines, so that it never waits for a full pipe.
            draining = group.create_task(process.stderr.read())
            yield fields
            process.terminate()
            await draining
    finally:
        if process.returncode is None:
            process.terminate()
        await process.wait()
