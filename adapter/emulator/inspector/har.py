"""Makes HTTP archives (HAR 1.2) of clients' requests and responses. Browsers and other viewers can open them."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import pybase64

from adapter import __version__
from adapter.emulator.inspector.detail import client_request
from adapter.emulator.inspector.summary import milliseconds
from adapter.payload.headers import first

if TYPE_CHECKING:
    from adapter.emulator.inspector.masking import Masker
    from adapter.emulator.records.record import RequestRecord

_REASONS = {status.value: status.phrase for status in HTTPStatus}
_HTTP = "HTTP/1.1"


def har(entries: list[tuple[RequestRecord, Masker, str]]) -> dict[str, Any]:
    """Return an archive of ``entries``: records, each with its masker and the URL of its front door."""
    return {
        "log": {
            "version": "1.2",
            "creator": {"name": "adapter", "version": __version__},
            "entries": [_entry(record, masker, url) for record, masker, url in entries if record.is_stored],
        }
    }


def _entry(record: RequestRecord, masker: Masker, url: str) -> dict[str, Any]:
    total = record.duration if record.is_over else record.now()
    first_byte = min(record.first_byte if record.first_byte is not None else total, total)
    began = datetime.fromtimestamp(record.began_at, UTC).isoformat(timespec="milliseconds")
    return {
        "startedDateTime": began,
        "time": milliseconds(total),
        "request": _request(record, masker, url),
        "response": _response(record, masker),
        "cache": {},
        "timings": {"send": 0, "wait": milliseconds(first_byte), "receive": milliseconds(total - first_byte)},
        "_requestId": record.request_id,
        "_error": record.error_type or None,
    }


def _request(record: RequestRecord, masker: Masker, url: str) -> dict[str, Any]:
    request = client_request(record)
    assert request is not None, "its data is stored"
    # An asynchronous attempt has no request of its own.
    target = masker.target(request.target) or "/"
    fields: dict[str, Any] = {
        "method": request.method or "POST",
        "url": url + target if target.startswith("/") else target,
        "httpVersion": _HTTP,
        "cookies": _cookies(masker, request.headers, "cookie"),
        "headers": _pairs(masker.headers(request.headers)),
        "queryString": _pairs([list(pair) for pair in parse_qsl(target.partition("?")[2], keep_blank_values=True)]),
        "headersSize": -1,
        "bodySize": len(request.body),
    }
    if request.body:
        body = masker.data(bytes(request.body))
        text, encoding = _text(body)
        fields["postData"] = {"mimeType": first(request.headers, "content-type"), "text": text}
        if encoding:
            fields["postData"]["comment"] = "the text is base64"
    return fields


def _response(record: RequestRecord, masker: Masker) -> dict[str, Any]:
    headers = record.response_headers
    text, encoding = _text(masker.data(bytes(record.body)))
    content: dict[str, Any] = {
        "size": record.body_size,
        "mimeType": first(headers, "content-type") or "x-unknown",
        "text": text,
    }
    if encoding:
        content["encoding"] = encoding
    if len(record.body) < record.body_size:
        content["comment"] = f"the first {len(record.body)} bytes"
    return {
        "status": record.status,
        "statusText": _REASONS.get(record.status, ""),
        "httpVersion": _HTTP,
        "cookies": _cookies(masker, headers, "set-cookie"),
        "headers": _pairs(masker.headers(headers)),
        "content": content,
        "redirectURL": masker.text(first(headers, "location")),
        "headersSize": -1,
        "bodySize": record.sent,
    }


def _pairs(pairs: list[list[str]]) -> list[dict[str, str]]:
    return [{"name": name, "value": value} for name, value in pairs]


def _cookies(masker: Masker, headers: list[tuple[str, str]], name: str) -> list[dict[str, str]]:
    found = []
    for key, value in masker.headers(headers):
        if key.lower() == name:
            parts = value.split(";") if name == "cookie" else value.split(";")[:1]
            found += [part.strip().partition("=") for part in parts]
    return [{"name": each[0], "value": each[2]} for each in found]


def _text(body: bytes) -> tuple[str, str]:
    """Return ``body`` as a string, and the string's encoding: ``base64``, or empty if the string is plain text."""
    try:
        return body.decode(), ""
    except UnicodeDecodeError:
        return pybase64.b64encode(body).decode("ascii"), "base64"
