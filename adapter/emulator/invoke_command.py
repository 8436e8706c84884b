"""``adapter invoke``: events in, payloads out, and whether a recorded answer came again."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import click

from adapter.config import read
from adapter.emulator.function_settings import FUNCTION_NAME
from adapter.emulator.invoke_client import Manner, Outcome, invoke
from adapter.emulator.replay import Question, questions
from adapter.emulator.report import local_url
from adapter.emulator.url_settings import UrlSettings


def run(
    environ: Mapping[str, str], events: tuple[str, ...], *, endpoint: str | None, function: str | None, **manner: Any
) -> int:
    """Invoke with each event, one after the other; 1 if any of them ended in a function error.

    Without ``endpoint`` it is the ``adapter dev`` that has the same variables. Raises ConfigurationError, InvokeFailed.
    """
    # Mistakes in options that are not asked for here are not reported here.
    settings = UrlSettings(read(environ)[0])
    endpoint = endpoint or local_url(settings.host, settings.invoke_port).rstrip("/")
    chosen = Manner(endpoint=endpoint, function=function or settings.function_name or FUNCTION_NAME, **manner)
    return max([_ask(question, chosen) for question in questions(events)], default=0)


def _ask(question: Question, manner: Manner) -> int:
    received = bytearray()

    def write(piece: bytes) -> None:
        received.extend(piece)
        sys.stdout.buffer.write(piece)
        sys.stdout.buffer.flush()

    outcome = invoke(question, manner, write)
    if received and not received.endswith(b"\n"):
        click.echo()
    _tell(question, outcome, bytes(received), manner)
    return 1 if outcome.error else 0


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
