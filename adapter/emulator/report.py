"""What ``adapter dev`` tells the user: what it serves, one line per invocation, and a line when something is unusual.

The functions here only make texts; ``Terminal`` writes them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from adapter.emulator.door_rules import REST_BANDWIDTH
from adapter.emulator.prices import PriceTable, billed_bytes
from adapter.throttle import KIB, LAMBDA_BANDWIDTH, MIB

if TYPE_CHECKING:
    from adapter.emulator.url_settings import UrlSettings
    from adapter.throttle import Bandwidth

_SEPARATOR = " | "
# The caps that AWS itself has.
_OWNERS = {LAMBDA_BANDWIDTH: ", as on Lambda", REST_BANDWIDTH: ", as a REST API has it"}
# Colours by the first digit of the status.
_COLOURS = {2: "green", 3: "cyan", 4: "yellow", 5: "red"}


@dataclass(slots=True)
class Visit:
    """What is to be said about one invocation. Times are in seconds; None is what did not happen.

    ``status`` and ``sent`` (body bytes) are what the client was sent. ``streamed`` are the body bytes of a streamed
    response, which are billed whether or not the client was there to see them. ``door`` names the front door where
    there are several.
    """

    method: str
    target: str
    status: int = 0
    sent: int = 0
    streamed: int = 0
    first_byte: float | None = None
    duration: float = 0.0
    init: float | None = None
    held: float = 0.0
    error_type: str = ""
    error_message: str = ""
    client_left: bool = False
    door: str = ""


class Terminal:
    """Writes to stderr. ``color`` None: where stderr is a terminal."""

    def __init__(self, prices: PriceTable, region: str, color: bool | None = None) -> None:
        self._prices = prices
        self._region = region
        self._color = color

    def visit(self, visit: Visit) -> None:
        """The line of an invocation that is over."""
        status = click.style(str(visit.status), fg=_COLOURS.get(visit.status // 100))
        where = f"{visit.door} " if visit.door else ""
        parts = [f"{where}{visit.method} {visit.target} {status}", *details(visit)]
        parts += streaming_cost(visit.streamed, self._prices, self._region)
        self._write(_SEPARATOR.join(parts))

    def notice(self, text: str) -> None:
        """Something unusual, or worth waiting for."""
        self._write(click.style(f"adapter dev: {text}", dim=True))

    def line(self, text: str) -> None:
        """A line of the block that CloudWatch would show."""
        self._write(text)

    def start(self, settings: UrlSettings) -> None:
        """What is served, and what to try."""
        self._write("\n".join(start_lines(settings)))

    def _write(self, text: str) -> None:
        click.echo(text, err=True, color=self._color)


def details(visit: Visit) -> list[str]:
    """The parts of an invocation's line after its status."""
    parts = [size_text(visit.sent)]
    if visit.first_byte is not None:
        parts.append(f"first byte {duration_text(visit.first_byte)}")
    parts.append(f"total {duration_text(visit.duration)}")
    if visit.init is not None:
        parts.append(f"cold start, init {duration_text(visit.init)}")
    if visit.held:
        parts.append(f"held back by the cap {duration_text(visit.held)}")
    if visit.client_left:
        parts.append("client left")
    if visit.error_type:
        # The first line: an init error goes on with the app's last words, which the terminal has shown already.
        message = visit.error_message.partition("\n")[0]
        parts.append(f"{visit.error_type}: {message}" if message else visit.error_type)
    return parts


def streaming_cost(streamed: int, prices: PriceTable, region: str) -> list[str]:
    """What a streamed response has beyond the free bytes, and what that costs; nothing where it has not."""
    billed = billed_bytes(streamed)
    if not billed:
        return []
    cost = prices.cost(streamed, region)
    if cost is None:
        return [f"{size_text(billed)} beyond the free 6 MB, no price known for {region} (--price-table)"]
    money = f"{cost_text(cost)} {prices.currency}"
    return [f"{size_text(billed)} beyond the free 6 MB: {money} ({region}, prices of {prices.dated})"]


