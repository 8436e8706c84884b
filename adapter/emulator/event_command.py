"""``adapter event``: what the command line says → an event on stdout."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path

import click

from adapter.emulator.sample_events import KINDS, Wish, make_event
from adapter.errors import ConfigurationError
from adapter.payload.headers import is_token


def run(kind: str | None, *, headers: tuple[str, ...], body: str | None, path: str, method: str, **names: str) -> int:
    """Write the event of ``kind``, or the list of kinds. Raises ConfigurationError."""
    if kind is None:
        click.echo("\n".join(KINDS))
        return 0
    if kind not in KINDS:
        nearest = get_close_matches(kind, KINDS, n=1)
        hint = f"; did you mean {nearest[0]}?" if nearest else f"; use one of {', '.join(KINDS)}"
        raise ConfigurationError([f"KIND: {kind!r} is not a source of events{hint}"])
    if not path.startswith("/"):
        raise ConfigurationError([f"--path: {path!r} is not a path; it starts with a slash, for example /orders?id=7"])
    wish = Wish(method=method, path=path, headers=[_header(text) for text in headers], body=_body(body), **names)
    click.echo(json.dumps(make_event(kind, wish), indent=2, ensure_ascii=False))
    return 0


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not is_token(name):
        raise ConfigurationError([f"--header: {text!r} is not a header, for example 'content-type: text/plain'"])
    return name, value.strip()


def _body(text: str | None) -> bytes | None:
    """The bytes of ``--body``; ``@FILE`` is the content of a file."""
    if text is None or not text.startswith("@"):
        return None if text is None else text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise ConfigurationError([f"--body: {text[1:]!r} cannot be read: {error.strerror}"]) from error
