"""``adapter dev``: everything that can be wrong is looked for before anything starts, and told at once."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from adapter.app.command import command_mistakes, port_mistake
from adapter.config.load import load, read
from adapter.config.ports import needs_port, placeholder_warnings, resolve_app_port
from adapter.emulator.commands.env_file import naming_the_file, read_env_file
from adapter.emulator.commands.wait import wait_for_dev
from adapter.emulator.service.emulator import executables_in, serve
from adapter.emulator.service.reload import require_watchfiles
from adapter.emulator.service.services import fault_plan
from adapter.emulator.settings import function_settings
from adapter.emulator.terminal.prices import load_prices
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from adapter.config.load import Config


def run(environ: Mapping[str, str], flags: Mapping[str, str], command: list[str], *, wait: bool) -> int:
    """Serve until a signal comes, or ``wait`` for another one that serves; the exit code.

    Raises ConfigurationError with every mistake there is.
    """
    if wait:
        return wait_for_dev(load(environ, flags))
    config, mistakes = read(environ, flags)
    if config.env_file is not None:
        try:
            config, mistakes, environ = _read_with_file(config.env_file, environ, flags)
        except ConfigurationError as error:
            mistakes += error.mistakes
    # Settings of which one is wrong would contradict each other where the right one does not.
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
    """The settings, their mistakes, and ``environ`` with the variables in ``file``. Raises ConfigurationError."""
    variables = read_env_file(file)
    environ = {**environ, **variables}
    config, mistakes = read(environ, flags)
    config.warnings[:] = naming_the_file(file, variables, config.warnings)
    return config, naming_the_file(file, variables, mistakes), environ


def _checks(config: Config) -> Iterator[Callable[[], object]]:
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
    if config.runtime is None:
        if not command:
            yield "CMD: is missing; name the command that starts the app: adapter dev -- CMD"
        yield from command_mistakes(command, environ, config.app_dir)
        if needs_port(config, command):
            port, _ = resolve_app_port(config, command)
            if taken := port_mistake(config.app_host, port):
                yield taken
        return
    try:
        words = shlex.split(config.runtime)
    except ValueError:
        # It is no command, which is a mistake of its own.
        words = []
    yield from command_mistakes(words, environ, config.app_dir, source=config.sources["runtime"])
