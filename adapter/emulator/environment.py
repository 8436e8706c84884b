"""One execution environment as the emulator sees it: its state, the invocation in it, and what is known of its end.

``lifecycle`` decides what may happen; this class keeps what belongs to a state. Two sides use it: the Runtime API,
which the runtime calls, and the function, which hands invocations over. ``open_environment`` adds the I/O: a Runtime
API server of its own, so that the runtime of an earlier environment can never answer, and the process.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapter.emulator.http_server import HttpServer
from adapter.emulator.lifecycle import Event, Lifecycle, State
from adapter.emulator.runtime_api import RuntimeApi

if TYPE_CHECKING:
    from adapter.emulator.call import Call
    from adapter.emulator.changes import Changes
    from adapter.emulator.process import RuntimeProcess, StartRuntime
    from adapter.emulator.reply import Failure
    from adapter.payload.messages import Invocation


class Environment:
    """The state of one environment. ``exit_code`` is the process's, negative for a signal, None while it runs."""

    def __init__(self, changes: Changes) -> None:
        self.lifecycle = Lifecycle()
        self.call: Call | None = None
        self.init_failure: Failure | None = None
        self.exit_code: int | None = None
        self._changes = changes
        self._waiting_runtime: asyncio.Future[Invocation] | None = None
        self._extensions: dict[str, bool] = {}

    # --- for the function ------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether the runtime, and every extension, wait for an invocation."""
        return self.lifecycle.state is State.IDLE and all(self._extensions.values())

    @property
    def ended(self) -> bool:
        """Whether this environment can serve nothing any more."""
        return self.exit_code is not None or self.init_failure is not None

    def invoke(self, call: Call, invocation: Invocation) -> None:
        """Hand an invocation to the runtime, which must be ready."""
        assert self.ready, "one invocation at a time"
        assert self._waiting_runtime is not None, "an idle environment has a runtime that waits"
        self.lifecycle.advance(Event.INVOKE)
        self.call = call
        self._waiting_runtime.set_result(invocation)

    # --- for the Runtime API ---------------------------------------------------------------------------------------

    def advance(self, event: Event) -> bool:
        """Let something happen, and tell those who wait for it; False where it may not happen now."""
        happened = self.lifecycle.advance(event)
        self._changes.notify()
        return happened

    def next(self) -> asyncio.Future[Invocation] | None:
        """The runtime asks: what it will get, or None where it may not ask now."""
        if not self.lifecycle.allows(Event.NEXT):
            return None
        self._waiting_runtime = asyncio.get_running_loop().create_future()
        self.advance(Event.NEXT)
        return self._waiting_runtime

    def lost(self) -> None:
        """The runtime that was waiting has hung up; it, or nobody, will ask again."""
        self.advance(Event.LOST)

    def init_failed(self, why: Failure) -> bool:
        """The runtime reports that it cannot start; False where it is too late for that."""
        if not self.lifecycle.allows(Event.INIT_ERROR):
            return False
        self.init_failure = why
        return self.advance(Event.INIT_ERROR)

    def register_extension(self) -> str:
        """A new extension's identifier. The environment is not ready before it has asked for its first event."""
        identifier = str(uuid.uuid4())
        self._extensions[identifier] = False
        return identifier

    def extension_waits(self, identifier: str) -> bool:
        """An extension asks for its next event; False if nobody knows it."""
        if identifier not in self._extensions:
            return False
        self._extensions[identifier] = True
        self._changes.notify()
        return True

    # --- for open_environment --------------------------------------------------------------------------------------

    def exited(self, exit_code: int) -> None:
        """The process has ended, and with it every chance of another call."""
        self.exit_code = exit_code
        self._changes.notify()


@asynccontextmanager
async def open_environment(start: StartRuntime, changes: Changes) -> AsyncIterator[Environment]:
    """A new environment, whose process is starting; at the end nothing of it is left."""
    environment = Environment(changes)
    async with asyncio.TaskGroup() as group:
        server = HttpServer(RuntimeApi(environment).serve, group)
        process = await start(f"127.0.0.1:{await server.start()}")
        group.create_task(_watch(environment, process, server))
        try:
            yield environment
        finally:
            environment.advance(Event.SHUTDOWN)
            try:
                await process.stop()
            finally:
                server.close()


async def _watch(environment: Environment, process: RuntimeProcess, server: HttpServer) -> None:
    """Note the end of the process, after everything that it had sent before was dealt with."""
    exit_code = await process.wait()
    await server.until_disconnected()
    environment.exited(exit_code)
