"""Everything that the local Lambda listens with, in front of one function: its front doors and the Invoke APIs."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapter.emulator.faults.plan import FaultPlan, parse_faults
from adapter.emulator.front_doors.front_door import FrontDoor
from adapter.emulator.invoke_api.async_queue import AsyncInvocations
from adapter.emulator.invoke_api.invoke_api import InvokeApi
from adapter.emulator.recording.recorder import Recorder
from adapter.emulator.requests.pipeline import InvocationPipeline
from adapter.emulator.service.control import Control
from adapter.emulator.service.listening import open_listeners, serving
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.config.load import Config
    from adapter.emulator.front_doors.settings import UrlSettings
    from adapter.emulator.function.scheduler import LocalFunction
    from adapter.emulator.requests.request_record import RequestRecord
    from adapter.emulator.sandbox.processes import Launch, OnLine, ProcessTree

# What an init phase that is to fail runs in the place of the runtime.
FAILING_RUNTIME = (sys.executable, "-I", "-c", "raise SystemExit(1)")


def fault_plan(config: Config) -> FaultPlan:
    """The faults that were asked for. Raises ConfigurationError."""
    try:
        return FaultPlan(parse_faults(config.faults), config.fault_seed)
    except ConfigurationError as error:
        raise ConfigurationError([f"{config.sources['faults']}: {mistake}" for mistake in error.mistakes]) from error


def with_failing_inits(launch: Launch, fail: Launch, plan: FaultPlan) -> Launch:
    """``launch``, or ``fail`` where an init phase is to fail."""

    def launch_or_fail(tell: OnLine, initialization_type: str) -> ProcessTree:
        return (fail if plan.fails_init() else launch)(tell, initialization_type)

    return launch_or_fail


@asynccontextmanager
async def open_services(
    config: Config,
    settings: UrlSettings,
    function: LocalFunction,
    notice: Callable[[str], None],
    report: Callable[[RequestRecord], None],
    *,
    faults: FaultPlan | None = None,
) -> AsyncIterator[None]:
    """Take the ports, which ``settings`` know from then on, and serve. Raises ConfigurationError."""
    recorder = Recorder(config.record, notice) if config.record is not None else None
    entrance = InvocationPipeline(function, faults or fault_plan(config), recorder)
    listeners = open_listeners(config, settings)
    async with asyncio.TaskGroup() as group:
        background = AsyncInvocations(entrance, group, notice, report, delay=config.retry_delay)
        api = InvokeApi(entrance, background, settings, report, region=config.region)
        doors = [FrontDoor(entrance, door, report) for door in settings.doors]
        services = [*(door.serve for door in doors), Control(function, api.serve).serve]
        async with serving(list(zip(listeners, services, strict=True))):
            try:
                yield
            finally:
                background.drop()
                entrance.end()
