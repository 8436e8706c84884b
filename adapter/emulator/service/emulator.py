"""``adapter dev``: start the front doors and the function, and end everything that was started.

A signal cancels the function, which ends its environments and with them every process; the front doors close last, so
that clients that wait get their answer.
"""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import TYPE_CHECKING

from adapter.app.process import adopt_orphans
from adapter.emulator.front_doors.settings import UrlSettings
from adapter.emulator.function.scheduler import LocalFunction
from adapter.emulator.requests.request_record import RequestRecord
from adapter.emulator.sandbox.processes import Launch, ProcessTree, Programs
from adapter.emulator.sandbox.runtime_command import runtime_command
from adapter.emulator.sandbox.variables import LOG_STREAM, runtime_environ
from adapter.emulator.service.reload import watch
from adapter.emulator.service.services import FAILING_RUNTIME, fault_plan, open_services, with_failing_inits
from adapter.emulator.settings import function_settings
from adapter.emulator.terminal.prices import load_prices
from adapter.emulator.terminal.report import Terminal
from adapter.errors import ConfigurationError
from adapter.logs import Log

if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.config.load import Config
    from adapter.emulator.settings import FunctionSettings

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


def serve(config: Config, environ: Mapping[str, str], command: list[str]) -> int:
    """Serve until a signal comes; 128 + its number, as shells report it. Raises ConfigurationError.

    ``environ`` are the variables that the function inherits.
    """
    terminal = Terminal(
        load_prices(config.price_table),
        config.region,
        color=False if environ.get("NO_COLOR") else None,
        log=Log(format="json", level=config.log_level) if config.log_format == "json" else None,
    )
    settings = function_settings(config, command)
    what = programs(config, environ, command)
    adopt_orphans()
    with asyncio.Runner() as runner:
        return runner.run(_serve(config, terminal, what, settings))


async def _serve(config: Config, terminal: Terminal, what: Programs, function_settings: FunctionSettings) -> int:
    stopped = _signal_received()
    settings = UrlSettings(config)
    plan = fault_plan(config)
    launch = with_failing_inits(launch_with(what), launch_with(_FAILING), plan)
    in_block = config.invocation_log == "cloudwatch"
    folder = _app_folder(config)
    function = LocalFunction(launch, function_settings, terminal.notice, terminal.line if in_block else None)

    def visit(visit: RequestRecord) -> None:
        # The block has its own words for every invocation, and none for what became no invocation.
        if config.access_log and (visit.refused or not in_block):
            terminal.visit(visit)

    async with (
        open_services(config, settings, function, terminal.notice, visit, faults=plan),
        asyncio.TaskGroup() as group,
    ):
        terminal.start(settings)
        for warning in config.warnings:
            terminal.notice(warning)
        serving = [group.create_task(function.run(warm=config.warm))]
        if config.reload:
            serving.append(group.create_task(_reload(str(folder), function)))
        number = await stopped
        for task in serving:
            task.cancel()
    return 128 + number


async def _reload(folder: str, function: LocalFunction) -> None:
    def changed(name: str) -> None:
        function.notice(f"{name} has changed, the next request is a cold start")
        function.restart()

    await watch(folder, changed, lambda: function.notice(f"watching {folder}"))


def programs(config: Config, environ: Mapping[str, str], command: list[str]) -> Programs:
    """What runs in every environment. Raises ConfigurationError."""

    invoke_mode = UrlSettings(config).invoke_mode

    def variables(runtime_api: str, log_stream: str, initialization_type: str) -> Mapping[str, str]:
        return runtime_environ(
            config,
            environ,
            runtime_api=runtime_api,
            log_stream=log_stream,
            invoke_mode=invoke_mode,
            initialization_type=initialization_type,
        )

    return Programs(
        runtime=runtime_command(config, command),
        variables=variables,
        # The adapter starts the app there by itself.
        directory=config.app_dir if config.runtime is not None else None,
        extensions=executables_in(config.extensions) if config.extensions is not None else {},
    )


def _app_folder(config: Config) -> Path:
    return Path(config.app_dir or ".").resolve()


def launch_with(what: Programs) -> Launch:
    """How to make the processes of a new environment."""
    return lambda tell, initialization_type: ProcessTree(what, tell, initialization_type)


_FAILING = Programs(
    runtime=FAILING_RUNTIME, variables=lambda _runtime_api, log_stream, _initialization_type: {LOG_STREAM: log_stream}
)


def executables_in(folder: str) -> dict[str, Path]:
    """The executable files in ``folder`` by their names, those of the extensions. Raises ConfigurationError."""
    try:
        files = sorted(path for path in Path(folder).resolve().iterdir() if path.is_file())
    except OSError as error:
        raise ConfigurationError([f"--extensions: {folder!r} cannot be read: {error.strerror}"]) from error
    return {path.name: path for path in files if os.access(path, os.X_OK)}


def _signal_received() -> asyncio.Future[int]:
    """Done with the number of the first signal that asks us to end; later ones change nothing."""
    loop = asyncio.get_running_loop()
    received: asyncio.Future[int] = loop.create_future()

    def note(number: int) -> None:
        if not received.done():
            received.set_result(number)

    for number in _SIGNALS:
        loop.add_signal_handler(number, note, int(number))
    return received
