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


def questions(paths: tuple[str, ...]) -> Iterator[Question]:
    """One for each file; ``-`` is standard input, a folder stands for its ``.json`` files in their order.

    Raises ConfigurationError.
    """
    for path in paths:
        if path == "-":
            yield _question("-", sys.stdin.buffer.read())
        elif Path(path).is_dir():
            files = sorted(Path(path).glob("*.json"))
            if not files:
                raise ConfigurationError([f"EVENT: {path!r} has no .json file in it; name an event or a recording"])
            for file in files:
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
