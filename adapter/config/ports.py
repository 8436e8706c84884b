"""The app's port and the proxy's address. Both are chosen before the app starts, since CMD may contain the port."""

from __future__ import annotations

from adapter.config.options.app import DEFAULT_APP_PORT
from adapter.config.options.proxy import DEFAULT_LISTEN
from adapter.config.parsers import ANY_PORT, FOLLOWED_PORT
from adapter.errors import ConfigurationError
from adapter.net.address import Address, AppAddress, free_port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.config.load import Config

# Stands for a free port in CMD.
PLACEHOLDER = "{port}"
# The second address that the app may listen on if its host is not set.
_OTHER_LOOPBACK = "::1"
# A word in braces is reported as a typo of the placeholder if their similarity is at least this; 1 means equal. The
# value is the default of difflib.get_close_matches.
_MIN_SIMILARITY = 0.6


def resolve_app_port(config: Config, command: list[str]) -> tuple[int, list[str]]:
    """Return the app's port, and ``command`` with ``{port}`` replaced by that port.

    The port is the first of these that applies:

    - the port in ``--app-port``
    - a free port, if ``--app-port`` is 0 or ``auto``, or if ``command`` contains ``{port}``
    - the port in the variable PORT
    - 8080

    Raises ConfigurationError if ``--app-port`` is ``auto`` outside of ``adapter dev``, or 0 without a command.
    """
    source = config.sources["app_port"]
    if config.app_port == FOLLOWED_PORT and not config.is_in_dev:
        raise ConfigurationError(
            [f"{source}: 'auto' is possible only in adapter dev; name the port, or use 0 for any free port"]
        )
    if config.app_port == ANY_PORT and not command:
        raise ConfigurationError(
            [f"{source}: '0' works only with CMD, which gets the port as PORT; without CMD, name the app's port"]
        )
    if has_any_port(config, command):
        port = free_port(*_app_hosts(config))
    else:
        port = config.app_port or config.container_port or DEFAULT_APP_PORT
    return port, [argument.replace(PLACEHOLDER, str(port)) for argument in command]


def app_address(config: Config, port: int, path: str | None = None) -> AppAddress:
    """Return the app's address: the Unix socket ``path``, or ``port`` if ``path`` is None."""
    if path is not None:
        return AppAddress(Address(path=path))
    return AppAddress(*(Address(host=host, port=port) for host in _app_hosts(config)))


def _app_hosts(config: Config) -> tuple[str, ...]:
    """Return the hosts that the app may listen on: the host that is set, else both loopback addresses."""
    if config.sources["app_host"] != "default":
        return (config.app_host,)
    return config.app_host, _OTHER_LOOPBACK


def needs_port(config: Config, command: list[str]) -> bool:
    """Return whether ``command`` starts an app on a fixed port, which may already be in use by another process."""
    return bool(command) and config.app_socket is None and not has_any_port(config, command)


def has_any_port(config: Config, command: list[str]) -> bool:
    """Return whether the app gets a free port.

    This is so if ``--app-port`` is 0 or ``auto``, or if ``--app-port`` is not set and ``command`` contains ``{port}``.
    """
    return config.app_port in (ANY_PORT, FOLLOWED_PORT) or (config.app_port is None and has_placeholder(command))


def has_placeholder(command: list[str]) -> bool:
    """Return whether ``command`` contains ``{port}``, which stands for a free port."""
    return any(PLACEHOLDER in word for word in command)


def placeholder_warnings(command: list[str]) -> Iterator[str]:
    """Yield warnings about words in ``command`` that look like a mistyped ``{port}``.

    Yields nothing if ``command`` contains ``{port}``.
    """
    words = " ".join(command)
    if PLACEHOLDER in words:
        return
    # A shell as CMD replaces variables itself.
    if command and not command[0].endswith("sh"):
        for variable in ("$PORT", "${PORT}"):
            if variable in words:
                yield f"CMD: {variable} is not replaced, since CMD runs without a shell; use {PLACEHOLDER} or sh -c '…'"
                return
    if "{" not in words:
        return
    from difflib import SequenceMatcher  # only braces need it

    for part in words.split("{")[1:]:
        word, brace, _ = part.partition("}")
        if brace and SequenceMatcher(None, word.lower(), "port").ratio() >= _MIN_SIMILARITY:
            yield f"CMD: {{{word}}} is not replaced; did you mean {PLACEHOLDER}, which stands for a free port?"


def bypass_warnings(config: Config, command: list[str]) -> Iterator[str]:
    """Yield a warning if the app listens on the port in PORT and the proxy listens on the proxy's default address.

    On a platform that sends requests to the port in PORT, these requests would bypass the proxy.
    """
    is_default = config.listen is None and config.app_port is None and config.app_socket is None
    if is_default and command and config.container_port and not config.on_lambda and not has_placeholder(command):
        port = config.container_port
        yield (
            f"PORT: requests to port {port} bypass the proxy, since the app gets this port and the proxy listens on "
            f"{DEFAULT_LISTEN}; to give the port to the proxy, use {PLACEHOLDER} in CMD or --app-port 0 "
            f"(AWS_LWA_PORT=0); to keep the bypass without this warning, set --listen {DEFAULT_LISTEN} "
            "(ADAPTER_LISTEN)"
        )


def resolve_listen(config: Config, app_port: int) -> Address:
    """Return the address that the proxy listens on.

    The address is the first of these that applies:

    - the address in ``--listen``
    - 0.0.0.0 with the port in PORT, if the app has another port
    - 127.0.0.1:9000

    Cloud Run, Knative and others set PORT to the port that requests will arrive on. Raises ConfigurationError if two of
    the app, the proxy and the admin listener would use the same port.
    """
    source, address = config.sources["listen"], config.listen
    if address is None and config.container_port is not None and config.container_port != app_port:
        source, address = "PORT", Address(host="0.0.0.0", port=config.container_port)
    elif address is None:
        source, address = "--listen", DEFAULT_LISTEN
    admin_port = None if config.admin is None else config.admin.port
    if admin_port and admin_port == app_port and config.app_socket is None:
        raise ConfigurationError(
            [f"{config.sources['admin']}: {config.admin} has the same port as the app; use two different ports"]
        )
    for name, taken in (("the app", None if config.app_socket else app_port), ("--admin", admin_port)):
        if address.port and address.port == taken:
            raise ConfigurationError([f"{source}: {address} has the same port as {name}; use two different ports"])
    return address
