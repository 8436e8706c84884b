"""Recordings: a file for each invocation, with its event and its answer. ``adapter invoke FILE`` replays one.

A file has the event and the beginning of the answer. Nothing is left out or masked: cookies, authorization headers,
bodies and everything that the function answers are in it. So only the owner may read the folder and its files.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pybase64

from adapter.aws.limits import MIB
from adapter.emulator.environment.result import Answer, Failure, Stream
from adapter.errors import ConfigurationError
from adapter.payload.headers import first

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.payload.headers import Headers

#: The key that distinguishes a recording from an event, and the version of the format.
FORMAT_KEY, FORMAT = "adapterRecording", 1
#: The name of a recording's file as a regular expression: time, number since the start, beginning of the request id.
NAME_PATTERN = r"\d{8}T\d{6}-\d{4,}-[0-9a-f]{8}\.json"
#: The header in which ``adapter invoke`` sends the request id of the recording that it replays.
REPLAY_HEADER = "x-adapter-recording"
# How much of an answer is recorded, in bytes.
_ANSWER_LIMIT = MIB


class Recorder:
    """Writes one file for each invocation into ``folder``; ``notice`` shows a line to the user.

    Raises ConfigurationError if the folder cannot be created.
    """

    def __init__(self, folder: str, notice: Callable[[str], None]) -> None:
        self._folder = Path(folder)
        self._notice = notice
        self._count = 0
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                [f"--record: {folder!r} cannot be created: {error.strerror}; name a folder to write to"]
            ) from error

    def record(self, invocation: LocalInvocation, headers: Headers, source: str, answer: Answer) -> Answer:
        """Record the invocation as soon as its answer is complete; return the answer to read instead.

        The replay of a recording in this folder, which has ``headers`` that say so, is not recorded again.
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
            # The next recording that is written reports what is wrong with the folder.
            return False

    def _write(self, invocation: LocalInvocation, source: str, fields: dict[str, Any], body: bytes) -> None:
        self._count += 1
        now = time.gmtime()
        recording = {
            FORMAT_KEY: FORMAT,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", now),
            "source": source,
            "requestId": invocation.request_id,
            "clientContext": invocation.client_context,
            "tenantId": invocation.tenant_id,
            "answer": {"bytes": len(body), **fields, **_body_field(body[:_ANSWER_LIMIT])},
        }
        # The event's own bytes, because a parser may change numbers.
        text = orjson.dumps(recording)[:-1] + b',"event":' + (invocation.event or b"null") + b"}\n"
        name = f"{time.strftime('%Y%m%dT%H%M%S', now)}-{self._count:04}{_name_end(invocation.request_id)}"
        path = self._folder / name
        try:
            path.touch(mode=0o600)
            path.write_bytes(text)
        except OSError as error:
            self._notice(f"{path} cannot be written: {error.strerror}")


class RecordedStream(Stream):
    """The stream ``original``; ``write`` is called once with its fields and its beginning, however it ends."""

    def __init__(self, original: Stream, write: Callable[[dict[str, Any], bytes], None]) -> None:
        self.content_type = original.content_type
        self.failure: Failure | None = None
        self.ended = original.ended
        self._original = original
        self._write = write
        self._is_written = False
        self._beginning = bytearray()
        self._size = 0

    async def read(self) -> bytes:
        """Return the next piece; empty at the end."""
        piece = await self._original.read()
        if piece:
            self._size += len(piece)
            self._beginning += piece[: max(0, _ANSWER_LIMIT - len(self._beginning))]
        else:
            self._finish()
        return piece

    def fail(self, why: Failure) -> None:
        """End the stream."""
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
