"""Computes whether a recorded invocation would work behind another front door, without invoking the function.

The request passes through the other front door's own code (``request_event``). The response is encoded as the runtime
would encode it, and decoded as the other front door would decode it. The times are computed without the pauses that the
bandwidth cap caused in the recorded stream, but with the bandwidth cap of the other front door.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.emulator.environment.result import RESPONSE_TOO_LARGE
from adapter.emulator.front_doors.front_door import GATEWAY_TIMEOUT
from adapter.emulator.front_doors.registry import DOORS
from adapter.emulator.front_doors.request_event import RefusedError, request_event
from adapter.emulator.inspector.detail import client_request
from adapter.emulator.inspector.in_process import exchange_for
from adapter.emulator.inspector.summary import milliseconds
from adapter.errors import InvalidFunctionResponse
from adapter.net.token_bucket import TokenBucket
from adapter.payload.body import BodyRules
from adapter.payload.function_response import encode_prelude
from adapter.quantities import size_text

if TYPE_CHECKING:
    from adapter.aws.limits import Bandwidth
    from adapter.emulator.front_doors.door_settings import DoorSettings, UrlSettings
    from adapter.emulator.records.record import RequestRecord
    from adapter.emulator.terminal.prices import PriceTable
    from adapter.payload.messages import Request, ResponseHead

# The front doors of the table, each with its mode.
_ROWS = (
    ("function-url", True),
    ("function-url", False),
    ("rest-api", True),
    ("rest-api", False),
    ("http-api", False),
    ("alb", False),
    ("lattice", False),
)
# After these errors, the app's response is not known, because the front door did not wait for it or refused it.
_UNKNOWN_RESPONSE = (RESPONSE_TOO_LARGE, GATEWAY_TIMEOUT)


class Verdicts:
    """Computes the verdicts of records. ``settings`` has the options that change the limits of front doors."""

    def __init__(self, settings: UrlSettings, prices: PriceTable) -> None:
        config = settings.config
        self._settings = settings
        self._prices = prices
        self._body_rules = BodyRules(
            binary_types=config.binary_types, text_types=config.text_types, all_cookies=config.alb_cookies == "all"
        )

    async def of(self, record: RequestRecord) -> list[dict[str, Any]]:
        """Return a verdict for each front door and mode.

        The list is empty if the client called an Invoke API, if the request is still in progress, if the request's data
        was dropped, or if the emulator itself answered. In a verdict, ``fits`` is True, False, or None if unknown.
        """
        request = client_request(record)
        if not record.door or request is None or not record.is_over or record.answered_by:
            return []
        return [await self._verdict(record, request, name, streaming=streaming) for name, streaming in _ROWS]

    async def _verdict(self, record: RequestRecord, request: Request, name: str, *, streaming: bool) -> dict[str, Any]:
        rules = DOORS[name]
        door = replace(self._settings.door(rules, 0), streaming=streaming, key=None, cors=None)
        breaks = await _request_problems(request, door)
        unknown: list[str] = []
        if not breaks:
            problems = self._stream_problems if streaming else self._buffered_problems
            breaks, unknown = problems(record, door)
        whole = _time_of_whole(record)
        first_byte = (record.first_byte if record.mode == "streaming" else None) if streaming else whole
        total = _paced_total(record, door.bandwidth) if streaming else whole
        return {
            "door": name,
            "title": rules.title,
            "mode": "streaming" if streaming else "buffered",
            "fits": False if breaks else None if unknown else True,
            "breaks": breaks or unknown,
            "notes": [] if streaming or self._body_rules.all_cookies else _cookie_notes(record, door),
            "firstByteMs": milliseconds(first_byte),
            "totalMs": milliseconds(total),
            "cost": None if breaks or total is None else self._cost(record, total, whole, streaming=streaming),
        }

    def _buffered_problems(self, record: RequestRecord, door: DoorSettings) -> tuple[list[str], list[str]]:
        """Return two lists of reasons: why a buffered response would fail, and why it is unknown whether it would."""
        known, unknown = _response_problems(record)
        if known or unknown:
            return known, unknown
        assert record.head is not None, "there is a response"
        rules, breaks = door.rules, []
        whole = _time_of_whole(record)
        if rules.response_timeout is not None and whole is not None and whole > rules.response_timeout:
            breaks.append(
                f"the response takes {whole:.1f} s, but {rules.title} waits only {rules.response_timeout:g} s"
            )
        limit = min(rules.response_limit, BUFFERED_RESPONSE_LIMIT)
        if (body := _app_body(record)) is not None:
            payload = b"".join(rules.codec.encode_response(record.head, body, self._body_rules))
            size = len(payload)
        else:
            # The encoded body is never smaller than the body.
            payload, size = b"", record.curve.arrived
        if size > limit:
            text = f"the payload with the response has {size_text(size)} ({size} bytes)"
            breaks.append(f"{text}, but {rules.title} allows only {size_text(limit)} ({limit} bytes)")
        elif not payload:
            unknown = ["the body was not recorded to its end, so its encoded size is not known"]
        else:
            try:
                rules.codec.decode_response(payload)
            except InvalidFunctionResponse as error:
                breaks.append(str(error))
        return breaks, unknown

    def _stream_problems(self, record: RequestRecord, door: DoorSettings) -> tuple[list[str], list[str]]:
        """Return two lists of reasons: why a streamed response would fail, and why it is unknown whether it would."""
        known, unknown = _response_problems(record)
        if known or unknown:
            return known, unknown
        assert record.head is not None, "there is a response"
        breaks = []
        prelude, limit = len(encode_prelude(record.head)), door.rules.prelude_limit
        if prelude > limit:
            breaks.append(f"the prelude has {prelude} bytes, but {door.rules.title} allows only {limit} bytes")
        if door.stream_limit is not None and _body_size(record) > door.stream_limit:
            breaks.append(
                f"the body has {size_text(_body_size(record))}, but the limit of a stream is "
                f"{size_text(door.stream_limit)}"
            )
        if door.idle_timeout is not None and record.longest_pause > door.idle_timeout:
            breaks.append(
                f"the app sent nothing for {record.longest_pause:.0f} s, but {door.rules.title} ends a stream after "
                f"{door.idle_timeout:g} s without data"
            )
        return breaks, unknown

    def _cost(self, record: RequestRecord, total: float, whole: float | None, *, streaming: bool) -> float | None:
        """Return the cost of one invocation in the given mode, or None if a price or the duration is unknown.

        A streamed invocation lasts until its last byte is sent (``total``). A buffered invocation lasts until its
        response is complete (``whole``).
        """
        report = record.report
        if not report or whole is None:
            return None
        duration = report["durationMs"] - record.held * 1000 + (total - whole) * 1000
        init = report["billedDurationMs"] - math.ceil(report["durationMs"])
        return self._prices.invocation_cost(
            self._settings.config.region,
            billed_ms=math.ceil(round(max(duration, 0.0), 3)) + max(init, 0.0),
            memory_mb=report["memorySizeMB"],
            streamed=_body_size(record) if streaming else 0,
        ).total


async def _request_problems(request: Request, door: DoorSettings) -> list[str]:
    """Return a list with the reason why ``door`` would refuse ``request``, or an empty list."""
    try:
        await request_event(exchange_for(request), door, request_id="", trace_id="")
    except RefusedError as refusal:
        return [f"the request is refused: {refusal}"]
    return []


def _response_problems(record: RequestRecord) -> tuple[list[str], list[str]]:
    """Return two lists: reasons why the response fails at every front door, and reasons why this is unknown."""
    error = record.error_type
    if record.head is None or error:
        if error in _UNKNOWN_RESPONSE:
            return [], [f"the app's whole response is not known: {error}"]
        if error:
            return [f"the function failed: {error}"], []
        return [], ["the response was not recorded"]
    if record.head.status < 200:
        return [f"statusCode is {record.head.status}, which is not the status of a final response"], []
    return [], []


def _app_body(record: RequestRecord) -> bytes | bytearray | None:
    """Return the app's body, or a body with the same encoded size. Return None if this size is not known."""
    arrived = record.curve.arrived
    if record.decoded and arrived <= BUFFERED_RESPONSE_LIMIT:
        # The front door has decoded this body. The runtime sends every body that has a Content-Encoding as base64.
        return bytes(arrived)
    return record.body if not record.decoded and len(record.body) == arrived else None


