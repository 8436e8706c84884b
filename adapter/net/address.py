"""Server addresses (``HOST:PORT``, IPv6 included, or a Unix socket), and functions that open listening sockets.

This module is imported before the app is started. To save time, only the functions that open a socket import
``socket``.
"""

from __future__ import annotations

import errno
import posix  # instead of `os`; app/process.py explains why

from adapter.numbers import whole_number

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator
    from socket import socket
    from typing import Final, TypeVar

    T = TypeVar("T")

LAST_PORT = 65535
# The range in which free ports are searched. It ends below the ports that systems assign to connections. The third
# number is the maximum number of attempts. If all fail, the system chooses a port.
_FREE_FROM, _ASSIGNED_FROM, _FREE_ATTEMPTS = 20_000, 32_768, 100
# The number of connections that may wait to be accepted. The kernel has a limit of its own (net.core.somaxconn).
BACKLOG = 1024
# Maps each host that means "all addresses of this machine" to the address at which a local client connects.
_LOOPBACK_OF = {"0.0.0.0": "127.0.0.1", "::": "::1"}


class Address:
    """The address of a server: ``host`` and ``port``, or the ``path`` of a Unix socket."""

    __slots__ = ("host", "path", "port")

    def __init__(self, *, host: str = "", port: int = 0, path: str | None = None) -> None:
        self.host: Final = host
        self.port: Final = port
        self.path: Final = path

    @classmethod
    def parse(cls, text: str) -> Address:
        """Parse ``HOST:PORT``, with an IPv6 host in brackets. Raises ValueError if the port is not from 0 to 65535."""
        host, _, port = text.rpartition(":")
        number = whole_number(port, LAST_PORT)
        if number is None:
            raise ValueError(f"{text!r} has no port from 0 to {LAST_PORT}")
        return cls(host=host.strip("[]"), port=number)

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Address) and str(self) == str(other)

    def __hash__(self) -> int:
        return hash(str(self))

    def __repr__(self) -> str:
        return f"Address({self})"

    @property
    def host_header(self) -> str:
        """The Host header for requests to this address; ``localhost`` for a Unix socket."""
        return "localhost" if self.path is not None else str(self)

    @property
    def is_everywhere(self) -> bool:
        """Whether a server on this address listens on all addresses of this machine."""
        return self.host in _LOOPBACK_OF

    @property
    def local(self) -> Address:
        """The address at which a client on this machine reaches a server that listens on this address."""
        return Address(host=_LOOPBACK_OF.get(self.host, self.host), port=self.port, path=self.path)

    @property
    def url(self) -> str:
        """The URL without a path, for example ``http://127.0.0.1:3000``."""
        return f"http://{self}"


class AppAddress:
    """The app's address: ``current``, or ``other`` if ``current`` refuses a connection.

    By default an app may listen on either loopback address, since some servers bind only the first address of
    ``localhost``. ``current`` is the address that accepted the latest connection, so only the first connection may
    need a second attempt. ``other`` is None if there is only one address.
    """

    __slots__ = ("current", "other")

    def __init__(self, current: Address, other: Address | None = None) -> None:
        self.current = current
        self.other = other

    def __str__(self) -> str:
        return str(self.current) if self.other is None else f"{self.current} or {self.other}"

    @property
    def host_header(self) -> str:
        """The Host header for requests to the current address."""
        return self.current.host_header

    def connect(self, connect: Callable[[Address], T]) -> T:
        """Return ``connect(address)`` for the first address that accepts a connection.

        Raises OSError if no address accepts one.
        """
        current, other = self.current, self.other
        try:
            return connect(current)
        except ConnectionRefusedError as refusal:
            if other is None:
                raise
            try:
                connection = connect(other)
            except OSError:
                # The machine may have no IPv6, so the first error is the more useful one.
                raise refusal from None
        self.current, self.other = other, current
        return connection

    async def connect_async(self, connect: Callable[[Address], Awaitable[T]]) -> T:
        """Do the same as the method ``connect``, but with a coroutine function as the argument."""
        current, other = self.current, self.other
        try:
            return await connect(current)
        except ConnectionRefusedError as refusal:
            if other is None:
                raise
            try:
                connection = await connect(other)
            except OSError:
                raise refusal from None
        self.current, self.other = other, current
        return connection


