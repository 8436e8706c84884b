"""``adapter dev``: start the front door and the function, and end everything that was started.

A signal cancels the function, which ends its environment and with it every process; the front door closes last, so that
clients that wait get their answer.
"""

from __future__ import annotations

import asyncio
import errno
import signal
import uuid
from typing import TYPE_CHECKING

from adapter.config import Config, environment
from adapter.emulator.front_door import FrontDoor, listening
from adapter.emulator.function import LocalFunction
from adapter.emulator.prices import load_prices
from adapter.emulator.process import ProcessTree, StartRuntime, adopt_orphans, start_process
from adapter.emulator.report import Terminal
from adapter.emulator.runtime_environ import LOG_STREAM, runtime_environ
from adapter.emulator.url_settings import UrlSettings
from adapter.errors import ConfigurationError
from adapter.port_owner import port_owner
from adapter.start import own_command

if TYPE_CHECKING:
    from collections.abc import Mapping

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# How listening may be refused: which option it is about, what is wrong, and which other value may do.
_REFUSALS = {
    errno.EADDRINUSE: ("dev_port", "is taken", "--port {next_port}"),
    errno.EACCES: ("dev_port", "may not be used without more rights", "--port 3000"),
    errno.EADDRNOTAVAIL: ("dev_host", "is not an address of this machine", "--host 127.0.0.1"),
}
_UNKNOWN_HOST = ("dev_host", "cannot be listened on", "--host 127.0.0.1")


def run(config: Config, command: list[str]) -> int:
    """Serve until a signal comes; 128 + its number, as shells report it. Raises ConfigurationError."""
    environ = environment()
    terminal = Terminal(
        load_prices(config.price_table), config.region, color=False if environ.get("NO_COLOR") else None
    )
    adopt_orphans()
    with asyncio.Runner() as runner:
        return runner.run(_serve(config, terminal, adapter_run(config, environ, command)))


async def _serve(config: Config, terminal: Terminal, start: StartRuntime) -> int:
    stopped = _signal_received()
    settings = UrlSettings(config)
    function = LocalFunction(start, terminal.notice, timeout=config.timeout, region=config.region)
    door = FrontDoor(function, settings, terminal.visit)
    try:
        async with listening(door, settings.host, settings.port) as settings.port, asyncio.TaskGroup() as group:
            terminal.start(settings)
            serving = group.create_task(function.run(warm=config.warm))
            number = await stopped
            serving.cancel()
    except OSError as error:
        raise ConfigurationError([_refusal(config, error)]) from error
    return 128 + number


def adapter_run(config: Config, environ: Mapping[str, str], command: list[str]) -> StartRuntime:
    """How to start ``adapter run -- command`` for a Runtime API."""

    async def start(runtime_api: str) -> ProcessTree:
        log_stream = f"local/[$LATEST]{uuid.uuid4().hex}"
        child_environ = runtime_environ(config, environ, runtime_api=runtime_api, log_stream=log_stream)
        arguments = own_command("run", "--", *command)
        return await start_process(arguments, child_environ, marker=f"{LOG_STREAM}={log_stream}")

    return start


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


def _refusal(config: Config, error: OSError) -> str:
    """A mistake in the words of the option table: name, value, what is wrong, the way out."""
    name, reason, way_out = _REFUSALS.get(error.errno or 0, _UNKNOWN_HOST)
    source = config.sources[name] if config.sources[name] != "default" else config.options[name].flag
    owner = port_owner(config.dev_port) if error.errno == errno.EADDRINUSE else None
    by = f" by {owner}" if owner else ""
    instead = way_out.format(next_port=config.dev_port % 65535 + 1)
    return f"{source}: {str(config.values[name])!r} {reason}{by}; use another one, for example {instead}"
