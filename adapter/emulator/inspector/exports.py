"""Exports a record as a command, as code or as a file: curl, ``adapter invoke``, boto3, event, HAR and recording."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import orjson
import pybase64

from adapter.emulator.front_doors.registry import DOORS
from adapter.emulator.inspector.detail import client_request, masked_event
from adapter.emulator.inspector.har import har
from adapter.emulator.recording.recordings import recording_text
from adapter.payload.body import BodyRules
from adapter.payload.function_response import encode_prelude
from adapter.payload.headers import first

if TYPE_CHECKING:
    from collections.abc import Callable

    from adapter.emulator.front_doors.door_settings import UrlSettings
    from adapter.emulator.inspector.masking import Masker
    from adapter.emulator.records.record import RequestRecord

_TEXT = "text/plain; charset=utf-8"
_JSON = "application/json"
# Headers that curl writes itself.
_OF_CURL = frozenset({"host", "content-length", "connection", "transfer-encoding", "expect"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """A text to copy, or a file to save. ``suffix`` is the suffix of the file's name; it is empty for a text."""

    content_type: str
    content: bytes
    suffix: str = ""


class Exports:
    """Makes exports of records. ``settings`` has the ports of the front doors and of the Invoke APIs."""

    def __init__(self, settings: UrlSettings) -> None:
        self._settings = settings
        self._kinds: dict[str, Callable[[RequestRecord, Masker], Export]] = {
            "curl": self._curl,
            "invoke": self._invoke,
            "boto3": self._boto3,
            "event": self._event,
            "har": lambda record, masker: self.har([(record, masker)]),
            "recording": self._recording,
        }

    def export(self, kind: str, record: RequestRecord, masker: Masker) -> Export:
        """Return ``record`` in the format ``kind``.

        Raises ValueError, with a message for the user, if the record cannot be exported in this format."""
        if kind not in self._kinds:
            raise ValueError(f"{kind!r} is not an export format; use one of {', '.join(self._kinds)}")
        if not record.is_stored:
            raise ValueError("the data of this invocation was dropped to free memory (see --inspector-memory)")
        if kind in ("invoke", "boto3", "event", "recording") and not record.event:
            raise ValueError("this request did not invoke the function, so it has no event to export")
        return self._kinds[kind](record, masker)

    def har(self, records: list[tuple[RequestRecord, Masker]]) -> Export:
        """Return an HTTP archive of ``records``, which are pairs of a record and its masker."""
        entries = [(record, masker, self._url(record)) for record, masker in records]
        return Export(content_type=_JSON, content=orjson.dumps(har(entries)), suffix=".har")

    def _url(self, record: RequestRecord) -> str:
        """Return the URL, without a path, of the front door or Invoke API that received the client's request."""
        ports = {door.rules.name: door.port for door in self._settings.doors}
        return f"http://127.0.0.1:{ports.get(record.door, self._settings.invoke_port)}"

    def _curl(self, record: RequestRecord, masker: Masker) -> Export:
        request = client_request(record)
        assert request is not None, "a record without a request cannot be exported"
        target = masker.target(request.target)
        url = self._url(record) + target if target.startswith("/") else target
        words = ["curl", "--globoff", "--path-as-is"]
        words += ["--head"] if request.method == "HEAD" else ["--request", request.method]
        words += [url]
        for name, value in masker.headers(request.headers):
            if name.lower() not in _OF_CURL:
                # In curl, a semicolon after the name stands for an empty value.
                words += ["--header", f"{name}: {value}" if value else f"{name};"]
        before = ""
        if request.body:
            if not first(request.headers, "content-type"):
                words += ["--header", "content-type:"]
            body = masker.data(bytes(request.body))
            text = _utf8(body)
            if text is not None and "\0" not in text:
                words += ["--data-raw", text]
            else:
                before = f"printf %s {pybase64.b64encode(body).decode('ascii')} | base64 -d | "
                words += ["--data-binary", "@-"]
        return _text(before + shlex.join(words))

    def _invoke(self, record: RequestRecord, masker: Masker) -> Export:
        words = ["adapter", "invoke", "--endpoint", f"http://127.0.0.1:{self._settings.invoke_port}"]
        words += ["--stream"] if record.mode == "streaming" else []
        words += ["--client-context", masker.text(record.client_context)] if record.client_context else []
        words += ["--tenant-id", record.tenant_id] if record.tenant_id else []
        return _text(f"printf %s {shlex.quote(_event_text(record, masker))} | {shlex.join([*words, '-'])}")

    def _boto3(self, record: RequestRecord, masker: Masker) -> Export:
        is_stream = record.mode == "streaming"
        call = "invoke_with_response_stream" if is_stream else "invoke"
        name = self._settings.config.dev_function_name or "local"
        lines = [
            "import boto3",
            "",
            f'client = boto3.client("lambda", endpoint_url="http://127.0.0.1:{self._settings.invoke_port}", '
            f'region_name="{self._settings.config.region}", aws_access_key_id="x", aws_secret_access_key="x")',
            f"event = {_event_text(record, masker)!r}",
            f'response = client.{call}(FunctionName="{name}", Payload=event.encode())',
        ]
        lines += (
            [
                'for part in response["EventStream"]:',
                '    print(part.get("PayloadChunk", {}).get("Payload", b"").decode(errors="replace"), end="")',
            ]
            if is_stream
            else ['print(response["Payload"].read().decode())']
        )
        return _text("\n".join([*lines, ""]))

    def _event(self, record: RequestRecord, masker: Masker) -> Export:
        content = record.event
        if not masker.reveals:
            content = orjson.dumps(masked_event(content, masker), option=orjson.OPT_INDENT_2)
        return Export(content_type=_JSON, content=content, suffix=".json")

    def _recording(self, record: RequestRecord, masker: Masker) -> Export:
        event = record.event if masker.reveals else orjson.dumps(masked_event(record.event, masker))
        fields: dict[str, Any] = {"kind": "stream" if record.mode == "streaming" else "payload"}
        if record.error_type:
            fields |= {"kind": "failure"} if record.head is None else {}
            fields["errorType"] = record.error_type
        answer = self._answer(record, masker)
        text = recording_text(record, event, record.door or record.method, fields, answer, at=record.began_at)
        return Export(content_type=_JSON, content=text, suffix=".json")

    def _answer(self, record: RequestRecord, masker: Masker) -> bytes:
        """Return the function's answer: the prelude and the body, or the payload in the front door's format."""
        head, body = record.head, masker.data(bytes(record.body))
        if head is None:
            return body
        masked = type(head)(status=head.status, headers=[(name, value) for name, value in masker.headers(head.headers)])
        if record.mode == "streaming" or record.prelude_size:
            return encode_prelude(masked) + body
        return b"".join(DOORS[record.door].codec.encode_response(masked, body, BodyRules()))


def _event_text(record: RequestRecord, masker: Masker) -> str:
    if masker.reveals:
        return record.event.decode("utf-8", "replace")
    return orjson.dumps(masked_event(record.event, masker)).decode()


def _utf8(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


def _text(text: str) -> Export:
    return Export(content_type=_TEXT, content=text.encode("utf-8", "replace"))
