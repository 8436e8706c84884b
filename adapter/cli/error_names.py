"""The names of errors, and ``adapter error``, which prints what a name means and what to do.

``error_names.json`` contains groups of names. Each name has two texts in Markdown: its meaning, and what to do.
``docs/generate.py`` writes these texts into ``docs/errors.md``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click

from adapter.config.parsers import nearest
from adapter.errors import EXIT_OK, AdapterError, ConfigurationError

#: The names of each group. Each name has its meaning and what to do.
ERROR_GROUPS: dict[str, dict[str, tuple[str, str]]] = {
    group: {name: (meaning, remedy) for name, (meaning, remedy) in names.items()}
    for group, names in json.loads(Path(__file__).with_name("error_names.json").read_text("utf-8")).items()
}
_TEXTS = {name: texts for names in ERROR_GROUPS.values() for name, texts in names.items()}


def own_errors(base: type[AdapterError] = AdapterError) -> Iterator[type[AdapterError]]:
    """Yield ``base`` and all its subclasses: by default, all errors that the adapter itself raises."""
    yield base
    for each in base.__subclasses__():
        yield from own_errors(each)


def run(name: str | None) -> int:
    """Write to stdout what the error ``name`` means, or all names if ``name`` is None. Return the exit code, 0.

    Raises ConfigurationError if ``name`` is unknown.
    """
    if name is None:
        for group, names in ERROR_GROUPS.items():
            click.echo("\n".join([f"{group}:", *(f"  {each}" for each in names)]))
    else:
        click.echo("\n\n".join(map(_explanation, _names(name))))
    return EXIT_OK


def _names(text: str) -> list[str]:
    """Return the full names of the errors that ``text`` stands for. Upper and lower case do not matter.

    ``text`` is a full name such as ``Adapter.AppNotReady``, its part after the dot, or a Lambda error type. The type
    stands for all errors that the adapter reports as this type. Raises ConfigurationError if no error is found.
    """
    wanted = text.strip().rstrip(":").lower()
    found = [name for name in _TEXTS if wanted in (name.lower(), name.lower().rpartition(".")[2])]
    found += [error.name for error in own_errors() if wanted == error.lambda_type.lower() and error.name not in found]
    if not found:
        names = {name.rpartition(".")[2]: name for name in _TEXTS} | {name: name for name in _TEXTS}
        hint = nearest(text, names, names) or "; to list all names, run: adapter error"
        raise ConfigurationError([f"NAME: {text!r} is not the name of a known error{hint}"])
    return found


def _explanation(name: str) -> str:
    meaning, remedy = _TEXTS[name]
    rows = [(name, ""), ("means", _plain(meaning)), ("do", _plain(remedy))]
    for error in own_errors():
        if error.name == name:
            rows.append(("on Lambda", error.lambda_type))
            rows.append(("status", str(error.status)))
    rows.append(("page", "docs/errors.md"))
    return "\n".join(f"  {label:10} {text}" if text else label for label, text in rows)


def _plain(markdown: str) -> str:
    """Return ``markdown`` for a terminal: without backticks, and with the address of each link instead of the link."""
    text = markdown.replace("`", "")
    while "](" in text:
        before, _, rest = text.partition("](")
        address, _, after = rest.partition(")")
        text = f"{before.rpartition('[')[0]}docs/{address}{after}"
    return text
