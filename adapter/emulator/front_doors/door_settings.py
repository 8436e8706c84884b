"""The options for the function's URLs and its front doors, with Lambda's own values as defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter.aws.identity import DEFAULT_REGION
from adapter.aws.limits import STREAM_LIMIT
from adapter.config.parsers import NO_LIMIT
from adapter.emulator.front_doors.registry import DOORS

if TYPE_CHECKING:
    from adapter.aws.limits import Bandwidth
    from adapter.config.load import Config
    from adapter.emulator.front_doors.door_rules import DoorRules


@dataclass(slots=True, kw_only=True)
class DoorSettings:
    """One front door. ``port`` is the port to listen on, 0 for any free one; once it listens, the port it got.

    ``streaming`` is True if it invokes the function for a streamed response. ``idle_timeout`` is how long, in seconds,
    such a response may pause. ``resource`` is that of a REST API. ``region`` is part of the ARNs in events.
    """

    rules: DoorRules
    port: int
    streaming: bool
    bandwidth: Bandwidth | None
    stream_limit: int | None
    idle_timeout: float | None
    # That of a function URL, and of an HTTP API without stages.
    stage: str = "$default"
    resource: str = ""
    region: str = DEFAULT_REGION


class UrlSettings:
    """``invoke_mode`` is the function's, ``url_invoke_mode`` that of front doors that can stream.

    ``stream_limit`` is in bytes, None is no limit. ``doors`` are in the order of the option.
    """

    def __init__(self, config: Config) -> None:
        self.host = config.dev_host
        self.port = config.dev_port
        self.config = config
        self.bandwidth: Bandwidth | None = config.bandwidth
        chosen = config.front_doors or (("function-url", None),)
        # A function whose front doors cannot stream is deployed as a buffered one.
        default_mode = "response_stream" if any(DOORS[name].streams for name, _ in chosen) else "buffered"
        self.invoke_mode = config.invoke_mode or default_mode
        self.url_invoke_mode = config.url_invoke_mode or self.invoke_mode
        # The proxy has the same option, without a limit by default; the emulator's default is Lambda's limit.
        limit = STREAM_LIMIT if config.stream_limit is None else config.stream_limit
        self.stream_limit = None if limit == NO_LIMIT else limit
        # Next to the front door's, so that a second adapter dev on another port finds both free.
        self.invoke_port = config.invoke_port if config.invoke_port is not None else self.port and self.port % 65535 + 1
        ports = _assign_ports([port for _, port in chosen], self.port, self.invoke_port)
        self.doors = [self._door(DOORS[name], port) for (name, _), port in zip(chosen, ports, strict=True)]

    def _door(self, rules: DoorRules, port: int) -> DoorSettings:
        config = self.config
        is_default = config.sources["bandwidth"] == "default"
        door = DoorSettings(
            rules=rules,
            port=port,
            streaming=rules.streams and self.url_invoke_mode == "response_stream",
            bandwidth=rules.bandwidth if is_default and rules.bandwidth is not None else self.bandwidth,
            stream_limit=self.stream_limit,
            idle_timeout=None,
            region=config.region,
        )
        if rules.add_resource is not None:
            door.stage, door.resource, door.idle_timeout = config.stage, config.resource, config.rest_idle_timeout
        return door


def _assign_ports(requested: list[int | None], lowest: int, invoke_port: int) -> list[int]:
    """Return a port for each front door: the requested one, or the next free number from ``lowest`` on; 0 is any."""
    taken = {port for port in requested if port is not None} | {invoke_port}
    ports = []
    candidate = lowest
    for port in requested:
        if port is None and lowest:
            while candidate in taken:
                candidate = candidate % 65535 + 1
            port = candidate
            taken.add(port)
        ports.append(port or 0)
    return ports
