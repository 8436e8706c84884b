"""What ``adapter invoke`` is given: events, and recordings of invocations, which have an event in them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pybase64

from adapter.emulator.recording import FORMAT, FORMAT_KEY
from adapter.errors import ConfigurationError
from adapter.payload.prelude import DELIMITER


class Question:
    """An event to ask a function with. ``name`` is its file's; ``recorded`` the answer it once had, None if unknown.

    Only a complete answer counts: of long ones a recording has the beginning alone.
    """

    def __init__(self, name: str, event: bytes, recording: dict[str, Any] | None = None) -> None:
        self.name = name
        self.event = event
        answer = (recording or {}).get("answer", {})
        self.was_streamed = answer.get("kind") == "stream"
        self.client_context = str((recording or {}).get("clientContext", ""))
        self.tenant_id = str((recording or {}).get("tenantId", ""))
        body = answer.get("body", "").encode() if "body" in answer else pybase64.b64decode(answer.get("bodyBase64", ""))
        self.recorded: bytes | None = body if recording is not None and len(body) == answer.get("bytes") else None

    def has_answer(self, payload: bytes) -> bool:
        """Whether ``payload`` is the recorded answer. Of an HTTP response status and body count: headers have dates."""
        return self.recorded is not None and _essence(payload) == _essence(self.recorded)


def _essence(payload: bytes) -> tuple[object, object]:
    """The status and the body of an HTTP response, or None and the payload."""
    head, delimiter, body = payload.partition(DELIMITER)
    try:
        parsed = json.loads(head)
    except ValueError:
        return None, payload
    if not isinstance(parsed, dict) or "statusCode" not in parsed:
        return None, payload
    return parsed["statusCode"], body if delimiter else parsed.get("body")


def questions(paths: tuple[str, ...]) -> Iterator[Question]:
    """One for each file; ``-`` is standard input, a folder stands for its ``.json`` files in their order.

    Raises ConfigurationError.
    """
    for path in paths:
        if path == "-":
            yield _question("-", sys.stdin.buffer.read())
        elif Path(path).is_dir():
            for file in sorted(Path(path).glob("*.json")):
                yield _question(str(file), _content(file))
        else:
            yield _question(path, _content(Path(path)))


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigurationError([f"EVENT: {str(file)!r} cannot be read: {error.strerror}"]) from error


def _question(name: str, text: bytes) -> Question:
    try:
        content = json.loads(text)
    except ValueError:
        # It is the API's to refuse what is not JSON, in its own words.
        return Question(name, text)
    if not isinstance(content, dict) or FORMAT_KEY not in content:
        return Question(name, text)
    if content[FORMAT_KEY] != FORMAT:
        raise ConfigurationError([f"EVENT: {name!r} is a recording of another version of adapter"])
    return Question(name, json.dumps(content["event"]).encode(), content)