def _body_size(record: RequestRecord) -> int:
    return max(record.body_size, record.streamed)


def _cookie_notes(record: RequestRecord, door: DoorSettings) -> list[str]:
    """Return a note if only the last of the response's cookies would be sent through the front door, else no note."""
    head: ResponseHead | None = record.head
    if head is None or not door.rules.codec.sends_one_cookie:
        return []
    cookies = sum(name.lower() == "set-cookie" for name, _ in head.headers)
    text = f"only the last of {cookies} cookies is sent; ADAPTER_ALB_COOKIES=all sends all of them"
    return [text] if cookies > 1 else []


def _arrivals(record: RequestRecord) -> list[tuple[float, int]]:
    """Return pairs of a time and the total number of bytes that the app had sent at that time.

    The pauses that the bandwidth cap caused are removed from the times.
    """
    found = []
    held, pauses = 0.0, iter(record.pauses)
    pause = next(pauses, None)
    for at, arrived, _ in record.curve:
        while pause is not None and pause[1] <= at:
            held += pause[1] - pause[0]
            pause = next(pauses, None)
        found.append((at - held, arrived))
    return found


def _time_of_whole(record: RequestRecord) -> float | None:
    """Return the time at which the whole response would have arrived without a bandwidth cap.

    Return None if there is no response.
    """
    arrivals = _arrivals(record)
    return next((at for at, arrived in arrivals if arrived == record.curve.arrived), None)


def _paced_total(record: RequestRecord, bandwidth: Bandwidth | None) -> float | None:
    """Return the time at which the last byte would have passed the bandwidth cap ``bandwidth``.

    Return None if there is no response.
    """
    whole = _time_of_whole(record)
    if whole is None or bandwidth is None:
        return whole
    bucket = TokenBucket(bandwidth)
    now, before = 0.0, 0
    for at, arrived in _arrivals(record):
        now, wanted, before = max(now, at), arrived - before, arrived
        while wanted > 0:
            granted = bucket.take(wanted, now)
            wanted -= granted
            if wanted > 0:
                now = bucket.next_refill()
    return max(now, whole)
