"""What ``adapter invoke`` reads: events, and recordings of invocations, which have an event in them."""

from __future__ import annotations

import errno
import json
import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pybase64

from adapter.emulator.recording.recorder import FORMAT, FORMAT_KEY
from adapter.errors import ConfigurationError
from adapter.payload.function_response import DELIMITER

#: The name that stands for standard input.
STANDARD_INPUT = "-"


class InvokeInput:
    """An event to invoke a function with, from the file ``name``.

    ``recorded`` is the answer in a recording, None for an event. It is None as well if the answer was long, since a
    recording has only the beginning of it. ``request_id`` is that of the recorded invocation, empty for an event.
    """

    def __init__(self, name: str, event: bytes, recording: dict[str, Any] | None = None) -> None:
        fields = recording or {}
        answer = fields.get("answer", {})
        self.name = name
        self.event = event
        request_id = str(fields.get("requestId", ""))
        # It becomes a header, and a user may have edited the recording.
        self.request_id = request_id if request_id.isascii() and request_id.isprintable() else ""
        self.was_streamed = answer.get("kind") == "stream"
        self.client_context = str(fields.get("clientContext", ""))
        self.tenant_id = str(fields.get("tenantId", ""))
        body = answer.get("body", "").encode() if "body" in answer else pybase64.b64decode(answer.get("bodyBase64", ""))
        self.recorded: bytes | None = body if recording is not None and len(body) == answer.get("bytes") else None

    def difference(self, payload: bytes) -> str:
        """Return how ``payload`` differs from the recorded answer; empty if it does not.

        The values of an HTTP response's headers are not compared, because they contain dates and ids.
        """
        assert self.recorded is not None, "there is an answer to compare with"
        return "; ".join(_differences(self.recorded, payload))


def _parts(payload: bytes) -> tuple[object, set[str], bytes]:
    """Return status, header names and body of an HTTP response; of any other payload None, no names and itself."""
    head, delimiter, body = payload.partition(DELIMITER)
    try:
        parsed = json.loads(head)
    except ValueError:
        parsed = None
    if not isinstance(parsed, dict) or "statusCode" not in parsed:
        return None, set(), payload
    names = {name.lower() for key in ("headers", "multiValueHeaders") for name in parsed.get(key) or ()}
    return parsed["statusCode"], names, body if delimiter else _text(parsed.get("body"))


def _text(body: object) -> bytes:
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else json.dumps(body).encode()


def _differences(recorded: bytes, received: bytes) -> Iterator[str]:
    old_status, old_names, old_body = _parts(recorded)
    status, names, body = _parts(received)
    if status != old_status:
        yield f"status {_status_text(status)} instead of {_status_text(old_status)}"
    if missing := sorted(old_names - names):
        yield f"without {', '.join(missing)}"
    if added := sorted(names - old_names):
        yield f"with {', '.join(added)}"
    if body != old_body:
        pairs = enumerate(zip(old_body, body, strict=False))
        position = next((position for position, (old, new) in pairs if old != new), min(len(old_body), len(body)))
        yield f"the body at byte {position} ({len(body)} bytes instead of {len(old_body)})"


def _status_text(status: object) -> str:
    return "none" if status is None else str(status)


def event_files(paths: tuple[str, ...]) -> list[str]:
    """Return the files for ``paths``: a folder stands for its ``.json`` files in order, ``-`` for standard input.

    Does not read them yet: an event may be large, and a pipe can be read only once. Raises ConfigurationError with
    every path that cannot be read.
    """
    files: list[str] = []
    mistakes: list[str] = []
    for path in paths:
        try:
            found = _files(path)
        except OSError as error:
            is_json = path.lstrip().startswith(("{", "["))
            hint = "; an event itself is piped: echo … | adapter invoke -" if is_json else ""
            mistakes.append(f"EVENT: {path!r} cannot be read: {error.strerror}{hint}")
        else:
            if not found:
                mistakes.append(f"EVENT: {path!r} has no .json file in it; name an event or a recording")
            files += found
    if mistakes:
        raise ConfigurationError(mistakes)
    return files


def _files(path: str) -> list[str]:
    if path == STANDARD_INPUT:
        return [path]
    if stat.S_ISDIR(os.stat(path).st_mode):
        return sorted(map(str, Path(path).glob("*.json")))
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return [path]


def read_input(name: str) -> InvokeInput:
    """Return the event or recording in the file ``name``. Raises ConfigurationError if it cannot be read."""
    try:
        text = sys.stdin.buffer.read() if name == STANDARD_INPUT else Path(name).read_bytes()
    except OSError as error:
        raise ConfigurationError([f"EVENT: {name!r} cannot be read: {error.strerror}"]) from error
    try:
        content = json.loads(text)
    except ValueError:
        # The Invoke API refuses what is not JSON, with its own message.
        return InvokeInput(name, text)
    if not isinstance(content, dict) or FORMAT_KEY not in content:
        return InvokeInput(name, text)
    if content[FORMAT_KEY] != FORMAT or "event" not in content:
        raise ConfigurationError([f"EVENT: {name!r} is not a recording, or is one of another version of adapter"])
    return InvokeInput(name, json.dumps(content["event"]).encode(), content)
