"""The events that the fake Runtime API sends, and the expected answers.

One answer of each candidate is compared with the app's response, byte by byte, so that only correct work is measured.
"""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

from compare.texts import written

# The size of the pattern that the fake app repeats (bench/c/fake_app.c), in bytes.
_PATTERN_SIZE = 1 << 20
_LINE = b'{"id": 1234567, "name": "plain text, as most of it is", "ok": 1}\n'
_HEADERS = {
    "accept": "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    "accept-encoding": "identity",
    "accept-language": "en-GB,en;q=0.5",
    "content-type": "text/plain",
    "host": "abcdefghijklmnop.lambda-url.us-east-1.on.aws",
    "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
    "x-amzn-trace-id": "Root=1-5bef4de7-ad49b0e87f6ef6c87fc2e700",
    "x-forwarded-for": "192.0.2.17",
    "x-forwarded-port": "443",
    "x-forwarded-proto": "https",
}
# The NUL bytes at the end of the metadata prelude of a streamed response.
_PRELUDE_END = bytes(8)


def text(size: int) -> bytes:
    """Return the app's body for /text/SIZE."""
    return _repeated(_repeated(_LINE, _PATTERN_SIZE), size)


def binary(size: int) -> bytes:
    """Return the app's body for /binary/SIZE."""
    return _repeated(_repeated(bytes(range(251)), _PATTERN_SIZE), size)


def _repeated(pattern: bytes, size: int) -> bytes:
    return (pattern * (size // len(pattern) + 1))[:size]


def function_url_event(
    path: str, *, body: bytes = b"", is_text: bool = True, more_headers: int = 0, style: str = "compact"
) -> bytes:
    """Return an event of a function URL: a GET of ``path``, or a POST of ``body``, in ``style`` (``texts.py``)."""
    headers = _HEADERS | {f"x-header-number-{n:03}": "a value of some length" for n in range(more_headers)}
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "name=value",
        "headers": headers,
        "queryStringParameters": {"name": "value"},
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abcdefghijklmnop",
            "domainName": headers["host"],
            "domainPrefix": "abcdefghijklmnop",
            "http": {
                "method": "POST" if body else "GET",
                "path": path,
                "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.17",
                "userAgent": headers["user-agent"],
            },
            "requestId": "8476a536-e9f4-11e8-9739-2dfe598c3fcd",
            "routeKey": "$default",
            "stage": "$default",
            "time": "01/Jan/2026:00:00:00 +0000",
            "timeEpoch": 1767225600000,
        },
    }
    if body:
        event["body"] = body.decode() if is_text else base64.b64encode(body).decode()
    # The last key, as in the events of a front door.
    event["isBase64Encoded"] = not is_text
    return written(event, style)


@dataclass(frozen=True, kw_only=True)
class Expected:
    """The expected answer: the app's whole ``body``, after a request with a body of ``received`` bytes."""

    body: bytes
    received: int = 0

    def check(self, answer: bytes, *, streamed: bool) -> None:
        """Raise RuntimeError unless ``answer`` is the expected one."""
        try:
            head, body = _from_stream(answer) if streamed else _from_payload(answer)
        except (ValueError, KeyError) as error:
            raise RuntimeError(f"its answer was {answer[:200].decode(errors='replace')}") from error
        headers = {name.lower(): value for name, value in head["headers"].items()}
        if head["statusCode"] != 200 or (self.received and headers.get("x-received") != str(self.received)):
            raise RuntimeError(f"the wrong head: {head}")
        if body != self.body:
            raise RuntimeError(f"the wrong body: {len(body)} bytes, {body[:60]!r}")


def _from_stream(answer: bytes) -> tuple[dict[str, Any], bytes]:
    prelude, _, body = answer.partition(_PRELUDE_END)
    return json.loads(prelude), body


def _from_payload(answer: bytes) -> tuple[dict[str, Any], bytes]:
    payload = json.loads(answer)
    body = payload["body"]
    return payload, base64.b64decode(body) if payload.get("isBase64Encoded") else body.encode()
