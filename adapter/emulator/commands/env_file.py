"""Files of environment variables for the function: ``KEY=VALUE`` lines, comments and quotes.

    # a comment
    KEY=value          # a comment after a space
    QUOTED="a # b"     escapes such as \\n, \\" and \\\\ within double quotes
    PLAIN='a \\n b'    no escapes within single quotes
    export KEY=value   the same as KEY=value, for files that a shell reads as well

Variables in values are not expanded, as on Lambda. Values are often secrets, and a line that is not valid may be a
part of a secret. So a message about a mistake never quotes a line or a value, only the number of the line and the name
of the variable.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Container, Iterable

_QUOTED = re.compile(r"""'(?P<plain>[^']*)'|"(?P<escaped>(?:\\.|[^"\\])*)\"""")
# A # begins a comment only at the start or after white space, because URLs contain # as well.
_COMMENT = re.compile(r"(?:^|\s)#.*")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "$": "$"}


def read_env_file(name: str) -> dict[str, str]:
    """Return the variables in the file ``name``. If a variable occurs more than once, its last value is used.

    Raises ConfigurationError, with every mistake, if the file cannot be read or a line is not valid.
    """
    try:
        # Editors on Windows write a byte order mark at the start.
        text = Path(name).read_text("utf-8-sig")
    except OSError as error:
        raise ConfigurationError([f"--env-file: {name!r} cannot be read: {error.strerror}"]) from error
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"--env-file: {name!r} is not UTF-8: {error}"]) from error
    variables: dict[str, str] = {}
    mistakes = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        try:
            key, value = _variable(stripped)
        except ValueError as error:
            mistakes.append(f"{name}, line {number}: {error}")
        else:
            variables[key] = value
    if mistakes:
        raise ConfigurationError(mistakes)
    return variables


def prefix_file_name(name: str, variables: Container[str], lines: Iterable[str]) -> list[str]:
    """Return ``lines``, with ``name`` and a colon before each line that begins with one of ``variables``."""
    return [f"{name}: {line}" if re.split(r"\W", line, maxsplit=1)[0] in variables else line for line in lines]


def _variable(line: str) -> tuple[str, str]:
    key, equals, rest = line.removeprefix("export ").partition("=")
    key = key.strip()
    if not equals:
        raise ValueError("is not KEY=VALUE")
    if not key.isascii() or not key.replace("_", "a").isalnum() or key[0].isdigit():
        raise ValueError("does not begin with the name of a variable (letters, digits and _)")
    try:
        return key, _value(rest.strip())
    except ValueError as error:
        raise ValueError(f"{key} {error}") from error


def _value(text: str) -> str:
    if not text.startswith(("'", '"')):
        return _COMMENT.sub("", text).rstrip()
    quoted = _QUOTED.match(text)
    if quoted is None:
        raise ValueError("has no closing quote")
    rest = text[quoted.end() :].strip()
    if rest and not rest.startswith("#"):
        raise ValueError("has text after the closing quote")
    if quoted["plain"] is not None:
        return quoted["plain"]
    return _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[0]), quoted["escaped"])