def size_text(size: int) -> str:
    """A number of bytes as AWS counts: 1 MB is 1,024 KB."""
    if size < KIB:
        return f"{size} B"
    return f"{size / KIB:.1f} KB" if size < MIB else f"{size / MIB:.1f} MB"


def duration_text(seconds: float) -> str:
    """Milliseconds below a second, else seconds with two digits."""
    return f"{seconds * 1000:.0f} ms" if seconds < 0.9995 else f"{seconds:.2f} s"


def cost_text(cost: float) -> str:
    """An amount of money with two significant digits, never in powers of ten."""
    digits = max(2, 1 - math.floor(math.log10(cost))) if cost > 0 else 2
    return f"{cost:.{digits}f}"


def start_lines(settings: UrlSettings) -> list[str]:
    """What is served, under which limits, with what settings to deploy it, and how to try it."""
    mode = settings.invoke_mode
    first, *others = settings.doors
    url = local_url(settings.host, first.port)
    lines = [f"Lambda on this machine: {first.rules.title} at {url}"]
    lines += [f"  and        {door.rules.title} at {local_url(settings.host, door.port)}" for door in others]
    lines += [f"  mode       {mode}", f"  deploy as  {_deployment(settings)}"]
    unfit = [door.rules.name for door in settings.doors if not door.rules.streams]
    if mode == "response_stream" and unfit:
        lines.append(f"  mind       deploy as AWS_LWA_INVOKE_MODE=buffered what is behind {', '.join(unfit)}")
    for bandwidth, users in _bandwidths(settings).items():
        lines.append(f"  bandwidth  {_bandwidth_text(bandwidth)}{users}")
    if any(door.streaming for door in settings.doors):
        lines.append(f"  limit      {_limit_text(settings)}")
    for limit in sorted({door.rules.response_limit for door in settings.doors if not door.streaming}):
        lines.append(f"  limit      {limit} bytes for the whole encoded response")
    return [
        *lines,
        f"  timeout    {settings.timeout:g} s",
        f"  invoke     aws lambda invoke --endpoint-url {local_url(settings.host, settings.invoke_port)} …",
        f"  try        curl -N {url}",
    ]


def _deployment(settings: UrlSettings) -> str:
    """The settings that make the real thing behave like this one."""
    parts = [f"AWS_LWA_INVOKE_MODE={settings.invoke_mode}"]
    for door in settings.doors:
        if door.rules.name == "function-url":
            parts.append(f"function URL with InvokeMode: {settings.url_invoke_mode.upper()}")
        elif door.streaming:
            parts.append("REST API with responseTransferMode: STREAM")
    return ", ".join(parts)


def _bandwidths(settings: UrlSettings) -> dict[Bandwidth | None, str]:
    """The caps on streams, each with the names of the front doors that have it, where they differ."""
    users: dict[Bandwidth | None, list[str]] = {}
    for door in settings.doors:
        if door.streaming:
            users.setdefault(door.bandwidth, []).append(door.rules.name)
    return {cap: f" ({', '.join(names)})" if len(users) > 1 else "" for cap, names in users.items()}


def local_url(host: str, port: int) -> str:
    """Where a client on this machine finds what listens on ``host`` and ``port``."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"http://[{host}]:{port}/" if ":" in host else f"http://{host}:{port}/"


def _bandwidth_text(cap: Bandwidth | None) -> str:
    if cap is None:
        return "unlimited (Lambda is not)"
    owner = _OWNERS.get(cap, " (Lambda: --bandwidth lambda)")
    return f"{size_text(cap.burst)} at once, then {size_text(cap.rate)}/s, for each response{owner}"


def _limit_text(settings: UrlSettings) -> str:
    return (
        "none (Lambda has one)" if settings.stream_limit is None else f"{size_text(settings.stream_limit)} a response"
    )
