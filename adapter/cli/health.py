"""``adapter health``: check whether the proxy on this machine is healthy, for a HEALTHCHECK without curl.

If the proxy has an admin listener, ``/readyz`` must answer 200. Otherwise, a connection to the proxy is enough.
Containers run this every few seconds, so this module imports nothing slow.
"""

from __future__ import annotations

from time import monotonic

from adapter.config.load import environment, load, log_format
from adapter.config.ports import resolve_listen
from adapter.errors import EXIT_FAILURE, EXIT_OK, AdapterError, AppTimeout, ConfigurationError, InvocationError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.config.load import Config
    from adapter.net.address import Address

# The time that the listener has to answer, in seconds. A HEALTHCHECK should have a longer timeout.
TIMEOUT = 3.0
# The maximum number of bytes that are read from the body of a /readyz response, which contains the reason.
_REASON_SIZE = 500


def run(flags: Mapping[str, str] | None = None) -> int:
    """Check the proxy. If it is healthy, return exit code 0. Otherwise write the reason to stderr and return 1.

    Return 1 for a mistake in the settings as well, since Docker reserves exit code 2.
    """
    environ = environment()
    problem = find_problem(environ, flags)
    if problem is None:
        return EXIT_OK
    from adapter.logs import write_error

    write_error(f"unhealthy: {problem}", format=log_format(environ))
    return EXIT_FAILURE


def find_problem(environ: Mapping[str, str], flags: Mapping[str, str] | None = None) -> str | None:
    """Check the proxy that has the settings in ``environ`` and ``flags``.

    Return None if the proxy is healthy, else one line with the reason why it is not.
    """
    try:
        config = load(environ, flags)
        if config.admin is not None:
            return _request_readyz(_known(config.admin, "ADAPTER_ADMIN"))
        return _connect(_known(_listen_address(config), "ADAPTER_LISTEN"))
    except AdapterError as error:
        return str(error)


def _listen_address(config: Config) -> Address:
    """Return the address that the proxy listens on. Raises ConfigurationError if the settings do not determine it."""
    if config.listen is None and config.container_port is not None and config.app_port is None:
        raise ConfigurationError(
            [
                f"PORT: it is not known whether {config.container_port} is the app's port or the proxy's; "
                "set ADAPTER_LISTEN or ADAPTER_ADMIN"
            ]
        )
    # The app's port matters only because the proxy cannot listen on the same port.
    return resolve_listen(config, config.app_port or 0)


def _known(address: Address, variable: str) -> Address:
    """Return the address at which clients on this machine reach ``address``.

    Raises ConfigurationError if the port is 0. ``variable`` names the setting in the message.
    """
    if address.port == 0:
        raise ConfigurationError(
            [f"{variable}: port 0 means any free port, and adapter health cannot know which; set a fixed port"]
        )
    return address.local


def _connect(address: Address) -> str | None:
    from adapter.runtime.connection import connect

    try:
        connect(address, TIMEOUT).close()
    except OSError as error:
        return f"nothing answers on {address} ({error})"
    return None


def _request_readyz(address: Address) -> str | None:
    from adapter.net.http1 import encode_request_head
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
        response = connection.receive_response("GET")
        body = response.read(_REASON_SIZE)
    except AppTimeout:
        return f"no answer from {address} within {TIMEOUT:g} s"
    except (OSError, InvocationError) as error:
        return f"no answer from {address} ({error})"
    finally:
        connection.close()
    if response.head.status == 200:
        return None
    reason = " ".join(bytes(body or b"").decode("utf-8", "replace").split())
    return f"/readyz on {address} answered {response.head.status}{reason and ': '}{reason}"
