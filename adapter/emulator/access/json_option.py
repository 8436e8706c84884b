"""Reads options whose value is a JSON object, or the name of a file that contains a JSON object."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from adapter.aws.limits import KIB
from adapter.errors import ConfigurationError

# The maximum size, in bytes, of a file with a JSON object.
_MOST_BYTES = 64 * KIB


def by_door(content: dict[str, Any], doors: Sequence[str], known: Sequence[str]) -> dict[str, Any]:
    """Return a dictionary that maps front doors to their parts of ``content``.

    If ``content`` is not empty and all its keys are front doors in ``known``, ``content`` already is this dictionary.
    Otherwise, each front door that is in both ``doors`` and ``known`` gets the whole ``content``.
    """
    if content and content.keys() <= set(known):
        return content
    return dict.fromkeys((door for door in known if door in doors), content)


def read_json_object(value: str, source: str, *, shows_text: bool = True) -> dict[str, Any]:
    """Return the JSON object in ``value``. If ``value`` does not begin with a brace, it is the name of a file to read.

    ``source`` names the option in messages. Raises ConfigurationError if the file cannot be read or is too large, or if
    the content is not a JSON object. If ``shows_text`` is True, the message may quote the JSON.
    """
    if value.lstrip().startswith("{"):
        where, text = "the value" if not shows_text else repr(value), value.encode()
    else:
        where = repr(value)
        try:
            with Path(value).open("rb") as file:
                text = file.read(_MOST_BYTES + 1)
        except (OSError, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise ConfigurationError(
                [f"{source}: {value!r} cannot be read: {reason}; name a file with a JSON object"]
            ) from error
        if len(text) > _MOST_BYTES:
            raise ConfigurationError([f"{source}: {where} has more than {_MOST_BYTES} bytes, the maximum"])
    try:
        parsed = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ConfigurationError([f"{source}: {where} is not JSON: {error.msg} at character {error.pos}"]) from error
    if not isinstance(parsed, dict):
        raise ConfigurationError([f"{source}: {where} is not a JSON object"])
    return parsed
