"""``adapter health``: whether the proxy on this machine is healthy, for a container's HEALTHCHECK. No curl needed.

With an admin listener its ``/readyz`` tells whether the app is ready; without one a connection to the proxy tells that
it is there. A container runs this every few seconds, so nothing slow is imported.
"""

from __future__ import annotations

from time import monotonic

from adapter.config.load import environment, load
from adapter.config.ports import resolve_listen
from adapter.errors import AdapterError, AppTimeout, ConfigurationError, InvocationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.config.load import Config
    from adapter.net.address import Address

HEALTHY = 0
# Docker knows no other code: 2 is reserved, so a mistake in the settings is 1 as well.
UNHEALTHY = 1
# How long the listener may take to answer, in seconds; less than any sensible timeout of a HEALTHCHECK.
TIMEOUT = 3.0
# How much of the reason that /readyz gives is shown, in bytes.
_REASON_SIZE = 500


def run(flags: Mapping[str, str] | None = None) -> int:
    """Exit code 0 if the proxy is healthy, else 1 and a line on stderr that says why."""
    problem = find_problem(environment(), flags)
    if problem is None:
        return HEALTHY
    from adapter.logs import write_stderr

    write_stderr(f"adapter: unhealthy: {problem}\n".encode())
    return UNHEALTHY


def find_problem(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> str | None:
    """Why the proxy that these settings describe is not healthy, in one line; None if it is."""
    try:
        config = load(environ, flags)
        if config.admin is not None:
            return _ask_ready(_known(config.admin, "ADAPTER_ADMIN"))
        return _connect(_known(_listen_address(config), "ADAPTER_LISTEN"))
    except AdapterError as error:
        return str(error)


def _listen_address(config: Config) -> Address:
    """Where the proxy listens. Raises ConfigurationError where only its CMD would tell."""
    if config.listen is None and config.container_port is not None and config.app_port is None:
        raise ConfigurationError(
            [f"PORT: {config.container_port} may be the app's port or the proxy's; set ADAPTER_LISTEN or ADAPTER_ADMIN"]
        )
    # Only that the app's port is not the proxy's matters here.
    return resolve_listen(config, config.app_port or 0)


def _known(address: Address, variable: str) -> Address:
    """Return ``address`` as clients on this machine use it. Raises ConfigurationError for port 0."""
    if address.port == 0:
        raise ConfigurationError([f"{variable}: port 0 is any free port, which nobody else can know; set one"])
    return address.local


def _connect(address: Address) -> str | None:
    from adapter.runtime.connection import connect

    try:
        connect(address, TIMEOUT).close()
    except OSError as error:
        return f"nothing answers on {address} ({error})"
    return None


def _ask_ready(address: Address) -> str | None:
    from adapter.net.http1 import ResponseReader, encode_request_head
    from adapter.payload.messages import Request
    from adapter.runtime.connection import Connection

    try:
        connection = Connection(address)
    except OSError as error:
        return f"nothing answers on {address} ({error})"
    try:
        connection.deadline = monotonic() + TIMEOUT
        request = Request(method="GET", target="/readyz", headers=[("connection", "close")])
        connection.send((encode_request_head(request, address.host_header),))
        reader = ResponseReader("GET")
        body = connection.receive_body(reader, connection.receive_head(reader), _REASON_SIZE)
    except AppTimeout:
        return f"no answer from {address} within {TIMEOUT:g} s"
    except (OSError, InvocationError) as error:
        return f"no answer from {address} ({error})"
    finally:
        connection.close()
    assert reader.head is not None
    if reader.head.status == 200:
        return None
    reason = " ".join(bytes(body or b"").decode("utf-8", "replace").split())
    return f"/readyz on {address} answered {reader.head.status}{reason and ': '}{reason}"
