"""The API servers and the processes of one execution environment: their start and their shutdown.

``Sandbox.open`` starts the external extensions, waits until they have registered, and then starts the runtime. At the
end it shuts all processes down as Lambda does (AWS, "Shutdown phase"; the official emulator's source, rapid/shutdown):

- Without extensions, all processes are killed at once.
- With only internal extensions (``adapter run`` registers one), the runtime receives SIGTERM and has 0.5 s to end.
- With external extensions, the shutdown takes at most 2 s. The runtime receives SIGTERM and has 30 % of that time.
  Then the extensions receive the SHUTDOWN event and have the remaining time to end.

Each environment has its own API servers, so that leftover processes of an earlier environment cannot answer the
invocations of a later one.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapter.emulator.environment.api_state import ApiState
from adapter.emulator.environment.extensions import SHUTDOWN
from adapter.emulator.environment.result import EXTENSION_CRASH
from adapter.emulator.environment.state_tables import RuntimeEvent
from adapter.emulator.platform_api.api_server import ApiServer
from adapter.emulator.platform_api.extensions_api import ExtensionsApi
from adapter.emulator.platform_api.runtime_api import RuntimeApi
from adapter.emulator.platform_api.telemetry import Telemetry
from adapter.emulator.sandbox.cloudwatch_log import CloudWatchLog
from adapter.emulator.sandbox.processes import exit_text

if TYPE_CHECKING:
    from adapter.emulator.function_settings import FunctionSettings
    from adapter.emulator.sandbox.processes import ChildProcess, Launch

# The reasons for the end of an environment (Lambda, "Extensions API": shutdownReason).
SPINDOWN, TIMED_OUT, FAILED = "spindown", "timeout", "failure"

# The time that the processes get for their shutdown, in seconds: with only internal extensions, and with external
# extensions (Lambda, "Shutdown phase").
INTERNAL_GRACE = 0.5
EXTERNAL_GRACE = 2.0
# The runtime's share of EXTERNAL_GRACE (the official emulator's source, rapid/shutdown).
RUNTIME_SHARE = 0.3


class Sandbox:
    """The API servers, the processes and the log of one environment.

    ``show`` receives each line of the CloudWatch log. If ``show`` is None, the lines are not shown.
    ``shutdown_reason`` is sent to the extensions with the SHUTDOWN event.
    """

    def __init__(
        self, settings: FunctionSettings, initialization_type: str, launch: Launch, show: Callable[[str], None] | None
    ) -> None:
        self._telemetry = Telemetry()
        self.log = CloudWatchLog(settings, initialization_type, self._telemetry, show)
        self.processes = launch(self.log.output, initialization_type)
        self.apis = ApiState(slots=settings.max_concurrency, external=self.processes.extension_names)
        self.shutdown_reason = SPINDOWN
        extensions_api = ExtensionsApi(self.apis, self._telemetry, settings)
        self._resources = RuntimeApi(self.apis).resources | extensions_api.resources
        self._runtime: ChildProcess | None = None
        self._extensions: dict[str, ChildProcess] = {}
        self._watchers: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Start the processes in the background. Leaving the context ends them and waits for their end."""
        async with asyncio.TaskGroup() as group:
            self._telemetry.start(group)
            runtime_server = ApiServer(self._resources, group)
            extensions_server = ApiServer(self._resources, group)
            for server in (runtime_server, extensions_server):
                await server.start()
            starting = group.create_task(self._start(runtime_server, extensions_server, group))
            try:
                yield
            finally:
                starting.cancel()
                self.apis.advance(RuntimeEvent.SHUTDOWN)
                self.processes.thaw()
                await _uninterrupted(group.create_task(self._close(runtime_server, extensions_server)))

    def close_registration(self) -> None:
        """Refuse new internal extensions and new subscriptions. Call this at the end of the init phase."""
        self.apis.extensions.is_closed = True
        self._telemetry.close()

    async def wait_for_runtime_exit(self, seconds: float) -> None:
        """Wait for at most ``seconds`` until the runtime ends by itself, so that its last output is shown."""
        if self._runtime is None:
            return
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self.apis.condition.wait_for(lambda: self.apis.exit_code is not None)

    # --- start -----------------------------------------------------------------------------------------------------

    async def _start(self, runtime_server: ApiServer, extensions_server: ApiServer, group: asyncio.TaskGroup) -> None:
        apis = self.apis
        for name in self.processes.extension_names:
            try:
                process = await self.processes.start_extension(name, extensions_server.address)
            except OSError as error:
                apis.break_off("Extension.LaunchError", f"extension {name} cannot be started: {error.strerror}")
                return
            self._extensions[name] = process
            self._watchers.add(group.create_task(self._watch_extension(name, process)))
        await apis.condition.wait_for(lambda: apis.extensions.are_registered or apis.has_ended)
        if apis.has_ended:
            return
        try:
            self._runtime = await self.processes.start_runtime(runtime_server.address)
        except OSError as error:
            apis.break_off("Runtime.InvalidEntrypoint", f"the runtime cannot be started: {error}")
            return
        self._watchers.add(group.create_task(self._watch_runtime(self._runtime, runtime_server)))

    async def _watch_runtime(self, process: ChildProcess, server: ApiServer) -> None:
        exit_code = await process.wait()
        await server.wait_until_all_is_served()
        self.apis.note_exit(exit_code)

    async def _watch_extension(self, name: str, process: ChildProcess) -> None:
        exit_code = await process.wait()
        self.apis.break_off(EXTENSION_CRASH, f"extension {name} ended: {exit_text(exit_code)}")

    # --- end -------------------------------------------------------------------------------------------------------

    async def _close(self, *servers: ApiServer) -> None:
        try:
            await self._end_processes()
            # The runtime's watcher may still be connected to its server, so the servers are closed after the watchers.
            if self._watchers:
                await asyncio.wait(self._watchers)
        finally:
            self._telemetry.end()
            for server in servers:
                server.close()

    async def _end_processes(self) -> None:
        """End all processes, and wait until they have ended."""
        deadline = time.time() + EXTERNAL_GRACE
        self.processes.snapshot_members()
        try:
            if self._extensions:
                await self._end_runtime(EXTERNAL_GRACE * RUNTIME_SHARE)
                await self._flush_telemetry()
                self.apis.announce_shutdown(self.shutdown_reason, round(deadline * 1000))
                await self._end_extensions(deadline)
            elif len(self.apis.extensions):
                await self._end_runtime(INTERNAL_GRACE)
        finally:
            await self.processes.end()

    async def _end_runtime(self, grace: float) -> None:
        if self._runtime is not None:
            self._runtime.terminate()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(grace):
                    await self._runtime.wait()
            self._runtime.kill()

    async def _flush_telemetry(self) -> None:
        """Deliver all telemetry records before the SHUTDOWN event.

        This takes at most 0.7 s: half of the 1.4 s that external extensions get for their shutdown. Records that are
        still undelivered after that may be discarded.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(EXTERNAL_GRACE * (1 - RUNTIME_SHARE) / 2):
                await self._telemetry.flush()

    async def _end_extensions(self, deadline: float) -> None:
        """Wait until the extensions that receive the SHUTDOWN event have ended. Kill the other extensions at once.

        The wait ends at ``deadline``, in seconds since the epoch, even if an extension is still running.
        """
        informed = {extension.name for extension in self.apis.extensions if SHUTDOWN in extension.events}
        for name, process in self._extensions.items():
            if name not in informed:
                process.kill()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, deadline - time.time())):
                for name in informed & set(self._extensions):
                    await self._extensions[name].wait()


async def _uninterrupted(task: asyncio.Task[None]) -> None:
    """Wait for ``task``, even if the caller is cancelled: a second Ctrl-C must not leave processes behind."""
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
