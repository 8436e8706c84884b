"""Encodes a whole record as JSON, for the page's view of one invocation."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import orjson
import pybase64

from adapter.aws.limits import MIB
from adapter.emulator.inspector.masking import MASK, Masker, header_secrets, query_secrets
from adapter.emulator.inspector.summary import milliseconds, summary
from adapter.errors import InvocationError
from adapter.payload.event import read_event
from adapter.payload.messages import Invocation, Request
from adapter.payload.request import RequestRules, app_request

if TYPE_CHECKING:
    from collections.abc import Iterable

    from adapter.emulator.records.record import RequestRecord

# The maximum number of bytes of a body that are sent to the page.
SHOWN_BODY = MIB
# The keys that mark a body as base64 text, in the formats of all front doors.
_BASE64_KEYS = ("isBase64Encoded", "is_base64_encoded")


def masker_for(record: RequestRecord, secrets: Iterable[str], *, reveals: bool) -> Masker:
    """Return a masker for ``record``. It masks ``secrets`` and the secrets in the record's headers and query."""
    own = [*header_secrets(record.client_headers), *header_secrets(record.response_headers)]
    if record.head is not None:
        own += header_secrets(record.head.headers)
    own += query_secrets(record.client_target)
    return Masker([*secrets, *own], reveals=reveals)


class DetailView:
    """Encodes the details of records. ``rules`` are the runtime's rules for converting an event to the app's request.

    If the runtime is not the adapter, ``rules`` is None, and the app's request is unknown. If ``shows_bodies`` is
    False, bodies are left out.
    """

    def __init__(self, rules: RequestRules | None, *, shows_bodies: bool) -> None:
        self._rules = rules
        self._shows_bodies = shows_bodies

    def detail(self, record: RequestRecord, masker: Masker, *, with_bodies: bool = True) -> dict[str, Any]:
        """Return ``record`` as JSON, with masked secrets. The response is the one that the client received.

        If ``with_bodies`` is False, the event and all bodies are left out, so that updates during a stream are small.
        """
        with_bodies = with_bodies and self._shows_bodies
        request = client_request(record)
        return {
            **summary(record, masker),
            "event": self._event(record, masker) if with_bodies else None,
            "clientRequest": _request_json(request, masker, with_body=with_bodies),
            "appRequest": self._app_request(record, masker, with_body=with_bodies),
            "response": _response(record, masker, with_body=with_bodies),
            "pieces": [[milliseconds(at), arrived, sent] for at, arrived, sent in record.curve],
            "held": [[milliseconds(begun), milliseconds(ended)] for begun, ended in _pauses(record)],
            "phases": phases(record),
            "output": [
                {
                    "ms": milliseconds(at),
                    "stream": stream,
                    "text": masker.text(line.decode("utf-8", "replace")),
                }
                for at, stream, line in record.output
            ],
            "report": _report(record.report),
            "cloudwatch": masker.text(cloudwatch_block(record)),
        }

    def _event(self, record: RequestRecord, masker: Masker) -> Any:
        return masked_event(record.event, masker) if record.event else None

    def _app_request(self, record: RequestRecord, masker: Masker, *, with_body: bool) -> dict[str, Any] | None:
        if self._rules is None or not record.event:
            return None
        invocation = Invocation(
            request_id=record.request_id,
            event=record.event,
            deadline_ms=record.deadline_ms,
            trace_id=record.trace_id,
            invoked_function_arn=record.function_arn,
            client_context=record.client_context,
            tenant_id=record.tenant_id,
        )
        try:
            _, request = app_request(invocation, self._rules)
        except InvocationError:
            return None
        return _request_json(request, masker, with_body=with_body)


def client_request(record: RequestRecord) -> Request | None:
    """Return the client's request with its body, or None if the request's data was dropped to free memory.

    The body is read from the event, because front doors do not change the body. If a front door refused the request,
    the record has no event, and the body is empty.
    """
    if not record.is_stored:
        return None
    body: bytes | bytearray = record.event
    if record.door:
        body = _body_in(record.event) if record.event else b""
    headers = record.client_headers
    return Request(method=record.client_method, target=record.client_target, headers=headers, body=body)


def _body_in(event: bytes) -> bytes | bytearray:
    try:
        codec, parsed = read_event(event)
        return codec.decode_request(parsed).body
    except InvocationError:
        return b""


