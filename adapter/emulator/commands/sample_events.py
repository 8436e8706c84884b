"""``adapter event``: an event of every source. Those of front doors are made by the codecs that the front doors use."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from adapter.aws.identity import DEFAULT_REGION
from adapter.emulator.commands.sample_sources import SOURCES, Sample
from adapter.emulator.front_doors.rest_resource import add_resource
from adapter.emulator.front_doors.rules import DOORS
from adapter.errors import ConfigurationError
from adapter.payload.messages import Arrival, Request

#: Everything that an event can be made for.
KINDS = (*DOORS, *SOURCES)

_TIME_MS = 1_767_323_045_000
_REQUEST_ID = "11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions:
    """What the user may choose. ``body`` None is the source's own; ``name`` is a queue, topic, bucket, table …"""

    method: str = "GET"
    path: str = "/"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    name: str = ""
    stage: str = "prod"
    resource: str = "/{proxy+}"
    region: str = DEFAULT_REGION


def options_of(kind: str) -> frozenset[str]:
    """The fields of a EventOptions that an event of ``kind`` has a place for."""
    if kind in DOORS:
        own = {"stage", "resource"} if DOORS[kind].has_resources else set()
        return frozenset({"method", "path", "headers", "body"} | own)
    plain = SOURCES[kind](Sample())
    others = {"body": Sample(body="another"), "name": Sample(name="another")}
    return frozenset(option for option, sample in others.items() if SOURCES[kind](sample) != plain)


def make_event(kind: str, wish: EventOptions) -> dict[str, Any]:
    """The event of ``kind``, one of KINDS. Raises ConfigurationError for what such an event cannot have."""
    if kind in DOORS:
        return _http_event(kind, wish)
    try:
        body = (wish.body or b"hello").decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"--body: is not text, which an event of {kind} has; use UTF-8"]) from error
    return SOURCES[kind](Sample(body=body, name=wish.name, region=wish.region))


def _http_event(kind: str, wish: EventOptions) -> dict[str, Any]:
    rules = DOORS[kind]
    request = Request(
        method=wish.method.upper(), target=wish.path, headers=_completed(wish.headers), body=wish.body or b""
    )
    stage = wish.stage if rules.has_resources else "$default"
    arrival = Arrival(request_id=_REQUEST_ID, time_ms=_TIME_MS, stage=stage, region=wish.region)
    event = rules.codec.encode_event(request, arrival)
    if rules.has_resources and not add_resource(event, request, wish.resource):
        raise ConfigurationError([f"--path: {wish.path!r} is not covered by the resource {wish.resource}"])
    return event


def _completed(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """``headers``, with those that every client and front door add."""
    named = {name.lower() for name, _ in headers}
    added = [
        ("host", "localhost"),
        ("user-agent", "adapter"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
    ]
    return [*headers, *(header for header in added if header[0] not in named)]
