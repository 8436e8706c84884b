"""The end of an environment, as Lambda has it ("Shutdown phase", and the official emulator's source, rapid/shutdown).

With no extension everything is killed at once. With an internal one, such as our own runtime, the runtime is asked to
end and has half a second. With an external one there are two seconds in all: the runtime is asked to end and has 30 %
of them, then extensions get their SHUTDOWN event and have the rest.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING

from adapter.emulator.environment.extensions import SHUTDOWN

if TYPE_CHECKING:
    from adapter.emulator.sandbox.processes import Process
    from adapter.emulator.sandbox.sandbox import Sandbox

# Seconds (Lambda, "Shutdown phase").
INTERNAL_GRACE = 0.5
EXTERNAL_GRACE = 2.0
# The share of the runtime where there are external extensions (the official emulator's source, rapid/shutdown).
RUNTIME_SHARE = 0.3


async def shut_down(sandbox: Sandbox) -> None:
    """End all processes; returns when nothing of them is left."""
    environment = sandbox.environment
    deadline = time.time() + EXTERNAL_GRACE
    sandbox.processes.snapshot_members()
    try:
        if sandbox.extensions:
            await _end(sandbox.runtime, EXTERNAL_GRACE * RUNTIME_SHARE)
            await _flush(sandbox)
            environment.announce_shutdown(sandbox.reason, round(deadline * 1000))
            await _end_extensions(sandbox, deadline)
        elif len(environment.extensions):
            await _end(sandbox.runtime, INTERNAL_GRACE)
    finally:
        await sandbox.processes.end()


async def _end(process: Process | None, grace: float) -> None:
    if process is not None:
        process.terminate()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace):
                await process.wait()
        process.kill()


async def _flush(sandbox: Sandbox) -> None:
    """Deliver the telemetry there is, so that an extension has it before it is told to end."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(EXTERNAL_GRACE * (1 - RUNTIME_SHARE) / 2):
            await sandbox.journal.telemetry.flush()


async def _end_extensions(sandbox: Sandbox, deadline: float) -> None:
    """Wait for those that were told of the end; the others are killed."""
    told = {extension.name for extension in sandbox.environment.extensions if SHUTDOWN in extension.events}
    for name, process in sandbox.extensions.items():
        if name not in told:
            process.kill()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(max(0.0, deadline - time.time())):
            for name in told & set(sandbox.extensions):
                await sandbox.extensions[name].wait()
