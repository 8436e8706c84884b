"""Where the local Lambda listens: all its ports are taken before anything is started, and every clash is reported.

``sam local`` uses the same two ports by default (start-api 3000, start-lambda 3001), so that its name in a report is
what a user may have forgotten.
"""

from __future__ import annotations

import asyncio
import errno
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from socket import socket
from typing import TYPE_CHECKING, TypeAlias

from adapter.aws.limits import MIB
from adapter.errors import ConfigurationError
from adapter.net.address import listen
from adapter.net.fd_limits import connection_cap, soft_limit
from adapter.net.port_owner import listening_process, port_owner
from adapter.net.server import Exchange, HttpServer, Limits

if TYPE_CHECKING:
    from adapter.config.load import Config
    from adapter.emulator.front_doors.settings import UrlSettings

# Request line and headers together, in bytes (Lambda quotas); front doors with less refuse in their own words.
_HEAD_BYTES = MIB
# How many clients a listener may have at most: as many invocations at once as Lambda lets a new account have (Lambda
# quotas, "Concurrent executions").
_MOST_CONNECTIONS = 1000
_LAST_PORT = 65535
# How long responses may take to end once the environment is gone, in seconds.
_CLOSE_GRACE = 0.5

_SAM_LOCAL = re.compile(r"\bsam(?:\.exe)? local\b")

Serve: TypeAlias = Callable[[Exchange], Awaitable[None]]


def open_listeners(config: Config, settings: UrlSettings) -> list[socket]:
    """A socket for each front door and the last for the Invoke APIs; the settings get to know the ports.

    Raises ConfigurationError with everything that is in the way.
    """
    clashes = [*_given_twice(config, settings), *_no_port_behind(config)]
    if clashes:
        raise ConfigurationError(clashes)
    wanted = [*((door.port, f"--front-door {door.rules.name}:") for door in settings.doors)]
    if len(wanted) == 1 and settings.port == settings.doors[0].port:
        wanted = [(settings.port, "--port ")]
    wanted.append((settings.invoke_port, "--invoke-port "))
    sockets: list[socket] = []
    mistakes = []
    for port, hint in wanted:
        try:
            sockets.append(listen(settings.host, port))
        except OSError as error:
            mistakes.append(_refusal(config, error, port, hint))
    if mistakes:
        for opened in sockets:
            opened.close()
        raise ConfigurationError(list(dict.fromkeys(mistakes)))
    ports = [opened.getsockname()[1] for opened in sockets]
    for door, port in zip(settings.doors, ports, strict=False):
        door.port = port
    settings.port, settings.invoke_port = ports[0], ports[-1]
    return sockets


@asynccontextmanager
async def serving(services: Sequence[tuple[socket, Serve]]) -> AsyncIterator[None]:
    """Serve what comes to each socket; at the end the responses under way get a moment to end.

    All of them together take no more clients than there are descriptors: beyond that who waits for longest has to go.
    """
    limits = Limits(
        head_bytes=_HEAD_BYTES, connections=connection_cap(soft_limit() // len(services), _MOST_CONNECTIONS)
    )
    async with asyncio.TaskGroup() as group:
        servers = []
        for listener, serve in services:
            # A client that goes away cancels nothing: Lambda does not tell the function.
            server = HttpServer(serve, group, limits=limits, cancels=False)
            await server.start(listener)
            servers.append(server)
        try:
            yield
        finally:
            for server in servers:
                server.close()
            try:
                async with asyncio.timeout(_CLOSE_GRACE):
                    for server in servers:
                        await server.wait_until_drained()
            except TimeoutError:
                for server in servers:
                    # Nothing would stop a response that is held back by a narrow cap.
                    server.abort(cancel=True)


def _given_twice(config: Config, settings: UrlSettings) -> Iterator[str]:
    """The ports that are asked for more than once; those that nobody asked for make way by themselves."""
    asked: dict[int, list[str]] = {}
    for name, port in config.front_doors:
        if port:
            asked.setdefault(port, []).append(name)
    follows = len(config.front_doors) > sum(port is not None for _, port in config.front_doors)
    if (follows or not config.front_doors) and config.sources["dev_port"] != "default" and config.dev_port:
        asked.setdefault(config.dev_port, []).append(_source(config, "--port"))
    if settings.invoke_port:
        asked.setdefault(settings.invoke_port, []).append(f"the Invoke APIs ({_source(config, '--invoke-port')})")
    for port, users in asked.items():
        if len(users) > 1:
            yield f"port {port} is given twice: {' and '.join(users)}; give each a port of its own"


def _no_port_behind(config: Config) -> Iterator[str]:
    if config.dev_port == _LAST_PORT and config.invoke_port is None:
        yield (
            f"{_source(config, '--port')}: '{_LAST_PORT}' leaves no port behind it for the Invoke APIs; "
            "name one with --invoke-port"
        )


def _refusal(config: Config, error: OSError, port: int, hint: str) -> str:
    """A mistake in the words of the option table: name, value, what is wrong, the way out."""
    if error.errno == errno.EADDRINUSE:
        source = _source(config, hint)
        # Two further on: a local Lambda takes two ports in a row, and another one is what is there most often.
        free = (port + 1) % _LAST_PORT + 1
        return f"{source}: '{port}' is taken{_owner(port)}; use another one, for example {hint}{free}"
    if error.errno == errno.EACCES:
        return f"{_source(config, hint)}: '{port}' may not be used without more rights; use {hint}3000 or above"
    source = config.sources["dev_host"] if config.sources["dev_host"] != "default" else "--host"
    reason = "is not an address of this machine" if error.errno == errno.EADDRNOTAVAIL else "cannot be listened on"
    return f"{source}: {config.dev_host!r} {reason}; use another one, for example --host 127.0.0.1"


def _source(config: Config, hint: str) -> str:
    flag = hint.split()[0]
    name = {"--port": "dev_port", "--front-door": "front_doors"}.get(flag, "invoke_port")
    return config.sources[name] if config.sources[name] != "default" else flag


def _owner(port: int) -> str:
    owner = port_owner(port)
    if owner is None:
        return ""
    process = listening_process(port)
    hint = ", which is sam local" if process is not None and _SAM_LOCAL.search(process[1]) else ""
    return f" by {owner}{hint}"
