"""Opens the ports of the local Lambda, and serves them. Every port that cannot be opened is reported.

``sam local`` has the same default ports: start-api 3000, start-lambda 3001. If ``sam local`` uses a
port, the message says so.
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
from adapter.net.address import LAST_PORT, Address, address_of, listen, next_free_port
from adapter.net.descriptor_limits import connection_cap, soft_limit
from adapter.net.port_owner import listen_problem, listening_process
from adapter.net.server import Exchange, HttpServer, Limits

if TYPE_CHECKING:
    from adapter.config.load import Config
    from adapter.emulator.front_doors.door_settings import UrlSettings
    from adapter.emulator.notice import Notice

# The limit of the request line and all headers together, in bytes (Lambda quotas). Front doors check lower limits.
_HEAD_BYTES = MIB
# The maximum number of connections per port: the concurrency of a new account (Lambda quotas, "Concurrent executions").
_MAX_CONNECTIONS = 1000
# The inspector is for this machine only, unless a host is named.
_LOOPBACK = "127.0.0.1"
# How long responses in progress may continue after the environments have ended, in seconds.
_CLOSE_GRACE = 0.5

_SAM_LOCAL = re.compile(r"\bsam(?:\.exe)? local\b")

Serve: TypeAlias = Callable[[Exchange], Awaitable[None]]


def open_listeners(settings: UrlSettings) -> list[socket]:
    """Open a socket for each front door, then one for the Invoke APIs. Return the sockets in this order.

    The port numbers are written into ``settings``. Raises ConfigurationError if ports conflict or cannot be opened. The
    error contains a message for each of these ports.
    """
    config = settings.config
    conflicts = list(_given_twice(settings))
    if config.dev_port == LAST_PORT and config.invoke_port is None:
        conflicts.append(
            f"{_source(config, '--port')}: '{LAST_PORT}' is the highest port, so the Invoke APIs cannot use the next "
            "port; set the port of the Invoke APIs with --invoke-port"
        )
    if conflicts:
        raise ConfigurationError(conflicts)
    wanted = [(door.port, f"--front-door {door.rules.name}:") for door in settings.doors]
    if len(wanted) == 1 and settings.port == settings.doors[0].port:
        wanted = [(settings.port, "--port ")]
    wanted.append((settings.invoke_port, "--invoke-port "))
    sockets: list[socket] = []
    mistakes = []
    for port, hint in wanted:
        try:
            sockets.append(listen(settings.host, port))
        except OSError as error:
            mistakes.append(_open_mistake(config, error, port, hint))
    if mistakes:
        for opened in sockets:
            opened.close()
        raise ConfigurationError(list(dict.fromkeys(mistakes)))
    ports = [opened.getsockname()[1] for opened in sockets]
    for door, port in zip(settings.doors, ports, strict=False):
        door.port = port
    settings.port, settings.invoke_port = ports[0], ports[-1]
    return sockets


def open_inspector(settings: UrlSettings, notice: Notice) -> socket | None:
    """Open and return the socket of the inspector. Return None if the inspector is off, or if no port is free.

    Without ``--inspector``, the port is the first free port after those of all front doors and of the Invoke APIs.
    If no port is free, only a warning is logged. Raises ConfigurationError if the port in ``--inspector`` cannot be
    opened.
    """
    config = settings.config
    if config.no_inspector:
        return None
    if config.inspector is not None:
        host, port = config.inspector.host, config.inspector.port
        try:
            return listen(host, port)
        except OSError as error:
            problem = listen_problem(error, port) if error.errno == errno.EADDRINUSE else f"failed: {error.strerror}"
            source = config.sources["inspector"]
            raise ConfigurationError(
                [f"{source}: '{config.inspector}' {problem}; use another port, or leave the option out"]
            ) from error
    last = max([settings.invoke_port, *(door.port for door in settings.doors)])
    try:
        is_any = config.dev_port == 0
        port = 0 if is_any else next_free_port(Address(host=_LOOPBACK, port=last), frozenset())
        if not (port or is_any):
            raise OSError(errno.EADDRINUSE, f"no port after {last} is free")
        return listen(_LOOPBACK, port)
    except OSError as error:
        notice(f"the inspector is off: {error.strerror}; name a port with --inspector", level="warn")
        return None


def inspector_url(listener: socket, token: str) -> str:
    """Return the address of the inspector's page."""
    return f"{address_of(listener).local.url}/{token}/"


@asynccontextmanager
async def serving(services: Sequence[tuple[socket, Serve]], most: int = _MAX_CONNECTIONS) -> AsyncIterator[None]:
    """Serve each socket until the context is left, then wait up to 0.5 seconds for the responses in progress.

    The servers share the available file descriptors equally, and each has up to ``most`` connections. A server that has
    reached its limit of connections disconnects the client that has been idle the longest.
    """
    limits = Limits(head_bytes=_HEAD_BYTES, connections=connection_cap(soft_limit() // len(services), most))
    async with asyncio.TaskGroup() as group:
        servers = []
        for listener, serve in services:
            # An invocation continues if its client disconnects, because Lambda does not inform the function.
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
                    # A response that a low bandwidth cap delays would not end by itself.
                    server.abort(cancel=True)


def _given_twice(settings: UrlSettings) -> Iterator[str]:
    """Yield a message for each port that the user has requested more than once."""
    config = settings.config
    users_of: dict[int, list[str]] = {}
    for name, port in config.front_doors:
        if port:
            users_of.setdefault(port, []).append(name)
    uses_dev_port = not config.front_doors or any(port is None for _, port in config.front_doors)
    if uses_dev_port and config.sources["dev_port"] != "default" and config.dev_port:
        users_of.setdefault(config.dev_port, []).append(_source(config, "--port"))
    if config.inspector is not None and config.inspector.port and not config.no_inspector:
        users_of.setdefault(config.inspector.port, []).append(f"the inspector ({config.sources['inspector']})")
    if settings.invoke_port:
        users_of.setdefault(settings.invoke_port, []).append(f"the Invoke APIs ({_source(config, '--invoke-port')})")
    for port, users in users_of.items():
        if len(users) > 1:
            yield f"port {port} is given twice: {' and '.join(users)}; give each a port of its own"


def _open_mistake(config: Config, error: OSError, port: int, hint: str) -> str:
    """Return the message for a port that cannot be opened. ``hint`` is the flag with which to name another port."""
    if error.errno == errno.EADDRINUSE:
        source = _source(config, hint)
        # Another adapter dev usually uses three ports in a row.
        free = next_free_port(Address(host=config.dev_host, port=min(port + 2, LAST_PORT)), frozenset())
        process = listening_process(port)
        owner = ", which is sam local" if process is not None and _SAM_LOCAL.search(process[1]) else ""
        problem = f"{listen_problem(error, port)}{owner}"
        return f"{source}: '{port}' {problem}; use another port, for example {hint}{free or 3000}"
    if error.errno == errno.EACCES:
        return f"{_source(config, hint)}: '{port}' needs more rights than this user has; use {hint}3000 or above"
    source = config.sources["dev_host"] if config.sources["dev_host"] != "default" else "--host"
    reason = "is not an address of this machine" if error.errno == errno.EADDRNOTAVAIL else "cannot be listened on"
    return f"{source}: {config.dev_host!r} {reason}; use another address, for example --host 127.0.0.1"


def _source(config: Config, hint: str) -> str:
    flag = hint.split()[0]
    name = {"--port": "dev_port", "--front-door": "front_doors"}.get(flag, "invoke_port")
    return config.sources[name] if config.sources[name] != "default" else flag
