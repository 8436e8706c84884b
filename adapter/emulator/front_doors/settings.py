"""What the options say about the function and its front doors, with Lambda's own values where they say nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from adapter.aws.identity import DEFAULT_REGION
from adapter.aws.limits import STREAM_LIMIT
from adapter.config.parsers import NO_LIMIT
from adapter.emulator.front_doors.rules import DOORS, DoorRules

if TYPE_CHECKING:
    from adapter.aws.limits import Bandwidth
    from adapter.config.load import Config

# The stage of a function URL and of an HTTP API without stages.
_DEFAULT_STAGE = "$default"


@dataclass(slots=True, kw_only=True)
class DoorSettings:
    """One front door. ``port`` is where it is to listen, 0 for any free one, and then where it does.

    ``streaming``: it invokes the function for a streamed response. ``idle_timeout`` is how long, in seconds, such a
    response may be silent. ``resource`` is that of a REST API. ``region`` is part of the ARNs in events.
    """

    rules: DoorRules
    port: int
    streaming: bool
    bandwidth: Bandwidth | None
    stream_limit: int | None
    idle_timeout: float | None
    stage: str = _DEFAULT_STAGE
    resource: str = ""
    region: str = DEFAULT_REGION


class UrlSettings:
    """``invoke_mode`` is the function's, ``url_invoke_mode`` that of front doors which can stream.

    ``stream_limit`` is in bytes, None for none. ``doors`` are in the order in which they were asked for. ``faults`` and
    ``record``, the folder of recordings, are as they were given.
    """

    def __init__(self, config: Config) -> None:
        self.host = config.dev_host
        self.port = config.dev_port
        self.timeout = config.timeout
        self.faults = config.faults
        self.record = config.record
        self.bandwidth: Bandwidth | None = config.bandwidth
        chosen = config.front_doors or (("function-url", None),)
        # A function behind front doors of which none can stream is deployed as a buffered one.
        suited = "response_stream" if any(DOORS[name].streams for name, _ in chosen) else "buffered"
        self.invoke_mode = config.invoke_mode or suited
        self.url_invoke_mode = config.url_invoke_mode or self.invoke_mode
        # The option is shared with the proxy, which has no limit by default; here the default is Lambda's.
        limit = STREAM_LIMIT if config.stream_limit is None else config.stream_limit
        self.stream_limit = None if limit == NO_LIMIT else limit
        self.function_name = config.dev_function_name
        # Beside the front door's, so that a second adapter dev on another port finds both free.
        self.invoke_port = config.invoke_port if config.invoke_port is not None else self.port and self.port % 65535 + 1
        ports = _ports([port for _, port in chosen], self.port, self.invoke_port)
        self.doors = [self._door(config, DOORS[name], port) for (name, _), port in zip(chosen, ports, strict=True)]

    def _door(self, config: Config, rules: DoorRules, port: int) -> DoorSettings:
        is_default = config.sources["bandwidth"] == "default"
        return DoorSettings(
            rules=rules,
            port=port,
            streaming=rules.streams and self.url_invoke_mode == "response_stream",
            bandwidth=rules.bandwidth if is_default and rules.bandwidth is not None else self.bandwidth,
            stream_limit=self.stream_limit,
            idle_timeout=config.rest_idle_timeout if rules.has_resources else None,
            stage=config.stage if rules.has_resources else _DEFAULT_STAGE,
            resource=config.resource if rules.has_resources else "",
            region=config.region,
        )


def _ports(asked: list[int | None], first: int, invoke_port: int) -> list[int]:
    """A port for each front door: the one that was asked for, else the first free number from ``first`` on."""
    taken = {port for port in asked if port is not None} | {invoke_port}
    ports = []
    candidate = first
    for port in asked:
        if port is None and first:
            while candidate in taken:
                candidate = candidate % 65535 + 1
            port = candidate
            taken.add(port)
        ports.append(port or 0)
    return ports
