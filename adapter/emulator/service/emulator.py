"""The service behind ``adapter dev``: starts the front doors and the function, and stops them after a signal.

The function is stopped first, which ends all environments and their processes. The front doors close last, so that
waiting clients receive an answer.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import signal
import sys
from collections.abc import Iterable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING
from weakref import WeakSet

from adapter.app.job_control import JobControl
from adapter.app.process import ACTIONS, ENDING, HANDLED, IGNORE, adopt_orphans
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.function.scheduler import LocalFunction
from adapter.emulator.function_settings import function_settings
from adapter.emulator.sandbox.processes import OnLine, ProcessTree, Programs
from adapter.emulator.sandbox.runtime_command import runtime_command
from adapter.emulator.sandbox.variables import LOG_STREAM, runtime_environ
from adapter.emulator.service.console import Console
from adapter.emulator.service.endpoints import Emulation, fault_plan, open_endpoints
from adapter.emulator.service.reload import watch
from adapter.emulator.terminal.lines import Terminal
from adapter.emulator.terminal.prices import load_prices
from adapter.errors import ConfigurationError
from adapter.library_lines import log_stderr_as_json, report_errors, report_loop_errors
from adapter.logs import Log

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from adapter.config.load import Config
    from adapter.emulator.function_settings import FunctionSettings

# The signals that end this process: the same as for ``adapter run``, and those of Ctrl-\ and of a closed terminal.
_ENDING = (*ENDING, signal.SIGQUIT, signal.SIGHUP)
_WITH_EFFECT = (*_ENDING, signal.SIGTSTP, signal.SIGCONT)
# The environments of the other mode are ended after this many idle seconds.
_OTHER_MODE_IDLE = 60.0
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

    Return 0 after the key q. The function inherits the variables ``environ``. ``own_variables`` are the names of the
    variables that are set for this function only. ``template`` has only the settings in the ``--template`` file. Raises
    ConfigurationError if a setting, a file or a port cannot be used.
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
    # A separate plan for the init phases. It draws the same numbers as a common plan would, because each fault has its
    # own random number generator.
    plan = fault_plan(config)

    trees: WeakSet[ProcessTree] = WeakSet()

    def launch(programs: Programs, tell: OnLine, initialization_type: str) -> ProcessTree:
        tree = ProcessTree(_FAILING_PROGRAMS if plan.fails_init() else programs, tell, initialization_type)
        trees.add(tree)
        return tree

    numbers = itertools.count(1)

    def function_in(mode: str, function_settings: FunctionSettings) -> LocalFunction:
        programs = Programs(
            runtime=runtime_command(config, command),
            variables=partial(runtime_environ, config, environ, invoke_mode=mode),
            # ``adapter run`` starts the app in this folder itself. Any other runtime is started in this folder.
            directory=config.app_dir if config.runtime is not None else None,
            extensions=executables_in(config.extensions),
            shows=terminal.shows_output,
            gets_terminal=config.debug,
        )
        show = terminal.show_cloudwatch_line
        return LocalFunction(partial(launch, programs), function_settings, terminal.notice, show, numbers=numbers)

    def suspend() -> None:
        """Suspend the processes of all environments and this process until SIGCONT arrives. Called after Ctrl-Z."""
        running = [tree for tree in trees if not tree.is_frozen]
        for tree in running:
            tree.freeze()
        JobControl(terminal.notice).suspend(None)
        for tree in running:
            tree.thaw()

    def follow_stop() -> None:
        """If Ctrl-Z has suspended a debugged app and its runtime, suspend this process too until SIGCONT arrives."""
        stopped = [pid for tree in trees if (pid := tree.stopped_runtime()) is not None]
        if stopped:
            JobControl(terminal.notice).stop_with(stopped[0])

    adopt_orphans()
    report_errors(terminal.report_error)
    if terminal.log is not None:
        log_stderr_as_json(terminal.log)
    with asyncio.Runner() as runner:
        report_loop_errors(runner.get_loop(), terminal.report_error)
        emulation = Emulation(
            settings=settings,
            function=function_in(settings.invoke_mode, function_settings(config, command)),
            notice=terminal.notice,
            report=terminal.log_request,
            secret_values=partial(_secret_values, environ, own_variables),
            other_mode=partial(_in_other_mode, settings, function_settings(config, command), function_in),
            init_faults=plan,
            on_finished=terminal.summary.add_invocation,
        )
        if config.debug:
            runner.get_loop().add_signal_handler(signal.SIGCHLD, follow_stop)
        return runner.run(_serve(emulation, terminal, suspend, environ))


def _secret_values(environ: Mapping[str, str], own_variables: Iterable[str]) -> frozenset[str]:
    # Only the inspector needs this module.
    from adapter.emulator.inspector.masking import environment_secrets

    return environment_secrets(environ, own_variables)


def _in_other_mode(
    settings: UrlSettings,
    function_settings: FunctionSettings,
    function_in: Callable[[str, FunctionSettings], LocalFunction],
) -> LocalFunction:
    """Return the function in the other invoke mode. Raises ConfigurationError if only one mode can run at a time."""
    if reason := function_settings.only_one_because:
        raise ConfigurationError([f"the function cannot run in both modes at the same time: {reason}"])
    mode = "buffered" if settings.invoke_mode == "response_stream" else "response_stream"
    return function_in(mode, replace(function_settings, provisioned=0, idle_reclaim=_OTHER_MODE_IDLE))


async def _serve(
    emulation: Emulation, terminal: Terminal, suspend: Callable[[], None], environ: Mapping[str, str]
) -> int:
    config, function = emulation.settings.config, emulation.function
    ending: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    async with open_endpoints(emulation) as endpoints, asyncio.TaskGroup() as group:
        console = Console(terminal, endpoints, partial(_end, ending, 0), environ)
        _handle_signals(ending, suspend, console)
        terminal.log_start(emulation.settings)
        for warning in config.warnings:
            terminal.notice(warning, level="warn")
        tasks = [group.create_task(function.run(warm=config.warm))]
        if config.reload:
            tasks.append(group.create_task(_reload(_app_folder(config), function, terminal)))
        # A debugged app has the keyboard, and nothing is redrawn over its prompt.
        with nullcontext() if config.debug else console.active():
            number = await ending
        terminal.end()
        for task in tasks:
            task.cancel()
    terminal.log_summary()
    return number and 128 + number


def _end(ending: asyncio.Future[int], number: int) -> None:
    if not ending.done():
        ending.set_result(number)


def _handle_signals(ending: asyncio.Future[int], suspend: Callable[[], None], console: Console) -> None:
    """Handle all signals. The number of the first signal that must end this process is the result of ``ending``.

    After SIGTSTP, ``console`` stops reading keys, and ``suspend`` is called. After SIGCONT, ``console`` reads keys
    again. All other signals have no effect. They are not forwarded, because several apps may be running, and Lambda
    sends no such signals.
    """
    loop = asyncio.get_running_loop()

    def on_signal(number: int) -> None:
        if number == signal.SIGTSTP:
            console.suspend()
            suspend()
            console.resume()
        elif number == signal.SIGCONT:
            # A shell may have continued this process in the foreground after it was in the background.
            console.resume()
        else:
            _end(ending, number)

    for number in HANDLED:
        # nohup starts programs with SIGHUP ignored.
        if signal.getsignal(number) == signal.SIG_IGN and number not in ENDING:
            continue
        if number in _WITH_EFFECT:
            loop.add_signal_handler(number, on_signal, int(number))
        else:
            # Not SIG_IGN, which the processes of the environments would inherit. The event loop would take milliseconds
            # for all these handlers.
            signal.signal(number, _do_nothing)
            signal.siginterrupt(number, False)
    for ignored in ACTIONS:
        if ACTIONS[ignored] == IGNORE:
            signal.signal(ignored, signal.SIG_IGN)


def _do_nothing(_number: int, _frame: object) -> None:
    """Do nothing. This is the handler of all signals that have no effect."""


def _app_folder(config: Config) -> str:
    return str(Path(config.app_dir or ".").resolve())


async def _reload(folder: str, function: LocalFunction, terminal: Terminal) -> None:
    """Replace the environments after each change of a file in ``folder``, the app's folder. Runs until cancelled."""

    def on_change(name: str) -> None:
        terminal.notice(f"{name} has changed; the next request is a cold start")
        function.restart()

    await watch(folder, on_change, lambda: terminal.notice(f"watching {folder}"))


def executables_in(folder: str | None) -> dict[str, Path]:
    """Return the extensions: the executable files in ``folder``, by name. Return an empty dict if ``folder`` is None.

    Raises ConfigurationError if the folder cannot be read.
    """
    if folder is None:
        return {}
    try:
        files = sorted(path for path in Path(folder).resolve().iterdir() if path.is_file())
    except OSError as error:
        raise ConfigurationError([f"--extensions: {folder!r} cannot be read: {error.strerror}"]) from error
    return {path.name: path for path in files if os.access(path, os.X_OK)}
