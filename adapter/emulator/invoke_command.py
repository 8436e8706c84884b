"""``adapter invoke``: events in, payloads out, and whether a recorded answer came again."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import click

from adapter.config import read
from adapter.emulator.banner import local_url
from adapter.emulator.function_settings import FUNCTION_NAME
from adapter.emulator.invoke_client import Manner, Outcome, invoke
from adapter.emulator.payload_view import PayloadView
from adapter.emulator.replay import Question, questions
from adapter.emulator.url_settings import UrlSettings

# As a shell has it for a filter whose reader is gone: 128 + SIGPIPE.
EXIT_READER_GONE = 141


class _ReaderGoneError(Exception):
    """Nobody takes what is written to stdout any more."""


def run(
    environ: Mapping[str, str],
    events: tuple[str, ...],
    *,
    endpoint: str | None,
    function: str | None,
    body: bool,
    **manner: Any,
) -> int:
    """Invoke with each event, one after the other; 1 if any of them ended in a function error or in another answer.

    A payload goes to stdout as it is; ``body``: only its body, if it is an HTTP response. On a terminal the head of a
    streamed response goes to stderr, decoded.
    Without ``endpoint`` it is the ``adapter dev`` that has the same variables. Raises ConfigurationError, InvokeFailed.
    """
    # Mistakes in options that are not asked for here are not reported here.
    settings = UrlSettings(read(environ)[0])
    endpoint = endpoint or local_url(settings.host, settings.invoke_port).rstrip("/")
    chosen = Manner(endpoint=endpoint, function=function or settings.function_name or FUNCTION_NAME, **manner)
    try:
        return max([_ask(question, chosen, only_body=body) for question in questions(events)], default=0)
    except _ReaderGoneError:
        # Python would try once more to write the rest, at its end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_READER_GONE


def _ask(question: Question, manner: Manner, *, only_body: bool) -> int:
    on_terminal = sys.stdout.isatty()
    show_head = _nowhere if only_body else partial(click.echo, err=True)
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
    lines = list(_findings(question, outcome, bytes(received), manner))
    if lines and not on_terminal and _is_one_place() and received and not received.endswith(b"\n"):
        click.echo(err=True)
    for line in lines:
        click.echo(line, err=True)
    return 1 if outcome.error or (question.recorded is not None and question.difference(bytes(received))) else 0


def _is_one_place() -> bool:
    """Whether stdout and stderr are read together, as with ``2>&1``."""
    return os.path.sameopenfile(sys.stdout.fileno(), sys.stderr.fileno())


def _write(piece: bytes) -> None:
    try:
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        raise _ReaderGoneError from None


def _nowhere(_head: str) -> None:
    """Only the body was asked for."""


def _findings(question: Question, outcome: Outcome, received: bytes, manner: Manner) -> Iterator[str]:
    """What there is to say about an answer."""
    if outcome.log:
        yield outcome.log.rstrip("\n")
    if outcome.error:
        yield f"adapter: {question.name}: function error: {outcome.error}"
    if manner.invocation_type != "RequestResponse":
        yield f"adapter: {question.name}: {manner.invocation_type}: {outcome.status}"
    elif question.recorded is not None:
        difference = question.difference(received)
        same = f"differs from the recorded one: {difference}" if difference else "is the recorded one"
        yield f"adapter: {question.name}: the answer {same}"
