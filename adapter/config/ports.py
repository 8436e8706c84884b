"""Which port the app gets and where the proxy listens: decided before the app is started, since it is told by CMD."""

from __future__ import annotations

from adapter.errors import ConfigurationError
from adapter.net.address import Address, free_port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from adapter.config.load import Config

PLACEHOLDER = "{port}"
# From which likeness on, of 0 to 1, a word counts as a slip of another, as in difflib.get_close_matches.
_ALIKE = 0.6
# How a probe's problem begins where there was an answer.
ANSWERED = "GET "
# The Rust adapter's default.
DEFAULT_APP_PORT = 8080
# After how many seconds of waiting for the app a line says so: apps start in less, and Lambda's init has ten.
WARN_AFTER = 4.0
# Where the proxy listens when nobody says: only this machine is served by accident.
DEFAULT_LISTEN = Address(host="127.0.0.1", port=9000)


def resolve_app_port(config: Config, command: list[str]) -> tuple[int, list[str]]:
    """The app's port, and ``command`` with ``{port}`` replaced by it.

    The option, else a free port where ``{port}`` occurs in the command, else PORT, else 8080.
    """
    if config.app_port is not None:
        port = config.app_port
    elif has_placeholder(command):
        port = free_port(config.app_host)
    else:
        port = config.container_port or DEFAULT_APP_PORT
    return port, [argument.replace(PLACEHOLDER, str(port)) for argument in command]


def needs_port(config: Config, command: list[str]) -> bool:
    """Whether the app that ``command`` starts listens on a port that is given, and not on one that is free anyway."""
    return bool(command) and config.app_socket is None and not has_placeholder(command)


def has_placeholder(command: list[str]) -> bool:
    """Whether a free port is asked for by ``{port}`` in ``command``."""
    return any(PLACEHOLDER in word for word in command)


def placeholder_warnings(command: list[str]) -> Iterator[str]:
    """A line for each word that looks like a slip of ``{port}``, where CMD has no other."""
    words = " ".join(command)
    if PLACEHOLDER in words:
        return
    # A shell replaces it.
    if command and not command[0].endswith("sh"):
        for variable in ("$PORT", "${PORT}"):
            if variable in words:
                yield f"CMD: {variable} stays as it is, since no shell reads it; write {PLACEHOLDER} or sh -c '…'"
                return
    if "{" not in words:
        return
    from difflib import SequenceMatcher  # only braces need it

    for part in words.split("{")[1:]:
        word, brace, _ = part.partition("}")
        if brace and SequenceMatcher(None, word.lower(), "port").ratio() >= _ALIKE:
            yield f"CMD: {{{word}}} stays as it is; did you mean {PLACEHOLDER}, which stands for a free port?"


def slow_start_line(waited: float, limit: float | None, problem: str, address: object, *, has_command: bool) -> str:
    """What to say of an app that is not ready after ``waited`` of up to ``limit`` seconds, or of any number (None)."""
    patience = "" if limit is None else f", and is waited for up to {limit:g} s"
    return (
        f"the app is not ready after {waited:g} s{patience}: {unready_text(problem, address, has_command=has_command)}"
    )


def unready_text(problem: str, address: object, *, has_command: bool) -> str:
    """Why an app is not ready, and the way out. ``has_command``: CMD starts it."""
    if problem.startswith(ANSWERED):
        return (
            f"{problem}. Whatever listens on {address} must answer there with a healthy status: --readiness-path and "
            "--readiness-status (AWS_LWA_READINESS_CHECK_PATH, AWS_LWA_READINESS_CHECK_HEALTHY_STATUS)"
        )
    hint = f"write {PLACEHOLDER} in CMD where its port goes" if has_command else "start it there"
    return f"{problem}. It must listen on {address}: {hint}, or name its port with --app-port (AWS_LWA_PORT)"


def unhealthy_text(path: str, status: int) -> str:
    """What is wrong with an app that answers a probe of ``path`` with an unhealthy status."""
    return f"{ANSWERED}{path} answered {status}"


def resolve_listen(config: Config, app_port: int) -> Address:
    """Return the address that the proxy listens on.

    It is the option's; else PORT on all addresses, if that is not the app's port; else 127.0.0.1:9000. Cloud Run,
    Knative and others say with PORT where requests will arrive. Raises ConfigurationError if the proxy would listen on
    the port of the app or of the admin listener.
    """
    source, address = config.sources["listen"], config.listen
    if address is None and config.container_port is not None and config.container_port != app_port:
        source, address = "PORT", Address(host="0.0.0.0", port=config.container_port)
    elif address is None:
        source, address = "--listen", DEFAULT_LISTEN
    admin_port = None if config.admin is None else config.admin.port
    for name, taken in (("the app", None if config.app_socket else app_port), ("--admin", admin_port)):
        if address.port and address.port == taken:
            raise ConfigurationError([f"{source}: {address} is the port of {name}, too; give the two different ports"])
    return address
