"""A request at a front door → the event that the function gets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from adapter.aws.limits import REQUEST_LIMIT
from adapter.emulator.front_doors.rest_resource import add_resource
from adapter.emulator.front_doors.rules import DoorRules, Reason
from adapter.payload.headers import first
from adapter.payload.messages import Arrival, Request
from adapter.payload.request_target import origin_form

if TYPE_CHECKING:
    from adapter.emulator.front_doors.settings import DoorSettings
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

# Set here, so that a client's own do not count.
_SET_HERE = frozenset({"x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id"})
# ": " and the end of the line, which a request's limit counts as well.
_FIELD_FRAMING = 4


class RefusedError(Exception):
    """A request that never becomes an invocation. ``str()`` is for the user of the emulator."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason


async def request_event(exchange: Exchange, door: DoorSettings, request_id: str, trace_id: str) -> bytes:
    """The event as JSON.

    Raises RefusedError where the front door itself answers, and BodyTruncatedError if the client breaks off.
    """
    rules = door.rules
    _check_head(exchange, rules)
    arrival = Arrival(
        request_id=request_id,
        time_ms=time.time_ns() // 1_000_000,
        source_ip=exchange.client or "127.0.0.1",
        domain_name=_domain(exchange),
        stage=door.stage,
        region=door.region,
    )
    message = Request(
        method=exchange.method,
        target=_path_and_query(exchange.target),
        headers=[header for header in exchange.headers if header[0].lower() not in _SET_HERE]
        + _forwarded(arrival, door.port, trace_id),
        body=await _body(exchange, rules.body_limit),
    )
    event = rules.codec.encode_event(message, arrival)
    if door.resource and not add_resource(event, message, door.resource):
        raise RefusedError(Reason.NO_RESOURCE, f"the resource {door.resource} does not cover this path")
    # It is the event that Lambda limits: a binary body counts as base64, which leaves 4.5 MB for it. The rest of the
    # event is not counted here, so that a text body may have all of the 6 MB. [What AWS counts exactly is unsure.]
    size = _size(event.get("body") or "")
    if size > REQUEST_LIMIT:
        raise RefusedError(
            Reason.EVENT_TOO_LARGE, f"Lambda takes {REQUEST_LIMIT} bytes, the body has {size} in the event"
        )
    return orjson.dumps(event)


def _size(text: str) -> int:
    """How many bytes a text has as UTF-8; most have one for each character."""
    return len(text) if text.isascii() else len(text.encode())


def _check_head(exchange: Exchange, rules: DoorRules) -> None:
    lines = [len(exchange.method) + len(exchange.target) + len("  HTTP/1.1\r\n")]
    lines += [len(name) + _size(value) + _FIELD_FRAMING for name, value in exchange.headers]
    size, longest = sum(lines), max(lines)
    if size > rules.head_limit:
        raise RefusedError(
            Reason.HEAD_TOO_LARGE, f"{rules.title} takes {rules.head_limit} bytes of headers, these are {size}"
        )
    if rules.line_limit is not None and longest > rules.line_limit:
        raise RefusedError(
            Reason.HEAD_TOO_LARGE,
            f"{rules.title} takes {rules.line_limit} bytes in the request line and in each header, one has {longest}",
        )
    if exchange.upgrade and rules.refuses_upgrades:
        raise RefusedError(Reason.BAD_REQUEST, f"{rules.title} refuses to upgrade to {exchange.upgrade!r}")


def _domain(exchange: Exchange) -> str:
    try:
        return urlsplit(f"//{first(exchange.headers, 'host')}").hostname or "localhost"
    except ValueError:
        return "localhost"


def _path_and_query(target: str) -> str:
    found = origin_form(target)
    if found is None:
        raise RefusedError(Reason.BAD_REQUEST, "the request target is neither a path nor an http URL")
    return found[0]


def _forwarded(arrival: Arrival, port: int, trace_id: str) -> Headers:
    """What AWS adds. It would say https and 443, but URLs that an app builds from these should work here."""
    return [
        ("x-forwarded-for", arrival.source_ip),
        ("x-forwarded-port", str(port)),
        ("x-forwarded-proto", "http"),
        ("x-amzn-trace-id", trace_id),
    ]


async def _body(exchange: Exchange, limit: int) -> bytes:
    pieces = bytearray()
    exchange.send_continue()
    while piece := await exchange.body.read():
        pieces += piece
        if len(pieces) > limit:
            raise RefusedError(Reason.BODY_TOO_LARGE, f"the limit is {limit} bytes, the body is larger")
    return bytes(pieces)
