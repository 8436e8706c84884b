"""The endpoints (front doors, Invoke APIs, inspector), and the parts that they share."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pybase64

from adapter.emulator.faults.injector import FaultInjector
from adapter.emulator.faults.plan import FaultPlan, parse_faults
from adapter.emulator.front_doors.front_door import FrontDoor
from adapter.emulator.invoke_api.async_queue import AsyncQueue
from adapter.emulator.invoke_api.invoke_api import InvokeApi
from adapter.emulator.recording.recordings import Recorder
from adapter.emulator.records.ring import RecordRing
from adapter.emulator.requests import InvocationPipeline
from adapter.emulator.sandbox.variables import request_rules
from adapter.emulator.service.control_api import Control
from adapter.emulator.service.listening import inspector_url, open_inspector, open_listeners, serving
from adapter.emulator.terminal.prices import load_prices
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from socket import socket

    from adapter.config.load import Config
    from adapter.emulator.front_doors.door_settings import UrlSettings
    from adapter.emulator.function.scheduler import LocalFunction
    from adapter.emulator.inspector.inspector import Inspector
    from adapter.emulator.inspector.sender import Sender
    from adapter.emulator.notice import Notice
    from adapter.emulator.records.record import RequestRecord
    from adapter.net.server import Exchange

# The maximum number of connections to the inspector.
_PAGES = 32


@dataclass(slots=True, kw_only=True)
class Emulation:
    """The parts that the endpoints need: the Lambda function, the settings, and callbacks.

    ``notice`` is called with each line for the user, ``report`` with the record of each request that has ended.
    ``secret_values`` returns the strings that are masked in the inspector. ``other_mode`` returns the same function in
    the other invoke mode; it raises ConfigurationError if both modes cannot run at the same time. ``init_faults`` is
    the plan of the faults for the init phase. ``on_finished`` is called with the record of each invocation, when the
    client has the response and the environment has finished the invocation.
    """

    settings: UrlSettings
    function: LocalFunction
    notice: Notice
    report: Callable[[RequestRecord], None]
    secret_values: Callable[[], frozenset[str]] = frozenset
    other_mode: Callable[[], LocalFunction] | None = None
    init_faults: FaultPlan = field(default_factory=FaultPlan)
    on_finished: Callable[[RequestRecord], None] | None = None


class Endpoints:
    """The open endpoints: ``ring`` has the records of their requests, ``sender`` sends requests again.

    The tasks of the endpoints run in ``group``.
    """

    def __init__(self, emulation: Emulation, recorder: Recorder | None, group: asyncio.TaskGroup) -> None:
        self.settings = settings = emulation.settings
        config, notice = settings.config, emulation.notice
        keeps_bodies = config.inspector_bodies == "all"
        self.ring = RecordRing(config.inspector_records, config.inspector_memory, keeps_bodies=keeps_bodies)
        self.ring.on_finished = emulation.on_finished
        self._emulation = emulation
        self.group = group
        self._fault_plan = fault_plan(config)
        self.injector = FaultInjector(self._fault_plan)
        self._recorder = recorder
        self._pipeline = self._pipeline_to(emulation.function)
        self._other: tuple[LocalFunction, asyncio.Task[None], InvocationPipeline] | None = None
        self.queue = AsyncQueue(self._pipeline, group, notice, delay=config.retry_delay)
        self.api = InvokeApi(self._pipeline, self.queue, settings)
        self.doors = [FrontDoor(self._pipeline, door, notice) for door in settings.doors]
        self.token = pybase64.b64encode(os.urandom(24), altchars=b"-_").decode("ascii")
        self._started = time.time(), asyncio.get_running_loop().time()
        self._sender: Sender | None = None
        self._inspector: Inspector | None = None

    @property
    def sender(self) -> Sender:
        """The object that sends a request when the user asks for one in the inspector or with a key."""
        if self._sender is None:
            # Loaded when it is needed, since it would delay the start.
            from adapter.emulator.inspector.sender import Sender

            self._sender = Sender(self.settings, self.doors, self.api, self.group, self._other_pipeline)
        return self._sender

    async def inspect(self, exchange: Exchange) -> None:
        """Serve a request to the inspector. The first request loads the inspector."""
        if self._inspector is None:
            self._inspector = self._new_inspector()
        await self._inspector.serve(exchange)

    def replace_faults(self, text: str) -> None:
        """Replace all injected faults by those in ``text``. Raises ConfigurationError if ``text`` is not valid."""
        faults = parse_faults(text)
        self._fault_plan.replace(faults)
        self._emulation.init_faults.replace(faults)

    def age(self, seconds: float) -> None:
        """Act as if every idle environment had been idle for ``seconds`` longer."""
        self._emulation.function.age(seconds)

    def _new_inspector(self) -> Inspector:
        from adapter.emulator.inspector.inspector import Inspector, InspectorParts

        emulation, config = self._emulation, self.settings.config
        return Inspector(
            InspectorParts(
                token=self.token,
                started=self._started,
                ring=self.ring,
                settings=self.settings,
                function=emulation.function.settings,
                sender=self.sender,
                prices=load_prices(config.price_table).for_billing(on_demand=is_on_demand(config)),
                lanes=self._lanes,
                age=self.age,
                replace_faults=self.replace_faults,
                secret_values=emulation.secret_values(),
                rules=request_rules(config, emulation.function.settings) if config.runtime is None else None,
            )
        )

    def stop(self) -> None:
        """Drop queued events. End all injected delays, streams with injected faults, and requests of the inspector."""
        self.queue.cancel()
        self.injector.stop()
        if self._sender is not None:
            self._sender.cancel()
        if self._inspector is not None:
            self._inspector.stop()
        if self._other is not None:
            self._other[1].cancel()

    def _pipeline_to(self, function: LocalFunction) -> InvocationPipeline:
        return InvocationPipeline(function, self.injector, self._recorder, self.ring, self._emulation.report)

    def _other_pipeline(self) -> InvocationPipeline:
        """Return the pipeline that invokes the function in the other mode. The first call starts that function."""
        if self._other is None:
            if self._emulation.other_mode is None:
                raise ConfigurationError(["this function cannot run in the other invoke mode"])
            function = self._emulation.other_mode()
            self._other = (function, self.group.create_task(function.run(warm=False)), self._pipeline_to(function))
        return self._other[2]

    def _lanes(self) -> list[tuple[int, int | None, list[tuple[float, str]]]]:
        lanes = self._emulation.function.lanes()
        return lanes if self._other is None else sorted(lanes + self._other[0].lanes())


@asynccontextmanager
async def open_endpoints(emulation: Emulation) -> AsyncIterator[Endpoints]:
    """Open the ports, write the port numbers into the settings, and serve until the context is left.

    When the context is left, queued events are dropped, and the front doors close after the responses in progress.
    Raises ConfigurationError if a port or the folder of recordings cannot be used.
    """
    settings, notice = emulation.settings, emulation.notice
    recorder = Recorder(settings.config.record, notice) if settings.config.record is not None else None
    listeners = open_listeners(settings)
    try:
        inspector_listener = open_inspector(settings, notice)
    except ConfigurationError:
        for listener in listeners:
            listener.close()
        raise
    async with asyncio.TaskGroup() as group:
        endpoints = Endpoints(emulation, recorder, group)
        control = Control(emulation.function, endpoints.api.serve)
        services = [*(door.serve for door in endpoints.doors), control.serve]
        async with (
            serving(list(zip(listeners, services, strict=True))),
            _inspecting(inspector_listener, endpoints),
        ):
            try:
                yield endpoints
            finally:
                endpoints.stop()


@asynccontextmanager
async def _inspecting(listener: socket | None, endpoints: Endpoints) -> AsyncIterator[None]:
    """Serve the inspector on ``listener`` until the context is left. If ``listener`` is None, serve nothing."""
    if listener is None:
        yield
        return
    endpoints.settings.inspector_url = inspector_url(listener, endpoints.token)
    async with serving([(listener, endpoints.inspect)], most=_PAGES):
        yield


def is_on_demand(config: Config) -> bool:
    """Return True if AWS bills only invocations: without provisioned concurrency, SnapStart and managed instances."""
    return config.concurrency == 1 and not config.provisioned and not config.snapstart


def fault_plan(config: Config) -> FaultPlan:
    """Return a new plan for ``--fault``. Raises ConfigurationError if the option is not valid."""
    try:
        return FaultPlan(parse_faults(config.faults), config.fault_seed)
    except ConfigurationError as error:
        raise ConfigurationError([f"{config.sources['faults']}: {mistake}" for mistake in error.mistakes]) from error