def listen(host: str, port: int) -> socket:
    """Return a socket that listens on ``host`` and ``port``; port 0 selects any free port.

    Raises OSError if listening fails.
    """
    import socket

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    return socket.create_server((host, port), family=family, backlog=BACKLOG)


def reserve(host: str, port: int) -> socket:
    """Return a socket that is bound to ``host`` and ``port``. Until its ``listen`` is called, it refuses connections.

    Raises OSError if binding fails, for example because another socket is listening on the same port.
    """
    import socket

    reserved = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        # As in socket.create_server().
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if reserved.family == socket.AF_INET6:
            reserved.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        reserved.bind((host, port))
    except OSError:
        reserved.close()
        raise
    return reserved


def address_of(listener: socket) -> Address:
    """Return the address that ``listener`` listens on."""
    host, port, *_ = listener.getsockname()
    return Address(host=host, port=port)


def free_port(*hosts: str) -> int:
    """Return a port that is currently free on all ``hosts``.

    If possible, the port is outside the range that the system assigns to connections. So the port is probably still
    free when the app listens on it.
    The first host must be an address of this machine. Other hosts that this machine does not have are ignored.
    Raises OSError if listening on the first host fails for another reason than a port in use, or if no port is free.
    """
    unassigned = _unassigned_ports()
    while True:
        wanted = next(unassigned, 0)
        try:
            port = _try_to_listen(hosts[0], wanted)
            if not any(_is_taken(host, port) for host in hosts[1:]):
                return port
        except OSError as error:
            if not wanted or error.errno != errno.EADDRINUSE:
                raise


def _unassigned_ports() -> Iterator[int]:
    """Yield some random ports below those that the system assigns by itself (ip(7), ``ip_local_port_range``)."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as file:
            end = int(file.read().split()[0])
    except (OSError, ValueError):
        end = _ASSIGNED_FROM
    count = min(end, _ASSIGNED_FROM) - _FREE_FROM
    if count < _FREE_ATTEMPTS:
        return
    for _ in range(_FREE_ATTEMPTS):
        yield _FREE_FROM + int.from_bytes(posix.urandom(4), "little") % count


def next_free_port(address: Address, taken: frozenset[int]) -> int:
    """Return the first free port above ``address.port`` that is not in ``taken``, or 0 if no port is left."""
    ports = range(address.port + 1, LAST_PORT + 1)
    return next((port for port in ports if port not in taken and _is_free(address.host, port)), 0)


def _try_to_listen(host: str, port: int) -> int:
    """Listen on ``host`` and ``port`` for a moment. Return the port; if ``port`` is 0, the system chooses it.

    Raises OSError if listening fails.
    """
    # Not `socket`: the app waits for its port, and that import takes longer than finding it.
    import _socket

    listener = _socket.socket(_socket.AF_INET6 if ":" in host else _socket.AF_INET)
    try:
        # As in socket.create_server().
        listener.setsockopt(_socket.SOL_SOCKET, _socket.SO_REUSEADDR, 1)
        if ":" in host:
            listener.setsockopt(_socket.IPPROTO_IPV6, _socket.IPV6_V6ONLY, 1)
        listener.bind((host, port))
        listener.listen()
        found: int = listener.getsockname()[1]
        return found
    finally:
        listener.close()


def _is_taken(host: str, port: int) -> bool:
    try:
        _try_to_listen(host, port)
    except OSError as error:
        return error.errno == errno.EADDRINUSE
    return False


def _is_free(host: str, port: int) -> bool:
    try:
        _try_to_listen(host, port)
    except OSError:
        return False
    return True
