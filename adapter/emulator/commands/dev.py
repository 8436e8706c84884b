"""``adapter dev``: checks all settings before it starts anything, and reports all mistakes together.

``adapter dev --wait``, for scripts, waits until another ``adapter dev`` is ready.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING

import click

from adapter.app.command import command_mistakes, port_mistake
from adapter.config.load import load, read
from adapter.config.ports import app_address, needs_port, placeholder_warnings, resolve_app_port
from adapter.emulator.commands.env_file import prefix_file_name, read_env_file
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.function_settings import function_settings
from adapter.emulator.service.control_api import STATUS
from adapter.emulator.service.emulator import executables_in, serve
from adapter.emulator.service.endpoints import fault_plan
from adapter.emulator.service.reload import require_watchfiles
from adapter.emulator.template.template import Template, load_template
from adapter.emulator.terminal.prices import load_prices
from adapter.errors import ConfigurationError
from adapter.logs import Log, visible
from adapter.net.address import Address

if TYPE_CHECKING:
    from adapter.config.load import Config

# For --wait: the pause between two requests and the timeout of each request, in seconds.
_WAIT_PAUSE = 0.05
_WAIT_REQUEST_TIMEOUT = 2.0
# The time after which --wait logs that it is waiting, in seconds. Before that, adapter dev is probably just starting.
_WAIT_SILENCE = 1.0


def run(environ: Mapping[str, str], flags: Mapping[str, str], command: list[str], *, wait: bool) -> int:
    """Serve until a signal arrives. Return the exit code.

    If ``wait`` is True, do not serve, but wait until another ``adapter dev`` is ready. Raises ConfigurationError,
    which contains every mistake in the settings.
    """
    if wait:
        return wait_for_dev(load(environ, flags))
    shell = environ
    config, environ, template, mistakes = _read_settings(environ, flags, command)
    own_variables = [name for name, value in environ.items() if shell.get(name) != value]
    command = command if template is None else template.command
    checks: list[Callable[[], object]] = [
        partial(fault_plan, config),
        partial(load_prices, config.price_table),
        partial(executables_in, config.extensions),
    ]
    if config.reload:
        checks.append(require_watchfiles)
    if not mistakes:
        # After a mistake, these checks would mislead: an invalid value is replaced by the default, which may contradict
        # another setting.
        checks.append(partial(function_settings, config, command))
        checks.append(partial(UrlSettings, config))
    if template is not None or command:
        # If the template cannot be read, a missing command is not reported, since the template may contain it.
        mistakes += _command_mistakes(config, environ, command)
    for check in checks:
        try:
            check()
        except ConfigurationError as error:
            mistakes += error.mistakes
    if mistakes or template is None:
        raise ConfigurationError(mistakes)
    config.warnings.extend(placeholder_warnings(command))
    return serve(config, environ, command, _template_settings(template), own_variables=own_variables)


def _read_settings(
    environ: Mapping[str, str], flags: Mapping[str, str], command: list[str]
) -> tuple[Config, Mapping[str, str], Template | None, list[str]]:
    """Return the settings, the environment variables, the template (None if it cannot be read), and all mistakes.

    The settings include those from the template and the env file. Variables in the env file override the environment,
    which overrides the template's variables.
    """
    config, mistakes = read(environ, flags)
    template = Template(command=command)
    if config.template is not None:
        try:
            template = load_template(config.template, config.template_function, config.region, command)
        except ConfigurationError as error:
            return config, environ, None, mistakes + error.mistakes
        environ = {**template.variables, **environ}
        config, mistakes = read(environ, flags, template.options)
    if config.env_file is not None:
        file = config.env_file
        try:
            variables = read_env_file(file)
        except ConfigurationError as error:
            mistakes += error.mistakes
        else:
            environ = {**environ, **variables}
            config, mistakes = read(environ, flags, template.options)
            config.warnings[:] = prefix_file_name(file, variables, config.warnings)
            mistakes = prefix_file_name(file, variables, mistakes)
    config.warnings.extend(template.notes)
    return config, environ, template, mistakes


def _template_settings(template: Template) -> Config | None:
    """Return the settings from the template alone, so that they can be compared with the actual settings.

    Returns None if the template sets no options or if its settings have mistakes.
    """
    if not template.options:
        return None
    config, mistakes = read(template.variables, {}, template.options)
    return None if mistakes else config


def _command_mistakes(config: Config, environ: Mapping[str, str], command: list[str]) -> Iterator[str]:
    """Yield a message for each mistake in the command and in the app's port.

    If ``--runtime`` is set, only the command in ``--runtime`` is checked; otherwise CMD and the app's port are checked.
    """
    if config.runtime is None:
        if not command:
            source = f"; {config.template!r} does not contain a command either" if config.template is not None else ""
            yield f"CMD: is missing{source}; name the command that starts the app: adapter dev -- CMD"
        yield from command_mistakes(command, environ, config.app_dir)
        if needs_port(config, command):
            port, _ = resolve_app_port(config, command)
            if mistake := port_mistake(app_address(config, port)):
                yield mistake
        return
    try:
        words = shlex.split(config.runtime)
    except ValueError:
        # ``function_settings`` reports a command that cannot be split.
        words = []
    yield from command_mistakes(words, environ, config.app_dir, source=config.sources["runtime"])


def wait_for_dev(config: Config) -> int:
    """Wait until an ``adapter dev`` is ready, and return 0. Return 1 if none is ready within ``--readiness-timeout``.

    After one second, log the address to which the requests are sent. After the timeout, log why no ``adapter dev`` is
    ready. Raises ConfigurationError if the port of the Invoke APIs is set to 0, which means any free port.
    """
    settings = UrlSettings(config, with_access=False)
    if not settings.invoke_port:
        raise ConfigurationError(
            ["--wait: port 0 means any free port; set --port or --invoke-port to the port of the other adapter dev"]
        )
    address = Address(host=settings.host, port=settings.invoke_port).local
    timeout = config.readiness_timeout
    begun = time.monotonic()
    is_logged = False
    while problem := _problem(address):
        waited = time.monotonic() - begun
        if waited >= timeout:
            advice = "start adapter dev, or set --invoke-port to the port of its Invoke APIs"
            _log(f"no adapter dev is ready on {address} after {timeout:g} s: {problem}; {advice}", config)
            return 1
        if not is_logged and waited >= _WAIT_SILENCE:
            is_logged = True
            where = f"the Invoke APIs on {address}: {problem}"
            _log(f"waiting up to {timeout:g} s (--readiness-timeout) for {where}", config)
        time.sleep(_WAIT_PAUSE)
    return 0


def _log(text: str, config: Config) -> None:
    if config.log_format == "json":
        Log(format="json", level=config.log_level).info(text)
    else:
        click.echo(f"adapter dev --wait: {visible(text)}", err=True)


def _problem(address: Address) -> str:
    """Send a request to ``address``. Return why ``adapter dev`` is not ready there, or an empty string if it is ready.

    ``adapter dev`` is not ready while an app is starting, for example with ``--warm``.
    """
    import http.client  # only --wait needs it
    import json

    connection = http.client.HTTPConnection(address.host, address.port, timeout=_WAIT_REQUEST_TIMEOUT)
    try:
        connection.request("GET", STATUS, headers={"Host": f"localhost:{address.port}"})
        response = connection.getresponse()
        environments = json.loads(response.read())["environments"] if response.status == 200 else []
        is_starting = any(each["state"] == "starting" for each in environments)
    except ConnectionRefusedError:
        return "nothing listens there"
    except (KeyError, TypeError, ValueError):
        return "the answer is not adapter dev's status report, so another program listens there"
    except (OSError, http.client.HTTPException) as error:
        return str(error) or type(error).__name__
    finally:
        connection.close()
    if response.status != 200:
        return f"the answer has status {response.status}, so another program listens there"
    return "an app is still starting" if is_starting else ""
