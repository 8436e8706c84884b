"""The service behind ``adapter dev``: starts the front doors and the function, and stops them after a signal.

The function is stopped first, which ends all environments and their processes. The front doors close last, so that
waiting clients receive an answer.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from adapter.app.job_control import JobControl
from adapter.app.process import ACTIONS, ENDING, HANDLED, IGNORE, adopt_orphans
from adapter.emulator.faults.injector import FaultInjector
from adapter.emulator.faults.plan import FaultPlan, parse_faults
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.front_doors.front_door import FrontDoor
from adapter.emulator.function.scheduler import LocalFunction
from adapter.emulator.function_settings import function_settings
from adapter.emulator.inspector.inspector import Inspector
from adapter.emulator.inspector.masking import environment_secrets
from adapter.emulator.invoke_api.async_queue import AsyncQueue
from adapter.emulator.invoke_api.invoke_api import InvokeApi
from adapter.emulator.recording.recordings import Recorder
from adapter.emulator.records.ring import RecordRing
from adapter.emulator.requests.pipeline import InvocationPipeline
from adapter.emulator.sandbox.processes import Launch, OnLine, ProcessTree, Programs
from adapter.emulator.sandbox.runtime_command import runtime_command
from adapter.emulator.sandbox.variables import LOG_STREAM, request_rules, runtime_environ
from adapter.emulator.service.control_api import Control
from adapter.emulator.service.listening import inspector_url, open_inspector, open_listeners, serving
from adapter.emulator.service.reload import watch
from adapter.emulator.terminal.lines import Terminal
from adapter.emulator.terminal.prices import load_prices
from adapter.errors import ConfigurationError
from adapter.library_lines import log_stderr_as_json, report_errors, report_loop_errors
from adapter.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from socket import socket

    from adapter.config.load import Config
    from adapter.emulator.function_settings import FunctionSettings
    from adapter.emulator.notice import Notice
    from adapter.emulator.records.record import RequestRecord

# The signals that end this process: the same as for ``adapter run``, and those of Ctrl-\ and of a closed terminal.
_ENDING = (*ENDING, signal.SIGQUIT, signal.SIGHUP)
# The maximum number of connections to the inspector.
_PAGES = 32
# The program that replaces the runtime if the init phase must fail.
_FAILING_PROGRAMS = Programs(
    runtime=(sys.executable, "-I", "-c", "raise SystemExit(1)"),
    variables=lambda log_stream, **_: {LOG_STREAM: log_stream},
)


def serve(
    config: Config,
    environ: Mapping[str, str],
    command: list[str],
    template: Config | None = None,
    *,
    own_variables: Iterable[str] = (),
) -> int:
    """Serve until SIGINT, SIGTERM, SIGQUIT or SIGHUP arrives. Return 128 + the number of the signal, as shells do.

    The function inherits the variables ``environ``. ``own_variables`` are the names of those that the user has set for
    this function only. ``template`` has the settings of the ``--template`` alone. Raises ConfigurationError if a
    setting, a file or a port cannot be used.
    """
    terminal = Terminal(
        load_prices(config.price_table),
        config.region,
        color=False if environ.get("NO_COLOR") else None,
        log=Log(format="json", level=config.log_level) if config.log_format == "json" else None,
        shows_requests=config.access_log,
        cloudwatch_block=config.invocation_log == "cloudwatch",
    )
    settings = UrlSettings(config, template)
    programs = Programs(
        runtime=runtime_command(config, command),
        variables=partial(runtime_environ, config, environ, invoke_mode=settings.invoke_mode),
        # ``adapter run`` starts the app in this folder itself. Any other runtime is started in this folder.
        directory=config.app_dir if config.runtime is not None else None,
        extensions=executables_in(config.extensions),
        gets_terminal=config.debug,
    )
    # A separate plan for the init phases. It draws the same numbers as a common plan would, because each fault has its
    # own random number generator.
    plan = fault_plan(config)

    trees: WeakSet[ProcessTree] = WeakSet()

    def launch(tell: OnLine, initialization_type: str) -> ProcessTree:
        tree = ProcessTree(_FAILING_PROGRAMS if plan.fails_init() else programs, tell, initialization_type)
        trees.add(tree)
        return tree

    def suspend() -> None:
        """Stop the processes of all environments and this process until SIGCONT arrives. Called after Ctrl-Z."""
        running = [tree for tree in trees if not tree.is_frozen]
        for tree in running:
            tree.freeze()
        JobControl(terminal.notice).suspend(None)
        for tree in running:
            tree.thaw()

    adopt_orphans()
    report_errors(terminal.report_error)
    if terminal.log is not None:
        log_stderr_as_json(terminal.log)
    with asyncio.Runner() as runner:
        report_loop_errors(runner.get_loop(), terminal.report_error)
        secret_values = environment_secrets(environ, own_variables)
        return runner.run(
            _serve(settings, function_settings(config, command), launch, terminal, suspend, secret_values)
        )


async def _serve(
    settings: UrlSettings,
    function_settings: FunctionSettings,
    launch: Launch,
    terminal: Terminal,
    suspend: Callable[[], None],
    secret_values: Iterable[str],
) -> int:
    config = settings.config
    stop_signal = _handle_signals(suspend)
    function = LocalFunction(launch, function_settings, terminal.notice, terminal.log_cloudwatch_line)
    async with (
        open_endpoints(settings, function, terminal.notice, terminal.log_request, secret_values=secret_values),
        asyncio.TaskGroup() as group,
    ):
        terminal.log_start(settings)
        for warning in config.warnings:
            terminal.notice(warning, level="warn")
        tasks = [group.create_task(function.run(warm=config.warm))]
        if config.reload:
            tasks.append(group.create_task(_reload(_app_folder(config), function, terminal)))
        number = await stop_signal
        for task in tasks:
            task.cancel()
    return 128 + number


@asynccontextmanager
async def open_endpoints(
    settings: UrlSettings,
    function: LocalFunction,
    notice: Notice,
    report: Callable[[RequestRecord], None],
    *,
    secret_values: Iterable[str] = (),
) -> AsyncIterator[RecordRing]:
    """Open the ports, write their numbers into ``settings``, and serve until the context is left.

    The context is the ring of the records. ``secret_values`` are masked in the inspector. At the end, queued events are
    dropped, and the front doors close after the responses in progress. Raises ConfigurationError if a port or the
    folder of recordings cannot be used.
    """
    config = settings.config
    injector = FaultInjector(fault_plan(config)) if config.faults else None
    recorder = Recorder(config.record, notice) if config.record is not None else None
    ring = RecordRing(config.inspector_records, config.inspector_memory, keeps_bodies=config.inspector_bodies == "all")
    pipeline = InvocationPipeline(function, injector, recorder, ring)
    listeners = open_listeners(settings)
    try:
        inspector_listener = open_inspector(settings, notice)
    except ConfigurationError:
        for listener in listeners:
            listener.close()
        raise
    async with asyncio.TaskGroup() as group:
        queue = AsyncQueue(pipeline, group, notice, report, delay=config.retry_delay)
        api = InvokeApi(pipeline, queue, settings, report)
        doors = [FrontDoor(pipeline, door, report, notice) for door in settings.doors]
        services = [*(door.serve for door in doors), Control(function, api.serve).serve]
        async with (
            serving(list(zip(listeners, services, strict=True))),
            _inspector(inspector_listener, ring, function, settings, secret_values),
        ):
            try:
                yield ring
            finally:
                queue.cancel()
                if injector is not None:
                    injector.stop()


@asynccontextmanager
async def _inspector(
    listener: socket | None,
    ring: RecordRing,
    function: LocalFunction,
    settings: UrlSettings,
    secret_values: Iterable[str],
) -> AsyncIterator[None]:
    """Serve the inspector on ``listener`` until the context is left. If it is None, there is no inspector."""
    if listener is None:
        yield
        return
    rules = request_rules(settings.config, function.settings) if settings.config.runtime is None else None
    inspector = Inspector(ring, function, settings, secret_values=secret_values, rules=rules)
    settings.inspector_url = inspector_url(listener, inspector.token)
    async with serving([(listener, inspector.serve)], most=_PAGES):
        try:
            yield
        finally:
            inspector.stop()


def _handle_signals(suspend: Callable[[], None]) -> asyncio.Future[int]:
    """Handle all signals. Return a future of the number of the first signal that must end this process.

    SIGTSTP calls ``suspend``. All other signals have no effect: there may be any number of apps to which they could be
    forwarded, and Lambda sends no such signals.
    """
    loop = asyncio.get_running_loop()
    received: asyncio.Future[int] = loop.create_future()

    def on_signal(number: int) -> None:
        if number == signal.SIGTSTP:
            suspend()
        elif number in _ENDING and not received.done():
            received.set_result(number)

    for number in HANDLED:
        # nohup starts programs with SIGHUP ignored.
        if signal.getsignal(number) != signal.SIG_IGN or number in ENDING:
            loop.add_signal_handler(number, on_signal, int(number))
    for ignored in ACTIONS:
        if ACTIONS[ignored] == IGNORE:
            signal.signal(ignored, signal.SIG_IGN)
    return received


def _app_folder(config: Config) -> str:
    return str(Path(config.app_dir or ".").resolve())


async def _reload(folder: str, function: LocalFunction, terminal: Terminal) -> None:
    """Replace the environments whenever a file in the app's ``folder`` changes, until cancelled."""

    def on_change(name: str) -> None:
        terminal.notice(f"{name} has changed, the next request is a cold start")
        function.restart()

    await watch(folder, on_change, lambda: terminal.notice(f"watching {folder}"))


def fault_plan(config: Config) -> FaultPlan:
    """Return a new plan for ``--fault``. Raises ConfigurationError if the option is not valid."""
    try:
        return FaultPlan(parse_faults(config.faults), config.fault_seed)
    except ConfigurationError as error:
        raise ConfigurationError([f"{config.sources['faults']}: {mistake}" for mistake in error.mistakes]) from error


def executables_in(folder: str | None) -> dict[str, Path]:
    """Return the extensions, which are the executable files in ``folder``, by name. If it is None, there are none.

    Raises ConfigurationError if the folder cannot be read.
    """
    if folder is None:
        return {}
    try:
        files = sorted(path for path in Path(folder).resolve().iterdir() if path.is_file())
    except OSError as error:
        raise ConfigurationError([f"--extensions: {folder!r} cannot be read: {error.strerror}"]) from error
    return {path.name: path for path in files if os.access(path, os.X_OK)}
