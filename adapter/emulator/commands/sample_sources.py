"""Events of sources that are not HTTP, from templates in ``sample_events.json``: one event of one record each.

The shapes are those in AWS's documentation (Lambda, "Using … with Lambda"). Ids and times are made up, and the same in
every run, so that two events can be compared. In a template's texts ``{body}`` stands for the message, ``{name}`` for
the queue, topic, bucket, table or stream, ``{base64}`` and ``{md5}`` for forms of the message. ``{"$gzip": …}`` is JSON
that is compressed and in base64; ``{"$json": …}`` is a text as a JSON object.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from importlib import resources
from typing import Any

from adapter.aws.identity import ACCOUNT_ID, DEFAULT_REGION

_TEMPLATES: dict[str, Any] = json.loads(resources.files(__package__).joinpath("sample_events.json").read_bytes())
#: The sources.
SOURCES = tuple(_TEMPLATES)


def source_event(source: str, *, body: str = "hello", name: str = "", region: str = DEFAULT_REGION) -> dict[str, Any]:
    """Return an event of ``source`` with the message ``body``; an empty ``name`` is the source's default."""
    template = _TEMPLATES[source]
    values = {
        "{name}": name or template["name"],
        "{region}": region,
        "{account}": ACCOUNT_ID,
        "{base64}": base64.b64encode(body.encode()).decode("ascii"),
        "{md5}": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        # Last, since nothing in a message is a placeholder.
        "{body}": body,
    }
    event: dict[str, Any] = _fill(template["event"], values)
    return event


def _fill(template: Any, values: Mapping[str, str]) -> Any:
    if isinstance(template, list):
        return [_fill(each, values) for each in template]
    if isinstance(template, str):
        for placeholder, value in values.items():
            template = template.replace(placeholder, value)
        return template
    if not isinstance(template, dict):
        return template
    filled = {_fill(key, values): _fill(value, values) for key, value in template.items()}
    if "$gzip" in filled:
        packed = gzip.compress(json.dumps(filled["$gzip"]).encode(), mtime=0)
        return base64.b64encode(packed).decode("ascii")
    return _json_object(filled["$json"]) if "$json" in filled else filled


def _json_object(text: str) -> dict[str, Any]:
    """Return ``text`` as a JSON object, in one if it is not one itself."""
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {"message": text}
