"""Recordings: one file for each invocation, with the event and the answer. ``adapter invoke FILE`` replays the file.

A file contains the event and up to 1 MB of the answer. Nothing is masked: cookies, authorization headers and bodies are
included. So only the owner may read the files and the folder. Until a file is complete, its name ends in ``.part``.
This module also reads the input of ``adapter invoke``, which is a recording or a plain event.
"""

from __future__ import annotations

import errno
import json
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import orjson
import pybase64

from adapter.aws.limits import MIB
from adapter.emulator.environment.result import Answer, Failure, Stream
from adapter.errors import ConfigurationError
from adapter.numbers import whole_number
from adapter.payload.function_response import DELIMITER
from adapter.payload.headers import first

if TYPE_CHECKING:
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.emulator.notice import Notice
    from adapter.payload.headers import Headers

#: The key that distinguishes a recording from an event, and the version of the format.
FORMAT_KEY, FORMAT = "adapterRecording", 1
#: A regular expression for the file names. A name consists of the time, the number of the recording since the start of
#: the emulator, and the first 8 characters of the request id.
NAME_PATTERN = r"\d{8}T\d{6}-\d{4,}-[0-9a-f]{8}\.json"
#: The suffix of a file's name until the file is complete.
UNFINISHED = ".part"
#: The header in which ``adapter invoke`` sends the request id of the recording that it replays.
REPLAY_HEADER = "x-adapter-recording"
# The maximum number of bytes of an answer that are recorded.
_ANSWER_LIMIT = MIB
#: The argument that means standard input.
STANDARD_INPUT = "-"


class Recorder:
    """Writes one file for each invocation into ``folder``; ``notice`` shows a line to the user.

    Raises ConfigurationError if the folder cannot be created.
    """

    def __init__(self, folder: str, notice: Notice) -> None:
        self._folder = Path(folder)
        self._notice = notice
        self._count = 0
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                [f"--record: {folder!r} cannot be created: {error.strerror}; choose another folder"]
            ) from error
        if problem := _make_private(self._folder):
            notice(f"--record: {problem}", level="warn")

    def record(self, invocation: LocalInvocation, headers: Headers, source: str, answer: Answer) -> Answer:
        """Record an invocation, and return the answer that the caller must use instead of ``answer``.

        A stream is recorded when it has ended, any other answer immediately. A request with REPLAY_HEADER repeats a
        recorded invocation. Such a request is not recorded if the folder contains the recording of that invocation.
        """
        replayed_id = first(headers, REPLAY_HEADER)
        if replayed_id and self._has_recording(replayed_id):
            return answer
        if isinstance(answer, Stream):
            return RecordedStream(answer, lambda fields, body: self._write(invocation, source, fields, body))
        error_type = answer.error_type if isinstance(answer, Failure) else None
        kind = "failure" if isinstance(answer, Failure) else "payload"
        self._write(invocation, source, {"kind": kind, "errorType": error_type}, answer.body)
        return answer

    def _has_recording(self, request_id: str) -> bool:
        end = _name_end(request_id)
        try:
            return any(path.name.endswith(end) for path in self._folder.iterdir())
        except OSError:
            # The next write to the folder reports this error.
            return False

    def _write(self, invocation: LocalInvocation, source: str, fields: dict[str, Any], body: bytes) -> None:
        self._count += 1
        now = time.time()
        text = recording_text(invocation, invocation.event, source, fields, body, at=now)
        name = f"{time.strftime('%Y%m%dT%H%M%S', time.gmtime(now))}-{self._count:04}{_name_end(invocation.request_id)}"
        path = self._folder / name
        try:
            _write_whole(path, text)
        except OSError as error:
            self._notice(f"the recording {path} cannot be written: {error.strerror}", level="error")


class RecordedInvocation(Protocol):
    """The parts of an invocation that a recording contains besides the event and the answer."""

    request_id: str
    client_context: str
    tenant_id: str


def recording_text(
    invocation: RecordedInvocation, event: bytes, source: str, fields: dict[str, Any], body: bytes, *, at: float
) -> bytes:
    """Return the content of a recording.

    ``source`` names the front door or the API action. ``body`` is the answer, and ``fields`` describe it. ``at`` is the
    time of the invocation, in seconds since the epoch.
    """
    recording = {
        FORMAT_KEY: FORMAT,
        "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(at)),
        "source": source,
        "requestId": invocation.request_id,
        "clientContext": invocation.client_context,
        "tenantId": invocation.tenant_id,
        "answer": {"bytes": len(body), **fields, **_body_field(body[:_ANSWER_LIMIT])},
    }
    # The event is copied as bytes, because parsing could change its numbers.
    return orjson.dumps(recording)[:-1] + b',"event":' + (event or b"null") + b"}\n"


def _write_whole(path: Path, text: bytes) -> None:
    """Write a file that only the owner can read. Raises OSError if this fails, and leaves no part of the file."""
    unfinished = path.with_name(f"{path.name}{UNFINISHED}")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(text)
        unfinished.replace(path)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise


def _make_private(folder: Path) -> str:
    """Deny other users access to ``folder`` if it contains only recordings.

    Return a warning if other users can still access the folder, else an empty string.
    """
    try:
        mode = stat.S_IMODE(folder.stat().st_mode)
        if not mode & 0o077:
            return ""
        # A folder with other files may be meant for other users as well.
        if all(re.fullmatch(NAME_PATTERN, path.name) for path in folder.iterdir()):
            folder.chmod(0o700)
            return ""
    except OSError:
        # The folder belongs to another user, or its file system has no permissions.
        mode = 0
    return (
        f"other users may have access to {folder}{f' (mode {mode:o})' if mode else ''}, but recordings contain "
        "secrets; run chmod 700 on the folder"
    )


