"""Invocations as files: what was asked, what came back. ``adapter invoke FILE`` asks again.

A file holds the event and the beginning of the answer as they are. Nothing is left out or made unreadable: cookies,
authorization headers, bodies and whatever the function answers are in it. So the folder and its files are for their
owner alone.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson
import pybase64

from adapter.aws.limits import MIB
from adapter.emulator.environment.result import Answer, Failure, Stream
from adapter.emulator.faults.fault_streams import ObservedStream
from adapter.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.emulator.environment.invocation import LocalInvocation

#: The key by which a recording is told from an event, and the version of the format.
FORMAT_KEY, FORMAT = "adapterRecording", 1
#: A recording's file name, as a regular expression: when, which one since the start, and how its request id begins.
NAME_PATTERN = r"\d{8}T\d{6}-\d{4,}-[0-9a-f]{8}\.json"
#: With this header ``adapter invoke`` names the recording that it asks again, by its request id.
REPLAY_HEADER = "x-adapter-recording"
# How much of an answer is kept, in bytes.
_ANSWER_LIMIT = MIB


class Recorder:
    """Writes one file for each invocation into ``folder``, which is made. ``notice`` shows a line to the user."""

    def __init__(self, folder: str, notice: Callable[[str], None]) -> None:
        self._folder = Path(folder)
        self._notice = notice
        self._count = 0
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise ConfigurationError(
                [f"--record: {folder!r} cannot be made: {error.strerror}; name a folder to write to"]
            ) from error

    def has(self, request_id: str) -> bool:
        """Whether the folder has the recording of ``request_id``, empty for none: it is not recorded once more."""
        if not request_id:
            return False
        end = _name_end(request_id)
        try:
            return any(path.name.endswith(end) for path in self._folder.iterdir())
        except OSError:
            # The next recording that is written tells what is wrong with the folder.
            return False

    def observe(self, call: LocalInvocation, source: str, answer: Answer) -> Answer:
        """Record ``call`` as soon as its answer is over; gives the answer to go on with."""
        if not isinstance(answer, Stream):
            kept = answer.body
            is_failure = isinstance(answer, Failure)
            error_type = answer.error_type if isinstance(answer, Failure) else None
            self._write(call, source, {"kind": "failure" if is_failure else "payload", "errorType": error_type}, kept)
            return answer
        collected = bytearray()
        size = 0

        def keep(piece: bytes) -> None:
            nonlocal size
            size += len(piece)
            collected.extend(piece[: max(0, _ANSWER_LIMIT - len(collected))])

        def end(why: Failure | None) -> None:
            facts = {
                "kind": "stream",
                "contentType": answer.content_type,
                "bytes": size,
                "errorType": why.error_type if why else None,
            }
            self._write(call, source, facts, bytes(collected))

        return ObservedStream(answer, keep, end)

    def _write(self, call: LocalInvocation, source: str, facts: dict[str, Any], body: bytes) -> None:
        self._count += 1
        now = time.gmtime()
        record = {
            FORMAT_KEY: FORMAT,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", now),
            "source": source,
            "requestId": call.request_id,
            "clientContext": call.client_context,
            "tenantId": call.tenant_id,
            "answer": {"bytes": len(body), **facts, **_as_text(body[:_ANSWER_LIMIT])},
        }
        # The event's own bytes: no parser keeps all of it.
        text = orjson.dumps(record)[:-1] + b',"event":' + (call.event or b"null") + b"}\n"
        name = f"{time.strftime('%Y%m%dT%H%M%S', now)}-{self._count:04}{_name_end(call.request_id)}"
        path = self._folder / name
        try:
            path.touch(mode=0o600)
            path.write_bytes(text)
        except OSError as error:
            self._notice(f"{path} cannot be written: {error.strerror}")


def _name_end(request_id: str) -> str:
    return f"-{request_id[:8]}.json"


def _as_text(body: bytes) -> dict[str, str]:
    try:
        return {"body": body.decode()}
    except UnicodeDecodeError:
        return {"bodyBase64": pybase64.b64encode(body).decode("ascii")}
