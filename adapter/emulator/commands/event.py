"""``adapter event``: the flags of the command line → an event on stdout."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import click

from adapter.config.load import read
from adapter.config.parsers import nearest
from adapter.emulator.commands.sample_events import KINDS, EventOptions, make_event, options_of
from adapter.errors import ConfigurationError
from adapter.payload.headers import is_token


def run(
    environ: Mapping[str, str],
    kind: str | None,
    *,
    headers: tuple[str, ...],
    body: str | None,
    **given: str | None,
) -> int:
    """Write the event of ``kind``, or the list of kinds; ``given`` are the other flags, None if they are not set.

    Its ARNs are in the region of ``environ``. Raises ConfigurationError.
    """
    if kind is None:
        click.echo("\n".join(KINDS))
        return 0
    if kind not in KINDS:
        hint = nearest(kind, KINDS) or f"; use one of {', '.join(KINDS)}"
        raise ConfigurationError([f"KIND: {kind!r} is not a source of events{hint}"])
    texts = {name: value for name, value in given.items() if value is not None}
    _refuse_unused(kind, {*texts, *(["headers"] if headers else []), *([] if body is None else ["body"])})
    path = texts.get("path", "/")
    if not path.startswith("/"):
        raise ConfigurationError([f"--path: {path!r} is not a path; it starts with a slash, for example /orders?id=7"])
    # An event needs only the region, so mistakes in other variables do not matter.
    region = read(environ)[0].region
    options = EventOptions(headers=[_header(text) for text in headers], body=_body(body), region=region, **texts)
    click.echo(json.dumps(make_event(kind, options), indent=2, ensure_ascii=False))
    return 0


def _refuse_unused(kind: str, given: set[str]) -> None:
    """Raise ConfigurationError for flags that an event of ``kind`` does not use."""
    used = options_of(kind)
    hint = f"an event of {kind} does not use it; its flags are {', '.join(sorted(map(_flag, used))) or 'none'}"
    mistakes = [f"{_flag(name)}: {hint}" for name in sorted(given - used)]
    if mistakes:
        raise ConfigurationError(mistakes)


def _flag(option: str) -> str:
    return "--header" if option == "headers" else f"--{option}"


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not is_token(name):
        raise ConfigurationError([f"--header: {text!r} is not a header, for example 'content-type: text/plain'"])
    return name, value.strip()


def _body(text: str | None) -> bytes | None:
    """Return the bytes of ``--body``; ``@FILE`` means the content of a file."""
    if text is None or not text.startswith("@"):
        return None if text is None else text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise ConfigurationError([f"--body: {text[1:]!r} cannot be read: {error.strerror}"]) from error