class RecordedStream(Stream):
    """A stream that returns the pieces of ``original`` and records them.

    When the stream has ended or failed, ``write`` is called once, with the fields that describe the answer and with the
    first bytes of its body.
    """

    def __init__(self, original: Stream, write: Callable[[dict[str, Any], bytes], None]) -> None:
        self.content_type = original.content_type
        self.is_buffered = original.is_buffered
        self.failure: Failure | None = None
        self.ended = original.ended
        self._original = original
        self._write = write
        self._is_written = False
        self._beginning = bytearray()
        self._size = 0

    async def read(self) -> bytes:
        """Return the next piece, or ``b""`` at the end of the stream."""
        piece = await self._original.read()
        if piece:
            self._size += len(piece)
            self._beginning += piece[: max(0, _ANSWER_LIMIT - len(self._beginning))]
        else:
            self._finish()
        return piece

    def fail(self, why: Failure) -> None:
        """Fail the original stream, and write the recording."""
        self._original.fail(why)
        self._finish()

    def _finish(self) -> None:
        self.failure = self._original.failure
        if self._is_written:
            return
        self._is_written = True
        fields = {
            "kind": "stream",
            "contentType": self.content_type,
            "bytes": self._size,
            "errorType": self.failure.error_type if self.failure else None,
        }
        self._write(fields, bytes(self._beginning))


def _name_end(request_id: str) -> str:
    return f"-{request_id[:8]}.json"


def _body_field(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"bodyBase64": pybase64.b64encode(body).decode("ascii")}


class InvokeInput:
    """The event with which ``adapter invoke`` invokes the function. The file ``name`` is a plain event or a recording.

    ``recorded`` is the recorded answer. It is None for a plain event, and for a recording that does not contain the
    whole answer. ``request_id`` is the request id of the recorded invocation. It is empty for a plain event.
    """

    def __init__(self, name: str, event: bytes, recording: dict[str, Any] | None = None) -> None:
        fields = recording or {}
        answer = fields.get("answer", {})
        self.name = name
        self.event = event
        request_id = str(fields.get("requestId", ""))
        # The request id is sent as a header, so it must be printable. The user may have edited the recording.
        self.request_id = request_id if request_id.isascii() and request_id.isprintable() else ""
        self.was_streamed = answer.get("kind") == "stream"
        self.client_context = str(fields.get("clientContext", ""))
        self.tenant_id = str(fields.get("tenantId", ""))
        body = answer.get("body", "").encode() if "body" in answer else pybase64.b64decode(answer.get("bodyBase64", ""))
        self.recorded: bytes | None = body if recording is not None and len(body) == answer.get("bytes") else None

    def difference(self, payload: bytes) -> str:
        """Return how ``payload`` differs from ``self.recorded``, or an empty string if the two are equal.

        ``self.recorded`` must not be None. The header values of HTTP responses are not compared, because they contain
        dates and ids.
        """
        assert self.recorded is not None, "a comparison needs a recorded answer"
        return "; ".join(_differences(self.recorded, payload))


def answer_status(payload: bytes) -> int | None:
    """Return the status of a payload that is an HTTP response; None for any other payload."""
    status = _parts(payload)[0]
    return whole_number(str(status), 999) if isinstance(status, int | str) else None


def _parts(payload: bytes) -> tuple[object, set[str], bytes]:
    """Return the status, header names and body of a payload that is an HTTP response.

    For any other payload, return None, an empty set and the payload.
    """
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
        yield f"missing headers: {', '.join(missing)}"
    if added := sorted(names - old_names):
        yield f"added headers: {', '.join(added)}"
    if body != old_body:
        pairs = enumerate(zip(old_body, body, strict=False))
        position = next((position for position, (old, new) in pairs if old != new), min(len(old_body), len(body)))
        yield f"the body from byte {position} on (length: {len(body)} bytes instead of {len(old_body)})"


def _status_text(status: object) -> str:
    return "none" if status is None else str(status)


def event_files(paths: tuple[str, ...]) -> list[str]:
    """Return ``paths``, in which each folder is replaced by its ``.json`` files, sorted by name.

    ``-``, which means standard input, is returned unchanged. The files are not read, because events may be large and a
    pipe can be read only once. Raises ConfigurationError with a line for every path that cannot be read.
    """
    files: list[str] = []
    mistakes: list[str] = []
    for path in paths:
        try:
            found = _files(path)
        except OSError as error:
            is_json = path.lstrip().startswith(("{", "["))
            hint = "; to pass an event itself, pipe it: echo … | adapter invoke -" if is_json else ""
            mistakes.append(f"EVENT: {path!r} cannot be read: {error.strerror}{hint}")
        else:
            if not found:
                mistakes.append(f"EVENT: the folder {path!r} has no .json file, so it contains no events or recordings")
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
    """Return the event or recording in the file ``name``. Raises ConfigurationError if the file cannot be used."""
    try:
        text = sys.stdin.buffer.read() if name == STANDARD_INPUT else Path(name).read_bytes()
    except OSError as error:
        raise ConfigurationError([f"EVENT: {name!r} cannot be read: {error.strerror}"]) from error
    try:
        content = json.loads(text)
    except ValueError:
        # Text that is not JSON is sent unchanged. The Invoke API refuses it, and its message explains why.
        return InvokeInput(name, text)
    if not isinstance(content, dict) or FORMAT_KEY not in content:
        return InvokeInput(name, text)
    if content[FORMAT_KEY] != FORMAT or "event" not in content:
        raise ConfigurationError(
            [f"EVENT: {name!r} is not a valid recording, or was written by another version of adapter"]
        )
    return InvokeInput(name, json.dumps(content["event"]).encode(), content)
