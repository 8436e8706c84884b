"""Parses an extension's request to subscribe to telemetry or logs. No I/O.

The rules are from AWS's "Telemetry API reference" and "Logs API reference". The two pages disagree on the defaults and
bounds of buffering. This module uses those of the Logs API page, as the official emulator's schema does.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

import orjson

TYPES = ("platform", "function", "extension")
# The host names of the environment. In the emulator they mean the loopback address.
SANDBOX_HOSTS = frozenset({"sandbox", "sandbox.localdomain"})
# The port that Lambda itself uses in the environment (AWS, "Destination protocols").
RESERVED_PORT = 9001
# name → (default, minimum, maximum), in milliseconds, bytes and records.
_BUFFERING = {
    "timeoutMs": (1000, 25, 30_000),
    "maxBytes": (262_144, 262_144, 1_048_576),
    "maxItems": (10_000, 1000, 10_000),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Api:
    """The Telemetry API or the Logs API.

    ``only`` are the types of the platform records that the API delivers. If ``only`` is None, the API delivers all
    platform records except the types in ``without``.
    """

    name: str
    versions: tuple[str, ...]
    default_version: str
    validation_error: str
    closed_error: str
    only: frozenset[str] | None
    without: frozenset[str] = frozenset()


_LOG_RECORDS = frozenset(
    f"platform.{name}" for name in ("start", "end", "report", "fault", "extension", "logsSubscription", "logsDropped")
)
TELEMETRY = Api(
    name="telemetry",
    versions=("2022-07-01", "2022-12-13", "2025-01-29"),
    default_version="",
    validation_error="ValidationError",
    closed_error="Telemetry.SubscriptionClosed",
    only=None,
    without=frozenset({"platform.end", "platform.fault", "platform.logsSubscription"}),
)
# Managed Instances have no Logs API, and the Telemetry API accepts one schema only (Lambda, "Telemetry API reference").
MANAGED_INSTANCES_TELEMETRY = replace(TELEMETRY, versions=("2025-01-29",))
LOGS = Api(
    name="logs",
    versions=("2020-08-15", "2021-03-18"),
    default_version="2020-08-15",
    validation_error="Logs.ValidationError",
    closed_error="Logs.SubscriptionClosed",
    only=_LOG_RECORDS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """One extension's subscription. TCP does not use ``path``. ``timeout`` is in seconds, ``max_bytes`` in bytes."""

    api: Api
    version: str
    types: tuple[str, ...]
    protocol: str
    port: int
    path: str
    method: str
    timeout: float
    max_bytes: int
    max_items: int

    def wants(self, type_: str, category: str) -> bool:
        """Return whether the subscriber receives records of ``type_`` and ``category``."""
        if category not in self.types:
            return False
        if category != "platform":
            return True
        if type_ == "platform.runtimeDone" and self.api is LOGS:
            return self.version == "2021-03-18"
        return type_ not in self.api.without if self.api.only is None else type_ in self.api.only


def parse_subscription(api: Api, body: bytes) -> Subscription:
    """Return the subscription that ``body`` requests. Raises ValueError with all mistakes if ``body`` is not valid."""
    try:
        request = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise ValueError(f"the body is not JSON: {error}") from None
    if not isinstance(request, dict):
        raise ValueError("the body is not a JSON object")
    mistakes = [*_mistakes(api, request)]
    if mistakes:
        raise ValueError("; ".join(mistakes))
    destination = request["destination"]
    # A URI is ignored if the protocol is TCP, because only a URI for HTTP has been checked.
    url = urlsplit("" if destination["protocol"] == "TCP" else destination["URI"])
    buffering = {name: rule[0] for name, rule in _BUFFERING.items()} | (request.get("buffering") or {})
    return Subscription(
        api=api,
        version=request.get("schemaVersion") or api.default_version,
        types=tuple(request["types"]),
        protocol=destination["protocol"],
        port=destination["port"] if destination["protocol"] == "TCP" else (url.port or 0),
        path=(url.path or "/") + (f"?{url.query}" if url.query else ""),
        method=destination.get("method", "POST"),
        timeout=buffering["timeoutMs"] / 1000,
        max_bytes=buffering["maxBytes"],
        max_items=buffering["maxItems"],
    )


def _mistakes(api: Api, request: dict[str, Any]) -> Iterator[str]:
    version = request.get("schemaVersion", api.default_version)
    if version not in api.versions:
        yield f"schemaVersion should be one of {', '.join(api.versions)}"
    types = request.get("types")
    if not isinstance(types, list) or not types:
        yield "types should not be empty"
    elif unknown := [each for each in types if each not in TYPES]:
        yield f"types should be among {', '.join(TYPES)}, not {unknown}"
    destination = request.get("destination")
    if isinstance(destination, dict):
        yield from _destination_mistakes(destination)
    else:
        yield "destination should be an object"
    buffering = request.get("buffering")
    if buffering is not None and not isinstance(buffering, dict):
        yield "buffering should be an object"
    for name, (_, least, most) in _BUFFERING.items():
        value = (buffering or {}).get(name, least) if isinstance(buffering, dict) else least
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            yield f"buffering.{name} should be from {least} to {most}"


def _destination_mistakes(destination: dict[str, Any]) -> Iterator[str]:
    protocol = destination.get("protocol")
    if protocol == "TCP":
        port = destination.get("port")
        if not isinstance(port, int) or isinstance(port, bool) or not 1 <= port <= 65535:
            yield "destination.port should be from 1 to 65535"
    elif protocol == "HTTP":
        port = yield from _uri_mistakes(destination.get("URI"))
        if destination.get("method", "POST") not in ("POST", "PUT"):
            yield "destination.method should be POST or PUT"
    else:
        yield "destination.protocol should be HTTP or TCP"
        return
    if port == RESERVED_PORT:
        yield f"port {RESERVED_PORT} is reserved by Lambda"


def _uri_mistakes(uri: object) -> Generator[str, None, int | None]:
    """Yield the mistakes in a destination's URI. Return the URI's port, or None if it has none."""
    try:
        url = urlsplit(uri if isinstance(uri, str) else "")
        port = url.port
    except ValueError as error:
        yield f"URI is not valid: {error}"
        return None
    if url.scheme != "http" or url.hostname not in SANDBOX_HOSTS:
        yield "URI should begin with http://sandbox.localdomain"
    elif not port:
        yield "URI port is not provided"
    return port
