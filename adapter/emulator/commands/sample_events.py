"""The events of ``adapter event``: one of every source. Those of front doors are made by the front doors' codecs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from adapter.aws.identity import DEFAULT_REGION
from adapter.emulator.commands.sample_sources import SOURCES, source_event
from adapter.emulator.front_doors.registry import DOORS
from adapter.errors import ConfigurationError
from adapter.payload.messages import Arrival, Request

#: The sources of events.
KINDS = (*DOORS, *SOURCES)

_TIME_MS = 1_767_323_045_000
_REQUEST_ID = "11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions:
    """The options of an event. ``body`` None is the source's default; ``name`` is a queue, topic, bucket or table."""

    method: str = "GET"
    path: str = "/"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    name: str = ""
    stage: str = "prod"
    resource: str = "/{proxy+}"
    region: str = DEFAULT_REGION


def options_of(kind: str) -> frozenset[str]:
    """Return the fields of EventOptions that an event of ``kind`` uses."""
    if kind in DOORS:
        resource_options = {"stage", "resource"} if DOORS[kind].add_resource else set()
        return frozenset({"method", "path", "headers", "body"} | resource_options)
    default = source_event(kind)
    return frozenset(option for option in ("body", "name") if source_event(kind, **{option: "another"}) != default)


def make_event(kind: str, options: EventOptions) -> dict[str, Any]:
    """Return the event of ``kind``, one of KINDS. Raises ConfigurationError for options that it cannot have."""
    if kind in DOORS:
        return _http_event(kind, options)
    try:
        body = (options.body or b"hello").decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"--body: is not UTF-8, which an event of {kind} needs"]) from error
    return source_event(kind, body=body, name=options.name, region=options.region)


def _http_event(kind: str, options: EventOptions) -> dict[str, Any]:
    rules = DOORS[kind]
    request = Request(
        method=options.method.upper(),
        target=options.path,
        headers=_completed(options.headers),
        body=options.body or b"",
    )
    stage = options.stage if rules.add_resource else "$default"
    arrival = Arrival(request_id=_REQUEST_ID, time_ms=_TIME_MS, stage=stage, region=options.region)
    event = rules.codec.encode_event(request, arrival)
    if rules.add_resource and not rules.add_resource(event, request, options.resource):
        raise ConfigurationError([f"--path: {options.path!r} is not covered by the resource {options.resource}"])
    return event


def _completed(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return ``headers`` with those that every client and every front door adds."""
    named = {name.lower() for name, _ in headers}
    added = [
        ("host", "localhost"),
        ("user-agent", "adapter"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
    ]
    return [*headers, *(header for header in added if header[0] not in named)]
