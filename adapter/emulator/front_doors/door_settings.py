"""The settings of the front doors and the Invoke APIs. Lambda's own values are the defaults."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from adapter.aws.identity import DEFAULT_REGION
from adapter.aws.limits import STREAM_LIMIT
from adapter.config.parsers import NO_LIMIT
from adapter.emulator.access.access_settings import AccessSettings, access_settings
from adapter.emulator.access.cors import FUNCTION_URL
from adapter.emulator.front_doors.registry import DOORS

if TYPE_CHECKING:
    from adapter.aws.limits import Bandwidth
    from adapter.config.load import Config
    from adapter.emulator.access.cors import Cors
    from adapter.emulator.access.key_pair import KeyPair
    from adapter.emulator.front_doors.door_rules import DoorRules


@dataclass(slots=True, kw_only=True)
class DoorSettings:
    """The settings of one front door.

    ``port`` is the port to listen on. 0 means any free port; once a port is open, its number replaces the 0.
    ``streaming`` is True if the front door streams responses. ``decodes`` is True if it decodes streamed responses that
    have a Content-Encoding. ``idle_timeout`` is the longest pause within a streamed response, in seconds; None means
    unlimited. ``stage`` and ``resource`` apply to a REST API. ``region`` is the region in the ARNs of events and in the
    signatures of requests. ``domain`` is the Host header that the app receives; None means the client's Host header.
    ``key`` is the key pair with which clients must sign requests; if it is None, requests need no signature. If
    ``checks_signatures`` is False, requests are treated as if they were signed. ``cors`` answers preflights; if it is
    None, preflights reach the function. ``authorizer`` is the authorizer's context in events; None means that events
    have no such context.
    """

    rules: DoorRules
    port: int
    streaming: bool
    bandwidth: Bandwidth | None
    stream_limit: int | None
    idle_timeout: float | None
    decodes: bool = False
    # The default is the stage in the events of function URLs, and of HTTP APIs without stages.
    stage: str = "$default"
    resource: str = ""
    region: str = DEFAULT_REGION
    domain: str | None = None
    key: KeyPair | None = None
    checks_signatures: bool = True
    cors: Cors | None = None
    authorizer: dict[str, Any] | None = None


class UrlSettings:
    """The settings of all front doors and of the Invoke APIs.

    ``invoke_mode`` is the invoke mode of the function. ``url_invoke_mode`` is the mode of the front doors that can
    stream. ``stream_limit`` is the largest streamed response in bytes; None means unlimited. ``doors`` are the settings
    of each front door, in the order of the ``--front-door`` options. ``inspector_url`` is the address of the
    inspector's page, or empty while no inspector is running. ``template`` contains the settings from the file of
    ``--template`` alone, without flags and variables; it is None if that file sets no options.

    If ``with_access`` is True, the options for signatures, CORS and authorizers are read, and also the files that these
    options name. Raises ConfigurationError if one of these options or files is not usable.
    """

    def __init__(self, config: Config, template: Config | None = None, *, with_access: bool = True) -> None:
        self.host = config.dev_host
        self.inspector_url = ""
        self.port = config.dev_port
        self.config = config
        self.template = None if template is None else UrlSettings(template, with_access=False)
        self.bandwidth: Bandwidth | None = config.bandwidth
        chosen = config.front_doors or (("function-url", None),)
        # If no front door can stream, the function is deployed in buffered mode.
        default_mode = "response_stream" if any(DOORS[name].streams for name, _ in chosen) else "buffered"
        self.invoke_mode = config.invoke_mode or default_mode
        self.url_invoke_mode = config.url_invoke_mode or self.invoke_mode
        # None means that the option is not set. The proxy is then unlimited; the emulator uses Lambda's limit.
        limit = STREAM_LIMIT if config.stream_limit is None else config.stream_limit
        self.stream_limit = None if limit == NO_LIMIT else limit
        # The default is the port after --port. With a fixed default, a second adapter dev would use the same port.
        self.invoke_port = config.invoke_port if config.invoke_port is not None else self.port and self.port % 65535 + 1
        ports = _assign_ports([port for _, port in chosen], self.port, self.invoke_port)
        names = [name for name, _ in chosen]
        self.access = access_settings(config, names) if with_access else AccessSettings()
        self.doors = [self.door(DOORS[name], port) for (name, _), port in zip(chosen, ports, strict=True)]

    def door(self, rules: DoorRules, port: int) -> DoorSettings:
        """Return the settings of a front door that has ``rules`` and listens on ``port``."""
        config = self.config
        if config.debug:
            rules = replace(rules, response_timeout=None)
        is_default = config.sources["bandwidth"] == "default"
        door = DoorSettings(
            rules=rules,
            port=port,
            streaming=rules.streams and self.url_invoke_mode == "response_stream",
            bandwidth=rules.bandwidth if is_default and rules.bandwidth is not None else self.bandwidth,
            stream_limit=self.stream_limit,
            idle_timeout=None,
            decodes=rules.undoes_encoding and config.decode_streams,
            region=config.region,
            domain=config.domain,
            key=self.access.key if rules.name == FUNCTION_URL else None,
            cors=self.access.cors.get(rules.name),
            authorizer=self.access.authorizers.get(rules.name),
        )
        if rules.add_resource is not None:
            door.stage, door.resource = config.stage, config.resource
            door.idle_timeout = None if config.debug else config.rest_idle_timeout
        return door


def _assign_ports(requested: list[int | None], lowest: int, invoke_port: int) -> list[int]:
    """Return a port for each front door: the requested port, else the next unused port, starting at ``lowest``.

    If ``lowest`` is 0, front doors without a requested port get 0, which means any free port.
    """
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
