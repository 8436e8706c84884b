"""``adapter run``, before anything slow is imported: read the settings, start the app, and only then load a way in."""

from __future__ import annotations

import gc
import posix  # and not `os`, as in supervisor.py

from adapter.app.process import AppProcess, Lifeline, adopt_orphans, hold_signals, release_signals
from adapter.config.load import environment, load
from adapter.config.ports import needs_port, placeholder_warnings, resolve_app_port, resolve_listen
from adapter.errors import ConfigurationError, StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.config.load import Config

EXIT_FAILURE, EXIT_USAGE = 1, 2
_STDERR = 2


def run(command: list[str], flags: Mapping[str, str] | None = None) -> int:
    """Serve the app that ``command`` starts, or one that runs already, as the settings say; the exit code."""
    gc.disable()  # again, where a flag brought the command line first
    hold_signals()
    _open_standard_streams()
    environ = environment()
    try:
        config = load(environ, flags)
        given = command
        port, command = resolve_app_port(config, given)
        listen = None if config.on_lambda else resolve_listen(config, port)
        if listen is not None:
            config.warnings.extend(placeholder_warnings(given))
            _check_command(command, environ, config, given=given, port=port)
    except ConfigurationError as error:
        return _refuse(error, environ)

    descriptors = None if listen is None else _prepare_for_proxy()

    def start_app() -> AppProcess:
        return AppProcess(
            command,
            environ={**environ, "PORT": str(port)},
            lifeline=lifeline,
            directory=config.app_dir,
            descriptors=descriptors,
        )

    try:
        lifeline = Lifeline()
        process = start_app() if command else None
    except ConfigurationError as error:
        return _refuse(error, environ)
    except OSError as error:
        return _refuse(StartError(f"the app cannot be started: {error.strerror}"), environ)

    from adapter.logs import Log, write_stderr

    log = Log(format=config.log_format, level=config.log_level, access=config.access_log)
    for warning in config.warnings:
        log.warning(warning)
    if listen is None:
        from adapter.runtime.lean_imports import load_parsers

        load_parsers()
        from adapter.runtime.runtime import Runtime

        if process is not None:
            process.forward_stderr(write_stderr)
        runtime = Runtime(config, port=port, process=process, log=log)
        _begin_to_collect_garbage()
        release_signals()
        return runtime.run()
    from adapter.proxy.proxy import Proxy

    _begin_to_collect_garbage()
    try:
        return Proxy(config, listen=listen, port=port, process=process, start=start_app, log=log).run()
    except ConfigurationError as error:
        return _refuse(error, environ)


def _prepare_for_proxy() -> int:
    """Adopt orphans, before there can be any; how many descriptors the app may have."""
    import resource  # the runtime does not need it

    adopt_orphans()
    # What the proxy allows itself later is not for the app: there are programs that cannot bear many.
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _check_command(
    command: list[str], environ: Mapping[str, str], config: Config, *, given: list[str], port: int
) -> None:
    """Raises ConfigurationError where ``command`` cannot be started, or could not listen on ``port``.

    On Lambda the attempt tells, which costs less, and nobody else is there.
    """
    from adapter.app.command import app_port_mistake, program_mistakes

    mistakes = list(program_mistakes(command, environ, config.app_dir))
    if needs_port(config, given) and (taken := app_port_mistake(config.app_host, port)):
        mistakes.append(taken)
    if mistakes:
        raise ConfigurationError(mistakes)


def _begin_to_collect_garbage() -> None:
    """Look for garbage from now on, but not among what has been loaded."""
    gc.freeze()
    gc.enable()


def _open_standard_streams() -> None:
    """Where one was closed, the next descriptor to be opened, a pipe to the app, would be taken for it."""
    while (descriptor := posix.open("/dev/null", posix.O_RDWR)) <= _STDERR:
        posix.set_inheritable(descriptor, True)
    posix.close(descriptor)


def _refuse(error: ConfigurationError | StartError, environ: Mapping[str, str]) -> int:
    """Show every mistake on stderr and, where there is a Runtime API, as the reason why init failed; the exit code."""
    from adapter.errors import RuntimeApiError
    from adapter.logs import write_stderr
    from adapter.net.address import Address
    from adapter.runtime.api_client import RuntimeApiClient

    for line in error.mistakes if isinstance(error, ConfigurationError) else [str(error)]:
        write_stderr(f"adapter: {line}\n".encode())
    address = environ.get("AWS_LWA_LAMBDA_RUNTIME_API_PROXY") or environ.get("AWS_LAMBDA_RUNTIME_API")
    if address:
        try:
            RuntimeApiClient(Address.parse(address)).send_init_error(error)
        except (ValueError, RuntimeApiError) as failure:
            write_stderr(f"adapter: the Runtime API could not be told: {failure}\n".encode())
    return EXIT_USAGE if isinstance(error, ConfigurationError) else EXIT_FAILURE
