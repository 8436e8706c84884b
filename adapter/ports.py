"""Which port the app gets: decided before the app is started, since it is told by CMD and by PORT."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from adapter.config import Config

PLACEHOLDER = "{port}"
# The Rust adapter's default.
DEFAULT_PORT = 8080


def resolve(config: Config, command: list[str]) -> tuple[int, list[str]]:
    """The app's port, and ``command`` with ``{port}`` replaced by it.

    The option, else a free port where ``{port}`` occurs in the command, else PORT, else 8080.
    """
    has_placeholder = any(PLACEHOLDER in argument for argument in command)
    if config.app_port is not None:
        port = config.app_port
    elif has_placeholder:
        port = _free_port(config.app_host)
    else:
        port = config.container_port or DEFAULT_PORT
    return port, [argument.replace(PLACEHOLDER, str(port)) for argument in command]


def _free_port(host: str) -> int:
    import socket  # only where a free port is wanted: it takes as long as the rest of the start

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        port: int = listener.getsockname()[1]
    return port
