"""Everything that the local Lambda serves in front of one function: its front doors and the Invoke APIs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from adapter.emulator.faults.injector import FaultInjector
from adapter.emulator.faults.plan import FaultPlan, parse_faults
from adapter.emulator.front_doors.front_door import FrontDoor
from adapter.emulator.invoke_api.async_queue import AsyncQueue
from adapter.emulator.invoke_api.invoke_api import InvokeApi
from adapter.emulator.recording.recorder import Recorder
from adapter.emulator.requests.pipeline import InvocationPipeline
from adapter.emulator.service.control_api import Control
from adapter.emulator.service.listening import open_listeners, serving
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.config.load import Config
    from adapter.emulator.front_doors.door_settings import UrlSettings
    from adapter.emulator.function.scheduler import LocalFunction
    from adapter.emulator.requests.request_record import RequestRecord


def fault_plan(config: Config) -> FaultPlan:
    """Return the plan for ``--fault``. Raises ConfigurationError if the option is not valid."""
    try:
        return FaultPlan(parse_faults(config.faults), config.fault_seed)
    except ConfigurationError as error:
        raise ConfigurationError([f"{config.sources['faults']}: {mistake}" for mistake in error.mistakes]) from error


@asynccontextmanager
async def open_endpoints(
    config: Config,
    settings: UrlSettings,
    function: LocalFunction,
    notice: Callable[[str], None],
    report: Callable[[RequestRecord], None],
) -> AsyncIterator[None]:
    """Open the ports, write them into ``settings``, and serve.

    Raises ConfigurationError if a port or the folder of recordings cannot be used.
    """
    injector = FaultInjector(fault_plan(config)) if config.faults else None
    recorder = Recorder(config.record, notice) if config.record is not None else None
    pipeline = InvocationPipeline(function, injector, recorder)
    listeners = open_listeners(config, settings)
    async with asyncio.TaskGroup() as group:
        queue = AsyncQueue(pipeline, group, notice, report, delay=config.retry_delay)
        api = InvokeApi(pipeline, queue, settings, report, region=config.region)
        doors = [FrontDoor(pipeline, door, report) for door in settings.doors]
        services = [*(door.serve for door in doors), Control(function, api.serve).serve]
        async with serving(list(zip(listeners, services, strict=True))):
            try:
                yield
            finally:
                queue.cancel()
                if injector is not None:
                    injector.stop()
