"""``adapter invoke``: events in, payloads out, and whether a recorded answer came again."""

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
from adapter.emulator.front_doors.settings import UrlSettings
from adapter.emulator.recording.replay import InvokeInput, event_files, read_input
from adapter.emulator.settings import FUNCTION_NAME
from adapter.emulator.terminal.banner import local_url
from adapter.errors import EXIT_FAILURE, EXIT_READER_GONE, ConfigurationError, InvokeFailed


class _OutputError(Exception):
    """Nothing can be written to stdout any more. ``reader_gone``: because nobody reads it."""

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
    **manner: Any,
) -> int:
    """Invoke with each event, one after the other; 1 if any of them failed, was refused or got another answer.

    A payload goes to stdout as it is; ``body``: only its body, if it is an HTTP response. On a terminal the head of a
    streamed response goes to stderr, decoded.
    Without ``endpoint`` it is the ``adapter dev`` that has the same variables. Raises ConfigurationError, InvokeFailed.
    """
    # Mistakes in options that are not asked for here are not reported here.
    settings = UrlSettings(read(environ)[0])
    endpoint = endpoint or local_url(settings.host, settings.invoke_port).rstrip("/")
    chosen = InvokeOptions(endpoint=endpoint, function=function or settings.function_name or FUNCTION_NAME, **manner)
    try:
        return _ask_all(event_files(events), chosen, only_body=body)
    except _OutputError as error:
        # Python would try once more to write the rest, at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if error.reader_gone:
            return EXIT_READER_GONE
        click.echo(f"adapter: {error}", err=True)
        return EXIT_FAILURE


def _ask_all(files: list[str], manner: InvokeOptions, *, only_body: bool) -> int:
    """Go on whatever becomes of one of them. Raises InvokeFailed where no other can fare better."""
    code = 0
    for number, file in enumerate(files):
        try:
            question = read_input(file)
        except ConfigurationError as error:
            click.echo(f"adapter: {error}", err=True)
            code = 1
            continue
        try:
            code = max(code, _ask(question, manner, only_body=only_body))
        except InvokeFailed as error:
            left = f"; {len(files) - number} of {len(files)} events are not invoked" if len(files) > 1 else ""
            raise InvokeFailed(f"{error}{left}") from error
    return code


def _ask(question: InvokeInput, manner: InvokeOptions, *, only_body: bool) -> int:
    on_terminal = sys.stdout.isatty()
    show_head = _discard if only_body else partial(click.echo, err=True)
    view = PayloadView(_write, show_head, decodes_whole=only_body) if only_body or on_terminal else None
    received = bytearray()

    def take(piece: bytes) -> None:
        received.extend(piece)
        (_write if view is None else view.feed)(piece)

    outcome = invoke(question, manner, take)
    if view is not None:
        view.end()
    # Whoever reads a pipe gets the payload and nothing else.
    if on_terminal and received and not received.endswith(b"\n"):
        click.echo()
    difference = None
    if question.recorded is not None and manner.invocation_type == "RequestResponse" and not outcome.failure:
        difference = question.difference(bytes(received))
    lines = list(_findings(question, outcome, difference, manner))
    if lines and not on_terminal and _is_one_place() and received and not received.endswith(b"\n"):
        click.echo(err=True)
    for line in lines:
        click.echo(line, err=True)
    return 1 if outcome.failure or outcome.error or difference else 0


def _is_one_place() -> bool:
    """Whether stdout and stderr are read together, as with ``2>&1``."""
    return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())


def _write(piece: bytes) -> None:
    try:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except OSError as error:
        raise _OutputError(error) from error


def _discard(_head: str) -> None:
    """Only the body was asked for."""


def _findings(question: InvokeInput, outcome: Outcome, difference: str | None, manner: InvokeOptions) -> Iterator[str]:
    """What there is to say about an answer; ``difference`` from the recorded one, None where there is none."""
    if outcome.log:
        yield outcome.log.rstrip("\n")
    if outcome.failure:
        yield f"adapter: {question.name}: {outcome.failure}"
    elif manner.invocation_type != "RequestResponse":
        yield f"adapter: {question.name}: {manner.invocation_type}: {outcome.status}"
    if outcome.error:
        yield f"adapter: {question.name}: function error: {outcome.error}"
    if difference is not None:
        same = f"differs from the recorded one: {difference}" if difference else "is the recorded one"
        yield f"adapter: {question.name}: the answer {same}"
