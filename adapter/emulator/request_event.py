"""A request at the function URL → the event that Lambda would make of it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson
from aiohttp import web

from adapter.payload.formats import FORMATS
from adapter.payload.headers import first
from adapter.payload.messages import Arrival, Request
from adapter.throttle import REQUEST_LIMIT

if TYPE_CHECKING:
    from adapter.payload.headers import Headers

_URL_FORMAT = FORMATS["http-api"]
# Set here, so that a client's own do not count.
_SET_HERE = frozenset({"x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id"})


class RefusedError(Exception):
    """A request that never becomes an invocation. ``str()`` is for the user of the emulator."""

    def __init__(self, status: int, body: str, why: str) -> None:
        super().__init__(why)
        self.status = status
        self.body = body


async def request_event(request: web.BaseRequest, request_id: str, trace_id: str) -> bytes:
    """The event as JSON.

    Raises RefusedError where the URL itself answers, and OSError or RequestPayloadError if the client breaks off.
    """
    headers = _headers(request)
    arrival = Arrival(
        request_id=request_id,
        time_ms=time.time_ns() // 1_000_000,
        source_ip=request.remote or "127.0.0.1",
        domain_name=urlsplit(f"//{first(headers, 'host')}").hostname or "localhost",
    )
    message = Request(
        method=request.method,
        target=_origin_form(request.raw_path),
        headers=[header for header in headers if header[0].lower() not in _SET_HERE]
        + _forwarded(request, arrival, trace_id),
        body=await _body(request),
    )
    event = _URL_FORMAT.encode_event(message, arrival)
    # It is the event that is limited: a binary body counts as base64, which leaves 4.5 MB for it. The rest of the event
    # is not counted here, so that a text body may have all of the 6 MB. [What AWS counts exactly is not documented.]
    if len(event.get("body", "")) > REQUEST_LIMIT:
        raise _too_large(f"the body has {len(event['body'])} bytes in the event, as base64")
    return orjson.dumps(event)


def _headers(request: web.BaseRequest) -> Headers:
    return [(_text(name), _text(value)) for name, value in request.raw_headers]


def _text(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def _origin_form(target: str) -> str:
    """The target as path and query."""
    if not target.startswith("/"):
        absolute = urlsplit(target)
        if absolute.scheme not in ("http", "https"):
            raise RefusedError(400, '{"Message":"Bad Request"}', f"{target!r} is not a path")
        target = "/" + target.partition("://")[2].partition("/")[2]
    return target


def _forwarded(request: web.BaseRequest, arrival: Arrival, trace_id: str) -> Headers:
    """What Lambda adds. It would say https and 443, but URLs that an app builds from these should work here."""
    _, port = request.transport.get_extra_info("sockname")[:2] if request.transport else ("", 0)
    return [
        ("x-forwarded-for", arrival.source_ip),
        ("x-forwarded-port", str(port)),
        ("x-forwarded-proto", "http"),
        ("x-amzn-trace-id", trace_id),
    ]


async def _body(request: web.BaseRequest) -> bytes:
    pieces = bytearray()
    async for piece in request.content.iter_any():
        pieces += piece
        if len(pieces) > REQUEST_LIMIT:
            raise _too_large("the body is larger")
    return bytes(pieces)


def _too_large(what: str) -> RefusedError:
    # The status is Lambda's (RequestTooLargeException); the URL's own words are not documented.
    why = f"Lambda takes {REQUEST_LIMIT} bytes, {what}"
    return RefusedError(413, '{"Message":"Request Entity Too Large"}', why)
