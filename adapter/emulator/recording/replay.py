"""What ``adapter invoke`` is given: events, and recordings of invocations, which have an event in them."""

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

#: The name of standard input among those of files.
STANDARD_INPUT = "-"


class InvokeInput:
    """An event to ask a function with. ``name`` is its file's; ``recorded`` the answer it once had, None if unknown.

    Only a complete answer counts: of long ones a recording has the beginning alone. ``request_id`` is that of the
    recorded invocation, empty for an event.
    """

    def __init__(self, name: str, event: bytes, recording: dict[str, Any] | None = None) -> None:
        self.name = name
        self.event = event
        answer = (recording or {}).get("answer", {})
        request_id = str((recording or {}).get("requestId", ""))
        # It becomes a header, and a recording may have been edited.
        self.request_id = request_id if request_id.isascii() and request_id.isprintable() else ""
        self.was_streamed = answer.get("kind") == "stream"
        self.client_context = str((recording or {}).get("clientContext", ""))
        self.tenant_id = str((recording or {}).get("tenantId", ""))
        body = answer.get("body", "").encode() if "body" in answer else pybase64.b64decode(answer.get("bodyBase64", ""))
        self.recorded: bytes | None = body if recording is not None and len(body) == answer.get("bytes") else None

    def difference(self, payload: bytes) -> str:
        """In what ``payload`` differs from the recorded answer; empty where it does not.

        Of an HTTP response the values of headers are left alone: they have dates and ids.
        """
        assert self.recorded is not None, "there is an answer to compare with"
        return "; ".join(_differences(_Parts(self.recorded), _Parts(payload)))


class _Parts:
    """Status, names of headers and body of an HTTP response; of another payload, the body alone."""

    def __init__(self, payload: bytes) -> None:
        self.status: object = None
        self.names: set[str] = set()
        self.body = payload
        head, delimiter, body = payload.partition(DELIMITER)
        try:
            parsed = json.loads(head)
        except ValueError:
            return
        if isinstance(parsed, dict) and "statusCode" in parsed:
            self.status = parsed["statusCode"]
            self.names = {name.lower() for key in ("headers", "multiValueHeaders") for name in parsed.get(key) or ()}
            self.body = body if delimiter else _text(parsed.get("body"))


def _text(body: object) -> bytes:
    return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else json.dumps(body).encode()


def _differences(recorded: _Parts, received: _Parts) -> Iterator[str]:
    if recorded.status != received.status:
        yield f"status {_status_text(received.status)} instead of {_status_text(recorded.status)}"
    if missing := sorted(recorded.names - received.names):
        yield f"without {', '.join(missing)}"
    if added := sorted(received.names - recorded.names):
        yield f"with {', '.join(added)}"
    if recorded.body != received.body:
        pairs = enumerate(zip(recorded.body, received.body, strict=False))
        same = next((number for number, (one, other) in pairs if one != other), None)
        if same is None:
            same = min(len(recorded.body), len(received.body))
        yield f"the body at byte {same} ({len(received.body)} bytes instead of {len(recorded.body)})"


def _status_text(status: object) -> str:
    return "none" if status is None else str(status)


def event_files(paths: tuple[str, ...]) -> list[str]:
    """The files that ``paths`` name; a folder stands for its ``.json`` files in their order, ``-`` for standard input.

    Nothing is read yet: an event may be long, and of a pipe it can be read but once. Raises ConfigurationError with
    everything that cannot be read.
    """
    files: list[str] = []
    mistakes: list[str] = []
    for path in paths:
        try:
            files += _files(path)
        except OSError as error:
            mistakes.append(f"EVENT: {path!r} cannot be read: {error.strerror}{_hint(path)}")
        except ConfigurationError as error:
            mistakes += error.mistakes
    if mistakes:
        raise ConfigurationError(mistakes)
    return files


def _files(path: str) -> list[str]:
    if path == STANDARD_INPUT:
        return [path]
    if stat.S_ISDIR(os.stat(path).st_mode):
        files = sorted(map(str, Path(path).glob("*.json")))
        if not files:
            raise ConfigurationError([f"EVENT: {path!r} has no .json file in it; name an event or a recording"])
        return files
    if not os.access(path, os.R_OK):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    return [path]


def _hint(path: str) -> str:
    is_json = path.lstrip().startswith(("{", "["))
    return "; an event itself is piped: echo … | adapter invoke -" if is_json else ""


def read_input(name: str) -> InvokeInput:
    """What is in the file ``name``, one of ``event_files``. Raises ConfigurationError."""
    if name == STANDARD_INPUT:
        return _question(name, sys.stdin.buffer.read())
    try:
        return _question(name, Path(name).read_bytes())
    except OSError as error:
        raise ConfigurationError([f"EVENT: {name!r} cannot be read: {error.strerror}"]) from error


def _question(name: str, text: bytes) -> InvokeInput:
    try:
        content = json.loads(text)
    except ValueError:
        # It is the API's to refuse what is not JSON, in its own words.
        return InvokeInput(name, text)
    if not isinstance(content, dict) or FORMAT_KEY not in content:
        return InvokeInput(name, text)
    if content[FORMAT_KEY] != FORMAT or "event" not in content:
        raise ConfigurationError([f"EVENT: {name!r} is no recording, or one of another version of adapter"])
    return InvokeInput(name, json.dumps(content["event"]).encode(), content)
