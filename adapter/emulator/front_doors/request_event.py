"""Turns a request that a front door received into the event for the function, or refuses the request."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import orjson

from adapter.aws.limits import REQUEST_LIMIT
from adapter.emulator.access.key_pair import add_iam
from adapter.emulator.front_doors.door_rules import JSON, DoorRules, Reason
from adapter.errors import RefusedRequest
from adapter.payload.headers import MAX_FIELDS, first
from adapter.payload.messages import Arrival, Request
from adapter.payload.request_target import origin_form

if TYPE_CHECKING:
    from adapter.emulator.access.key_pair import KeyPair
    from adapter.emulator.front_doors.door_settings import DoorSettings
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

_FORWARDED_FOR = "x-forwarded-for"
# The service name in the signature of a request to a function URL (Lambda, "Control access to function URLs").
_SIGNED_SERVICE = "lambda"
# The bytes of a header's ": " and line end. They count towards the limits.
_FIELD_FRAMING = 4


class RefusedError(Exception):
    """A request that the front door refuses. The message is shown in the terminal and not sent to the client.

    ``response`` is the response to a request whose signature is missing or wrong. For any other request,
    ``response`` is None, and the front door sends its error response for ``reason``.
    """

    def __init__(self, reason: Reason, why: str, response: tuple[int, Headers, bytes] | None = None) -> None:
        super().__init__(why)
        self.reason = reason
        self.response = response


async def request_event(exchange: Exchange, door: DoorSettings, *, request_id: str, trace_id: str) -> bytes:
    """Read the request in ``exchange`` and return its event as JSON.

    Raises RefusedError if the front door refuses the request, and BodyTruncatedError if the client disconnects before
    the body is complete.
    """
    rules = door.rules
    _check_head(exchange, rules)
    arrival = Arrival(
        request_id=request_id,
        time_ms=time.time_ns() // 1_000_000,
        source_ip=exchange.client or "127.0.0.1",
        domain_name=door.domain or _domain(exchange),
        stage=door.stage,
        region=door.region,
    )
    target = origin_form(exchange.target)
    if target is None:
        raise RefusedError(Reason.BAD_REQUEST, "the request target is neither a path nor an http URL")
    headers = [_as_seen(header, door) for header in exchange.headers if header[0].lower() not in rules.forwarded]
    headers += _forwarded(exchange.headers, door, arrival, trace_id)
    body = await exchange.read_body(rules.body_limit)
    if body is None:
        raise RefusedError(Reason.BODY_TOO_LARGE, f"the body exceeds the limit of {rules.body_limit} bytes")
    message = Request(method=exchange.method, target=target[0], headers=headers, body=body)
    if door.key is not None and door.checks_signatures:
        _check_signature(exchange, target[0], body, door, door.key, arrival.time_ms / 1000)
    try:
        event = rules.codec.encode_event(message, arrival)
    except RefusedRequest as error:
        raise RefusedError(Reason.BAD_REQUEST, str(error)) from error
    if door.key is not None:
        add_iam(event, door.key, arrival)
    if door.authorizer is not None:
        event["requestContext"]["authorizer"] = door.authorizer
    if rules.add_resource is not None and not rules.add_resource(event, door.resource):
        raise RefusedError(Reason.NO_RESOURCE, f"the resource {door.resource} does not match this path")
    # Lambda's limit applies to the event, which contains a binary body as base64, so a binary body can have 4.5 MB. The
    # other fields of the event are not counted here, so a text body can have 6 MB [unsure: what AWS counts].
    size = _utf8_size(event.get("body") or "")
    if size > REQUEST_LIMIT:
        raise RefusedError(
            Reason.EVENT_TOO_LARGE,
            f"Lambda accepts events of at most {REQUEST_LIMIT} bytes; in this event, the body alone has {size} bytes",
        )
    return orjson.dumps(event)


def _as_seen(header: tuple[str, str], door: DoorSettings) -> tuple[str, str]:
    """Return ``header`` as the app receives it: if the front door has a domain, Host contains this domain."""
    return (header[0], door.domain) if door.domain is not None and header[0].lower() == "host" else header


def _check_signature(
    exchange: Exchange, target: str, body: bytes, door: DoorSettings, key: KeyPair, now: float
) -> None:
    """Raise RefusedError unless the client has signed the request with ``key``. ``now`` is the Unix time in seconds."""
    # Imported here because it loads OpenSSL, which only --auth aws-iam needs.
    from adapter.emulator.access.signature import RefusedSignatureError, Scope, verify

    request = Request(method=exchange.method, target=target, headers=exchange.headers, body=body)
    try:
        verify(request, key, Scope(region=door.region, service=_SIGNED_SERVICE), now)
    except RefusedSignatureError as error:
        headers = [JSON, ("x-amzn-ErrorType", error.error_type)]
        response = (403, headers, orjson.dumps({error.key: str(error)}))
        # AWS's text may quote the client's headers, which must not be logged.
        reason = f"{error.error_type}; the response contains the reason"
        raise RefusedError(Reason.BAD_REQUEST, reason, response) from error


def _utf8_size(text: str) -> int:
    """Return the length of ``text`` in bytes of UTF-8."""
    # Most texts are ASCII, so encoding them would be a waste.
    return len(text) if text.isascii() else len(text.encode())


def _check_head(exchange: Exchange, rules: DoorRules) -> None:
    """Raise RefusedError if the front door does not accept the head of the request."""
    lines = [len(exchange.method) + len(exchange.target) + len("  HTTP/1.1\r\n")]
    lines += [len(name) + _utf8_size(value) + _FIELD_FRAMING for name, value in exchange.headers]
    size, longest = sum(lines), max(lines)
    if size > rules.head_limit:
        raise RefusedError(
            Reason.HEAD_TOO_LARGE,
            f"{rules.title} accepts at most {rules.head_limit} bytes for the request line and all headers together; "
            f"this request has {size} bytes",
        )
    if rules.line_limit is not None and longest > rules.line_limit:
        raise RefusedError(
            Reason.HEAD_TOO_LARGE,
            f"{rules.title} accepts at most {rules.line_limit} bytes for the request line and for each header; "
            f"the longest of them has {longest} bytes",
        )
    parameters = exchange.target.partition("?")[2].count("&") + 1
    cookies = sum(value.count(";") + 1 for name, value in exchange.headers if name.lower() == "cookie")
    for count, what in ((parameters, "query parameters"), (cookies, "cookies")):
        if count > MAX_FIELDS:
            # Each parameter or cookie adds an entry to up to three maps of the event.
            raise RefusedError(Reason.HEAD_TOO_LARGE, f"the limit is {MAX_FIELDS} {what}; the request has {count}")
    if exchange.upgrade and rules.refuses_upgrades:
        raise RefusedError(Reason.BAD_REQUEST, f"{rules.title} refuses to upgrade the connection")


def _domain(exchange: Exchange) -> str:
    try:
        return urlsplit(f"//{first(exchange.headers, 'host')}").hostname or "localhost"
    except ValueError:
        return "localhost"


def _forwarded(received: Headers, door: DoorSettings, arrival: Arrival, trace_id: str) -> Headers:
    """Return the headers that ``door`` adds to a request that arrived with the headers ``received``.

    AWS sends the protocol https and the port 443. Here the headers contain http and the local port, so that the app can
    build working URLs from them.
    """
    hops = [value for name, value in received if name.lower() == _FORWARDED_FOR and door.rules.extends_forwarded_for]
    headers = [
        (_FORWARDED_FOR, ", ".join([*hops, arrival.source_ip])),
        ("x-forwarded-port", str(door.port)),
        ("x-forwarded-proto", "http"),
        ("x-amzn-trace-id", trace_id),
    ]
    return [header for header in headers if header[0] in door.rules.forwarded]
