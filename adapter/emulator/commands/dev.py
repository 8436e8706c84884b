"""``adapter dev``: everything is checked before anything starts, and all mistakes are reported together."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from adapter.app.command import command_mistakes, port_mistake
from adapter.config.load import load, read
from adapter.config.ports import needs_port, placeholder_warnings, resolve_app_port
from adapter.emulator.commands.env_file import prefix_file_name, read_env_file
from adapter.emulator.commands.wait import wait_for_dev
from adapter.emulator.function_settings import function_settings
from adapter.emulator.service.emulator import executables_in, serve
from adapter.emulator.service.endpoints import fault_plan
from adapter.emulator.service.reload import require_watchfiles
from adapter.emulator.terminal.prices import load_prices
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from adapter.config.load import Config


def run(environ: Mapping[str, str], flags: Mapping[str, str], command: list[str], *, wait: bool) -> int:
    """Serve until a signal arrives, or ``wait`` until another ``adapter dev`` serves; return the exit code.

    Raises ConfigurationError with every mistake.
    """
    if wait:
        return wait_for_dev(load(environ, flags))
    config, mistakes = read(environ, flags)
    if config.env_file is not None:
        try:
            config, mistakes, environ = _read_with_file(config.env_file, environ, flags)
        except ConfigurationError as error:
            mistakes += error.mistakes
    # A wrong setting has its default here, which may contradict another setting although the right one would not.
    contradictions = [] if mistakes else [lambda: function_settings(config, command)]
    mistakes += _command_mistakes(config, environ, command)
    mistakes += _mistakes_of(*_checks(config), *contradictions)
    if mistakes:
        raise ConfigurationError(mistakes)
    config.warnings.extend(placeholder_warnings(command))
    return serve(config, environ, command)


def _read_with_file(
    file: str, environ: Mapping[str, str], flags: Mapping[str, str]
) -> tuple[Config, list[str], Mapping[str, str]]:
    """Return the settings, their mistakes, and ``environ`` with the variables of ``file``.

    Raises ConfigurationError.
    """
    variables = read_env_file(file)
    environ = {**environ, **variables}
    config, mistakes = read(environ, flags)
    config.warnings[:] = prefix_file_name(file, variables, config.warnings)
    return config, prefix_file_name(file, variables, mistakes), environ


def _checks(config: Config) -> Iterator[Callable[[], object]]:
    """Yield functions that raise ConfigurationError if an option is not valid."""
    yield lambda: fault_plan(config)
    yield lambda: load_prices(config.price_table)
    if config.extensions is not None:
        folder = config.extensions
        yield lambda: executables_in(folder)
    if config.reload:
        yield require_watchfiles


def _mistakes_of(*checks: Callable[[], object]) -> Iterator[str]:
    for check in checks:
        try:
            check()
        except ConfigurationError as error:
            yield from error.mistakes


def _command_mistakes(config: Config, environ: Mapping[str, str], command: list[str]) -> Iterator[str]:
    """Yield what is wrong with CMD and the app's port, or with the command of ``--runtime``."""
    if config.runtime is None:
        if not command:
            yield "CMD: is missing; name the command that starts the app: adapter dev -- CMD"
        yield from command_mistakes(command, environ, config.app_dir)
        if needs_port(config, command):
            port, _ = resolve_app_port(config, command)
            if mistake := port_mistake(config.app_host, port):
                yield mistake
        return
    try:
        words = shlex.split(config.runtime)
    except ValueError:
        # ``function_settings`` reports a command that cannot be split.
        words = []
    yield from command_mistakes(words, environ, config.app_dir, source=config.sources["runtime"])
