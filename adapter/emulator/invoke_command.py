"""``adapter invoke``: events in, payloads out, and whether a recorded answer came again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
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


def run(
    environ: Mapping[str, str],
    events: tuple[str, ...],
    *,
    endpoint: str | None,
    function: str | None,
    body: bool,
    **manner: Any,
) -> int:
    """Invoke with each event, one after the other; 1 if any of them ended in a function error.

    A payload goes to stdout as it is; ``body``: only its body, if it is an HTTP response. On a terminal the head of a
    streamed response goes to stderr, decoded.
    Without ``endpoint`` it is the ``adapter dev`` that has the same variables. Raises ConfigurationError, InvokeFailed.
    """
    # Mistakes in options that are not asked for here are not reported here.
    settings = UrlSettings(read(environ)[0])
    endpoint = endpoint or local_url(settings.host, settings.invoke_port).rstrip("/")
    chosen = Manner(endpoint=endpoint, function=function or settings.function_name or FUNCTION_NAME, **manner)
    return max([_ask(question, chosen, only_body=body) for question in questions(events)], default=0)


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
    _tell(question, outcome, bytes(received), manner)
    return 1 if outcome.error else 0


def _write(piece: bytes) -> None:
    sys.stdout.buffer.write(piece)
    sys.stdout.buffer.flush()


def _nowhere(_head: str) -> None:
    """Only the body was asked for."""


def _tell(question: Question, outcome: Outcome, received: bytes, manner: Manner) -> None:
    if outcome.log:
        click.echo(outcome.log.rstrip("\n"), err=True)
    if outcome.error:
        click.echo(f"adapter: {question.name}: function error: {outcome.error}", err=True)
    if manner.invocation_type != "RequestResponse":
        click.echo(f"adapter: {question.name}: {manner.invocation_type}: {outcome.status}", err=True)
    elif question.recorded is not None:
        same = "is the recorded one" if question.has_answer(received) else "differs from the recorded one"
        click.echo(f"adapter: {question.name}: the answer {same}", err=True)
