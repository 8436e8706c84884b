"""The start of ``adapter run``: read the settings, start the app, and only then import the runtime or the proxy."""

from __future__ import annotations

import gc
import posix  # instead of `os`; app/process.py explains why

from adapter.app.process import AppProcess, Lifeline, adopt_orphans, hold_signals, release_signals
from adapter.config.load import environment, load, log_format
from adapter.config.ports import (
    app_address,
    bypass_warnings,
    needs_port,
    placeholder_warnings,
    resolve_app_port,
    resolve_listen,
)
from adapter.errors import EXIT_FAILURE, EXIT_USAGE, ConfigurationError, StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from adapter.config.load import Config
    from adapter.logs import Log


def run(command: list[str], flags: Mapping[str, str] | None = None) -> int:
    """Start ``command`` as the app, and relay requests to it. Return the exit code.

    If ``command`` is empty, another process starts the app.
    """
    gc.disable()  # the command line has enabled it
    hold_signals()
    environ = environment()
    try:
        config = load(environ, flags)
        port, app_command = resolve_app_port(config, command)
        app_command = _located(app_command, config.app_dir)
        listen = None if config.on_lambda else resolve_listen(config, port)
        if listen is not None:
            config.warnings.extend(placeholder_warnings(command))
            config.warnings.extend(bypass_warnings(config, command))
            _check_command(app_command, environ, config, port=port if needs_port(config, command) else None)
        descriptors = None if listen is None else _prepare_for_proxy()

        def start_app() -> AppProcess:
            process = AppProcess(
                app_command,
                environ={**environ, "PORT": str(port)},
                lifeline=lifeline,
                directory=config.app_dir,
                descriptors=descriptors,
            )
            if config.foreground and (listen is not None or config.is_in_dev):
                from adapter.app.job_control import give_terminal  # only this option needs it so early

                give_terminal(process.pid)
            return process

        lifeline = Lifeline()
        process = start_app() if command else None
    except ConfigurationError as error:
        return _refuse(error, environ, log_format(environ, flags))
    except OSError as error:
        reason = StartError(f"the app cannot be started: {error.strerror}")
        return _refuse(reason, environ, log_format(environ, flags))

    if listen is None:
        from adapter.runtime.lean_imports import WithoutImportlib

        with WithoutImportlib():
            import adapter.logs  # noqa: F401  # imported for the next line
    from adapter.logs import Log

    log = Log(format=config.log_format, level=config.log_level, access_log=config.access_log)
    if config.log_format == "json":
        from adapter.library_lines import log_stderr_as_json, report_errors

        report_errors(log.error)
        log_stderr_as_json(log)
    for warning in config.warnings:
        log.warning(warning)
    if listen is None:
        return _serve_invocations(config, port, process, log)
    from adapter.net.lean_asyncio import load_asyncio

    load_asyncio()
    from adapter.proxy.proxy import Proxy

    _begin_to_collect_garbage()
    try:
        return Proxy(config, listen=listen, port=port, process=process, start=start_app, log=log).run()
    except ConfigurationError as error:
        return _refuse(error, environ, config.log_format)


def _serve_invocations(config: Config, port: int, process: AppProcess | None, log: Log) -> int:
    """Run as the Lambda function's runtime, and return the exit code."""
    from adapter.output import STDERR
    from adapter.runtime.lean_imports import WithoutImportlib, load_parsers

    load_parsers()
    with WithoutImportlib():
        from adapter.runtime.runtime import Runtime

    if process is not None:
        process.forward_stderr(STDERR.copy_whole)
    runtime = Runtime(config, port=port, process=process, log=log)
    _begin_to_collect_garbage()
    release_signals()
    return runtime.run()


def _prepare_for_proxy() -> int:
    """Make this process adopt the app's orphans. Return the app's limit of open files."""
    import resource  # the runtime does not need it

    adopt_orphans()
    # The proxy raises its own limit later. The app keeps the present limit, since some programs fail with a high one.
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def _located(command: list[str], folder: str | None) -> list[str]:
    """Return ``command`` in a form that can be started in ``folder``.

    If the program has a relative path that exists in the current folder, but not in ``folder``, make the path absolute.
    """
    name = command[0] if command else ""
    if folder is None or "/" not in name or name.startswith("/") or _exists(f"{folder}/{name}") or not _exists(name):
        return command
    return [f"{posix.getcwd()}/{name}", *command[1:]]


def _exists(path: str) -> bool:
    try:
        posix.stat(path)
    except OSError:
        return False
    return True


def _check_command(command: list[str], environ: Mapping[str, str], config: Config, *, port: int | None) -> None:
    """Raise ConfigurationError if ``command`` cannot be started, or if another process listens on ``port``.

    ``port`` is None if the app needs no fixed port. To save time, this function is not called on Lambda. There, a
    wrong command is reported when the start fails, and no other process uses the port.
    """
    from adapter.app.command import command_mistakes, port_mistake

    mistakes = list(command_mistakes(command, environ, config.app_dir))
    if port is not None and (taken := port_mistake(app_address(config, port))):
        mistakes.append(taken)
    if mistakes:
        raise ConfigurationError(mistakes)


def _begin_to_collect_garbage() -> None:
    """Enable garbage collection, but exclude all objects that exist now."""
    gc.freeze()
    gc.enable()


def _refuse(error: ConfigurationError | StartError, environ: Mapping[str, str], format: str) -> int:
    """Write ``error`` to stderr, report it to the Runtime API if there is one, and return the exit code.

    ``format`` is the format of log lines.
    """
    from adapter.errors import RuntimeApiError
    from adapter.logs import write_error
    from adapter.net.address import Address
    from adapter.runtime.api_client import RuntimeApiClient

    for line in error.mistakes if isinstance(error, ConfigurationError) else [str(error)]:
        write_error(line, format=format)
    address = environ.get("AWS_LWA_LAMBDA_RUNTIME_API_PROXY") or environ.get("AWS_LAMBDA_RUNTIME_API")
    if address:
        try:
            RuntimeApiClient(Address.parse(address)).send_init_error(error)
        except (ValueError, RuntimeApiError) as failure:
            write_error(f"the error above could not be reported to the Runtime API: {failure}", format=format)
    return EXIT_USAGE if isinstance(error, ConfigurationError) else EXIT_FAILURE
