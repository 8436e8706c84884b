"""One execution environment with its I/O: the API servers and the processes, from the first start to the last end.

``open_sandbox`` starts the external extensions, waits until they have registered, and starts the runtime. At its end
everything is shut down as Lambda does it. Each environment has API servers of its own, so that the processes of an
earlier one can never answer.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapter.emulator.environment.condition import Condition
from adapter.emulator.environment.environment import Environment
from adapter.emulator.environment.lifecycle import Event
from adapter.emulator.platform_api.api_server import ApiServer
from adapter.emulator.platform_api.extensions_api import ExtensionsApi
from adapter.emulator.platform_api.runtime_api import RuntimeApi
from adapter.emulator.platform_api.telemetry import Telemetry
from adapter.emulator.sandbox.cloudwatch_log import CloudWatchLog
from adapter.emulator.sandbox.processes import exit_text
from adapter.emulator.sandbox.shutdown import shut_down

if TYPE_CHECKING:
    from adapter.emulator.sandbox.processes import Launch, Process, Processes
    from adapter.emulator.settings import FunctionSettings

# How often the memory of all processes is looked at, in seconds: that takes some milliseconds each time.
_MEMORY_PERIOD = 1.0

# Why an environment ends, in Lambda's words (Lambda, "Extensions API": shutdownReason).
SPINDOWN, TIMED_OUT, FAILED = "spindown", "timeout", "failure"


class Sandbox:
    """An environment, its processes, and what is told of it. ``reason`` is why it ends, once it does."""

    def __init__(self, environment: Environment, processes: Processes, journal: CloudWatchLog) -> None:
        self.environment = environment
        self.journal = journal
        self.runtime: Process | None = None
        self.extensions: dict[str, Process] = {}
        self.reason = SPINDOWN
        self.processes = processes
        self.frozen = False
        self.watchers: set[asyncio.Task[None]] = set()
        self._memory: int | None = None
        self._memory_known_at = -_MEMORY_PERIOD

    def freeze(self) -> None:
        """Stop all processes."""
        if not self.frozen:
            self.frozen = True
            self.processes.freeze()

    def thaw(self) -> None:
        """Let all processes go on."""
        if self.frozen:
            self.frozen = False
            self.processes.thaw()

    def peak_memory(self, now: float) -> int | None:
        """The most memory used so far, in bytes, as far as it has been seen; None where it cannot be."""
        if now - self._memory_known_at >= _MEMORY_PERIOD:
            self._memory_known_at = now
            seen = self.processes.peak_memory()
            if seen is not None:
                self._memory = max(seen, self._memory or 0)
        return self._memory


@asynccontextmanager
async def open_sandbox(
    settings: FunctionSettings, initialization_type: str, launch: Launch, show: Callable[[str], None]
) -> AsyncIterator[Sandbox]:
    """A new environment, whose processes are starting; at the end nothing of it is left."""
    async with asyncio.TaskGroup() as group:
        telemetry = Telemetry(group)
        journal = CloudWatchLog(settings, initialization_type, telemetry, show)
        processes = launch(journal.output, initialization_type)
        environment = Environment(Condition(), slots=settings.max_concurrency, external=processes.extension_names)
        sandbox = Sandbox(environment, processes, journal)
        resources = RuntimeApi(environment).resources | ExtensionsApi(environment, telemetry, settings).resources
        servers = (ApiServer(resources, group), ApiServer(resources, group))
        for server in servers:
            await server.start()
        starting = group.create_task(_start(sandbox, servers, group))
        try:
            yield sandbox
        finally:
            starting.cancel()
            environment.advance(Event.SHUTDOWN)
            sandbox.thaw()
            await _uninterrupted(group.create_task(_close(sandbox, servers)))


async def _close(sandbox: Sandbox, servers: tuple[ApiServer, ApiServer]) -> None:
    try:
        await shut_down(sandbox)
        # They may be connecting, which a server must not be closed amid.
        if sandbox.watchers:
            await asyncio.wait(sandbox.watchers)
    finally:
        sandbox.journal.telemetry.end()
        for server in servers:
            server.close()


async def _uninterrupted(task: asyncio.Task[None]) -> None:
    """Wait for ``task`` also when whoever waits is cancelled: processes must not be left behind by a second Ctrl-C."""
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise


async def _start(sandbox: Sandbox, servers: tuple[ApiServer, ApiServer], group: asyncio.TaskGroup) -> None:
    environment, processes = sandbox.environment, sandbox.processes
    for name in processes.extension_names:
        try:
            process = await processes.start_extension(name, servers[1].address)
        except OSError as error:
            environment.could_not_start(
                "Extension.LaunchError", f"extension {name} cannot be started: {error.strerror}"
            )
            return
        sandbox.extensions[name] = process
        sandbox.watchers.add(group.create_task(_watch_extension(environment, name, process)))
    await environment.condition.wait_for(lambda: environment.extensions.registered or environment.ended)
    if environment.ended:
        return
    try:
        sandbox.runtime = await processes.start_runtime(servers[0].address)
    except OSError as error:
        environment.could_not_start("Runtime.InvalidEntrypoint", f"the runtime cannot be started: {error}")
        return
    sandbox.watchers.add(group.create_task(_watch_runtime(environment, sandbox.runtime, servers[0])))


async def _watch_runtime(environment: Environment, process: Process, server: ApiServer) -> None:
    """Note the end of the process, after everything that it had sent before was dealt with."""
    exit_code = await process.wait()
    await server.all_read()
    environment.exited(exit_code)


async def _watch_extension(environment: Environment, name: str, process: Process) -> None:
    exit_code = await process.wait()
    environment.extension_exited(name, exit_text(exit_code))


async def until_exited(sandbox: Sandbox, seconds: float) -> None:
    """Let a runtime that has reported a failure end by itself, as it will, so that its last lines come out."""
    environment = sandbox.environment
    if sandbox.runtime is None:
        return
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await environment.condition.wait_for(lambda: environment.exit_code is not None)