def masked_event(event: bytes, masker: Masker) -> Any:
    """Return ``event`` as a JSON value with masked secrets. Secrets in a base64 body are masked too."""
    try:
        parsed = orjson.loads(event)
    except orjson.JSONDecodeError:
        # orjson refuses some JSON that Python's own parser accepts, such as large integers.
        return masker.text(event.decode("utf-8", "replace"))
    masked = masker.value(parsed)
    if isinstance(masked, dict) and not masker.reveals and True in (masked.get(key) for key in _BASE64_KEYS):
        masked["body"] = _masked_base64(str(parsed.get("body")), masker)
    return masked


def _masked_base64(text: str, masker: Masker) -> str:
    try:
        return pybase64.b64encode(masker.data(pybase64.b64decode(text))).decode("ascii")
    except ValueError:
        return MASK


def _request_json(request: Request | None, masker: Masker, *, with_body: bool) -> dict[str, Any] | None:
    if request is None:
        return None
    return {
        "method": masker.text(request.method),
        "target": masker.target(request.target),
        "headers": masker.headers(request.headers),
        **_body_fields(bytes(request.body), len(request.body), masker, with_body=with_body, as_text=True),
    }


def _response(record: RequestRecord, masker: Masker, *, with_body: bool) -> dict[str, Any]:
    head = record.head
    prelude = None
    if head is not None and record.prelude_size:
        prelude = {
            "statusCode": head.status,
            "headers": masker.headers(head.headers),
            "bytes": record.prelude_size,
        }
    return {
        "status": record.status or None,
        "headers": masker.headers(record.response_headers),
        "prelude": prelude,
        **_body_fields(bytes(record.body), record.body_size, masker, with_body=with_body, as_text=False),
    }


def _body_fields(body: bytes, size: int, masker: Masker, *, with_body: bool, as_text: bool) -> dict[str, Any]:
    """Return the fields that the page shows for a body of ``size`` bytes. ``body`` is the part that was recorded."""
    shown = masker.data(body[:SHOWN_BODY]) if with_body else b""
    fields: dict[str, Any] = {"bodyBytes": size, "cut": size > len(body[:SHOWN_BODY]), "bodyText": None}
    if as_text:
        try:
            return fields | {"bodyText": shown.decode() if with_body else None, "bodyBase64": None}
        except UnicodeDecodeError:
            pass
    return fields | {"bodyBase64": pybase64.b64encode(shown).decode("ascii") if with_body else None}


def _pauses(record: RequestRecord) -> list[tuple[float, float]]:
    pauses = [(begun, ended) for begun, ended in record.pauses]
    if record.held_since is not None:
        pauses.append((record.held_since, record.now()))
    return pauses


def phases(record: RequestRecord) -> list[dict[str, Any]]:
    """Return the phases of the invocation. Each has a start and an end in milliseconds since the request arrived."""
    begun, answered, queued = record.begun, record.answered, record.queued
    found: list[tuple[str, float | None, float | None]] = []
    if queued is not None:
        end = record.now() if begun is None and not record.is_over else begun if begun is not None else record.duration
        cold = max(queued, end - (record.init or 0.0) - (record.restore or 0.0))
        found.append(("queued", queued, cold))
        if begun is not None:
            restored_from = max(cold, begun - (record.restore or 0.0))
            if record.init is not None:
                found.append(("init", cold, restored_from))
            if record.restore is not None:
                found.append(("restore", restored_from, begun))
    if begun is not None:
        first = record.first_byte
        last = record.duration if record.is_over else record.now()
        found.append(("app", begun, answered if answered is not None else last))
        if answered is not None:
            found.append(("prelude", answered, first if first is not None else last))
            if first is not None:
                found.append(("stream", first, last))
            if record.is_over and record.concluded is not None:
                found.append(("end", last, record.concluded))
    return [{"name": name, "from": milliseconds(start), "to": milliseconds(end)} for name, start, end in found]


def _report(report: dict[str, float]) -> dict[str, float | None] | None:
    if not report:
        return None
    names = {
        "durationMs": "durationMs",
        "billedMs": "billedDurationMs",
        "memoryMb": "memorySizeMB",
        "maxMemoryMb": "maxMemoryUsedMB",
        "initMs": "initDurationMs",
        "restoreMs": "restoreDurationMs",
    }
    return {name: report.get(key) for name, key in names.items()}


def cloudwatch_block(record: RequestRecord) -> str:
    """Return the lines that CloudWatch would show for the invocation: Lambda's own lines and the function's output."""
    output = [line.decode("utf-8", "replace") for _, _, line in record.output]
    return "\n".join([*record.log_lines[:1], *output, *record.log_lines[1:]])
