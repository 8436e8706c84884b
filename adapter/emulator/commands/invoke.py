"""``adapter invoke``: events in, payloads out, and a comparison with recorded answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import click

from adapter.config.load import read
from adapter.emulator.commands.invoke_client import InvokeOptions, Outcome, invoke
from adapter.emulator.commands.payload_view import PayloadView
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.function_settings import FUNCTION_NAME
from adapter.emulator.recording.replay import InvokeInput, event_files, read_input
from adapter.emulator.terminal.banner import local_url
from adapter.errors import EXIT_FAILURE, EXIT_READER_GONE, ConfigurationError, InvokeFailed


class _OutputError(Exception):
    """An error of stdout. ``reader_gone`` is True if its reader has closed the pipe."""

    def __init__(self, cause: OSError) -> None:
        super().__init__(f"stdout cannot be written to: {cause.strerror}")
        self.reader_gone = isinstance(cause, BrokenPipeError)


def run(
    environ: Mapping[str, str],
    events: tuple[str, ...],
    *,
    endpoint: str | None,
    function: str | None,
    body: bool,
    **options: Any,
) -> int:
    """Invoke with each event, one after the other; return 1 if one failed, was refused or got another answer.

    A payload is written to stdout unchanged, or only its ``body`` if it is an HTTP response. On a terminal the head of
    a streamed response is decoded and written to stderr. Without ``endpoint`` the function is that of the ``adapter
    dev`` with the same variables. Raises ConfigurationError and InvokeFailed.
    """
    # Mistakes in the options of adapter dev are not reported here.
    settings = UrlSettings(read(environ)[0])
    invoke_options = InvokeOptions(
        endpoint=endpoint or local_url(settings.host, settings.invoke_port).rstrip("/"),
        function=function or settings.function_name or FUNCTION_NAME,
        **options,
    )
    try:
        return _invoke_all(event_files(events), invoke_options, only_body=body)
    except _OutputError as error:
        # Python would try again to write the rest when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.reader_gone:
            return EXIT_READER_GONE
        click.echo(f"adapter: {error}", err=True)
        return EXIT_FAILURE


def _invoke_all(files: list[str], options: InvokeOptions, *, only_body: bool) -> int:
    """Invoke with each file, also after a failure. Raises InvokeFailed if the rest would fail for the same reason."""
    code = 0
    for number, file in enumerate(files):
        try:
            event = read_input(file)
        except ConfigurationError as error:
            click.echo(f"adapter: {error}", err=True)
            code = 1
            continue
        try:
            code = max(code, _invoke_one(event, options, only_body=only_body))
        except InvokeFailed as error:
            left = f"; {len(files) - number} of {len(files)} events are not invoked" if len(files) > 1 else ""
            raise InvokeFailed(f"{error}{left}") from error
    return code


def _invoke_one(event: InvokeInput, options: InvokeOptions, *, only_body: bool) -> int:
    on_terminal = sys.stdout.isatty()
    show_head = _discard if only_body else partial(click.echo, err=True)
    view = PayloadView(_write, show_head, decodes_whole=only_body) if only_body or on_terminal else None
    received = bytearray()

    def take(piece: bytes) -> None:
        received.extend(piece)
        (_write if view is None else view.feed)(piece)

    outcome = invoke(event, options, take)
    if view is not None:
        view.end()
    lacks_newline = bool(received) and not received.endswith(b"\n")
    # The reader of a pipe gets the payload and nothing else.
    if on_terminal and lacks_newline:
        click.echo()
    difference = None
    if event.recorded is not None and options.invocation_type == "RequestResponse" and not outcome.failure:
        difference = event.difference(bytes(received))
    lines = list(_result_lines(event, outcome, difference, options))
    if lines and not on_terminal and lacks_newline and _is_one_place():
        click.echo(err=True)
    for line in lines:
        click.echo(line, err=True)
    return 1 if outcome.failure or outcome.error or difference else 0


def _is_one_place() -> bool:
    """Return True if stdout and stderr go to the same place, as with ``2>&1``."""
    return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())


def _write(piece: bytes) -> None:
    try:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise _OutputError(error) from error


def _discard(_head: str) -> None:
    """Show nothing, because only the body was requested."""


def _result_lines(
    event: InvokeInput, outcome: Outcome, difference: str | None, options: InvokeOptions
) -> Iterator[str]:
    """Yield the lines about an answer; ``difference`` is None if there is no recorded answer to compare with."""
    if outcome.log:
        yield outcome.log.rstrip("\n")
    if outcome.failure:
        yield f"adapter: {event.name}: {outcome.failure}"
    elif options.invocation_type != "RequestResponse":
        yield f"adapter: {event.name}: {options.invocation_type}: {outcome.status}"
    if outcome.error:
        yield f"adapter: {event.name}: function error: {outcome.error}"
    if difference is not None:
        comparison = f"differs from the recorded one: {difference}" if difference else "is the recorded one"
        yield f"adapter: {event.name}: the answer {comparison}"
