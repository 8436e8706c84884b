"""A request at a front door → the event that the function gets."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from adapter.aws.limits import REQUEST_LIMIT
from adapter.emulator.front_doors.door_rules import DoorRules, Reason
from adapter.net.bounded_body import read_body
from adapter.payload.headers import first
from adapter.payload.messages import Arrival, Request
from adapter.payload.request_target import origin_form

if TYPE_CHECKING:
    from adapter.emulator.front_doors.door_settings import DoorSettings
    from adapter.emulator.requests.client_request import ClientRequest
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

# Headers that the front door sets; a client's own are ignored.
_SET_HERE = frozenset({"x-forwarded-for", "x-forwarded-port", "x-forwarded-proto", "x-amzn-trace-id"})
# ": " and the end of the line, which limits count as well.
_FIELD_FRAMING = 4


class RefusedError(Exception):
    """A request that the front door refuses. ``str()`` is for the user of the emulator, not for the client."""

    def __init__(self, reason: Reason, why: str) -> None:
        super().__init__(why)
        self.reason = reason


async def request_event(client: ClientRequest, door: DoorSettings) -> bytes:
    """Return the event for the request of ``client`` as JSON.

    Raises RefusedError if the front door refuses the request, and BodyTruncatedError if the client leaves before the
    body is complete.
    """
    exchange, rules = client.exchange, door.rules
    _check_head(exchange, rules)
    arrival = Arrival(
        request_id=client.request_id,
        time_ms=time.time_ns() // 1_000_000,
        source_ip=exchange.client or "127.0.0.1",
        domain_name=_domain(exchange),
        stage=door.stage,
        region=door.region,
    )
    target = origin_form(exchange.target)
    if target is None:
        raise RefusedError(Reason.BAD_REQUEST, "the request target is neither a path nor an http URL")
    headers = [header for header in exchange.headers if header[0].lower() not in _SET_HERE]
    headers += _forwarded(arrival, door.port, client.trace_id)
    body = await read_body(exchange, rules.body_limit)
    if body is None:
        raise RefusedError(Reason.BODY_TOO_LARGE, f"the limit is {rules.body_limit} bytes, the body is larger")
    message = Request(method=exchange.method, target=target[0], headers=headers, body=body)
    event = rules.codec.encode_event(message, arrival)
    if rules.add_resource is not None and not rules.add_resource(event, message, door.resource):
        raise RefusedError(Reason.NO_RESOURCE, f"the resource {door.resource} does not cover this path")
    # Lambda limits the event: a binary body counts as base64, which leaves 4.5 MB for it. The rest of the event is not
    # counted here, so that a text body may have all of the 6 MB. [What AWS counts exactly is unsure.]
    size = _utf8_size(event.get("body") or "")
    if size > REQUEST_LIMIT:
        raise RefusedError(
            Reason.EVENT_TOO_LARGE, f"Lambda takes {REQUEST_LIMIT} bytes, the body has {size} in the event"
        )
    return orjson.dumps(event)


def _utf8_size(text: str) -> int:
    """Return the length of ``text`` as UTF-8. Most texts are ASCII, and need no encoding for that."""
    return len(text) if text.isascii() else len(text.encode())


def _check_head(exchange: Exchange, rules: DoorRules) -> None:
    """Raise RefusedError if the front door does not accept the head of the request."""
    lines = [len(exchange.method) + len(exchange.target) + len("  HTTP/1.1\r\n")]
    lines += [len(name) + _utf8_size(value) + _FIELD_FRAMING for name, value in exchange.headers]
    size, longest = sum(lines), max(lines)
    if size > rules.head_limit:
        raise RefusedError(
            Reason.HEAD_TOO_LARGE, f"{rules.title} takes {rules.head_limit} bytes of headers, the request has {size}"
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


def _forwarded(arrival: Arrival, port: int, trace_id: str) -> Headers:
    """Return the headers that AWS adds.

    AWS sends https and 443; here the local values are sent, so that URLs that the app builds from them work.
    """
    return [
        ("x-forwarded-for", arrival.source_ip),
        ("x-forwarded-port", str(port)),
        ("x-forwarded-proto", "http"),
        ("x-amzn-trace-id", trace_id),
    ]
