"""What ``adapter dev`` says at its start: what it serves, under which limits, how to deploy the same, what to try."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from adapter.aws.limits import LAMBDA_BANDWIDTH
from adapter.aws.sizes import size_text
from adapter.emulator.front_doors.rules import REST_BANDWIDTH
from adapter.net.address import Address

if TYPE_CHECKING:
    from adapter.aws.limits import Bandwidth
    from adapter.emulator.front_doors.settings import DoorSettings, UrlSettings

# The caps that AWS itself has.
_OWNERS = {LAMBDA_BANDWIDTH: ", as on Lambda", REST_BANDWIDTH: ", as a REST API has it"}


def start_lines(settings: UrlSettings) -> list[str]:
    """The start for people. Where front doors differ each row says which of them it is about."""
    first, *others = settings.doors
    url = local_url(settings.host, first.port)
    lines = [f"Lambda on this machine: {first.rules.title} at {url}"]
    lines += [f"  and        {door.rules.title} at {local_url(settings.host, door.port)}" for door in others]
    rows = [("mode", settings.invoke_mode), ("deploy as", _deployment(settings))]
    rows += [("mismatch", text) for text in mismatches(settings)]
    rows += [("bandwidth", text) for text in _by_doors(settings, _bandwidth_text)]
    rows += [("limit", text) for text in _by_doors(settings, lambda door: _limit_text(settings, door))]
    rows += [
        ("timeout", f"{settings.timeout:g} s"),
    ]
    if settings.faults:
        rows.append(("faults", f"{settings.faults}, on purpose (--fault)"))
    if settings.record is not None:
        rows.append(("record", f"every invocation, secrets included, in {settings.record}"))
    rows += [
        ("invoke", f"aws lambda invoke --endpoint-url {local_url(settings.host, settings.invoke_port)} …"),
        ("try", f"curl -N {url}"),
    ]
    return [*lines, *(f"  {name:10} {text}" for name, text in rows)]


def start_fields(settings: UrlSettings) -> dict[str, Any]:
    """The same for machines; sizes in bytes, None is no limit."""
    return {
        "doors": [
            {
                "door": door.rules.name,
                "url": local_url(settings.host, door.port),
                "streams": door.streaming,
                "responseLimit": settings.stream_limit if door.streaming else door.rules.response_limit,
                "bandwidth": _bandwidth_fields(door),
            }
            for door in settings.doors
        ],
        "invokeUrl": local_url(settings.host, settings.invoke_port),
        "invokeMode": settings.invoke_mode,
        "deployAs": _deployment(settings),
        "mismatches": mismatches(settings),
        "timeoutSeconds": settings.timeout,
        "faults": settings.faults or None,
        "record": settings.record,
    }


def mismatches(settings: UrlSettings) -> list[str]:
    """Where front doors do not fit the function's invoke mode: what comes of it, and the way out."""
    return _by_doors(settings, lambda door: _mismatch_text(settings.invoke_mode, door))


def _mismatch_text(invoke_mode: str, door: DoorSettings) -> str:
    if (invoke_mode == "response_stream") is door.streaming:
        return ""
    if not door.rules.streams:
        return "the function streams, the front door cannot: deploy it there as AWS_LWA_INVOKE_MODE=buffered"
    if not door.streaming:
        outcome = "the function streams, the front door is buffered: clients wait for the whole response"
    elif door.rules.needs_prelude:
        outcome = "the function is buffered, the front door streams: every request fails"
    else:
        outcome = "the function is buffered, the front door streams: clients get its JSON payload as it is"
    return f"{outcome}; give both one mode (--invoke-mode, --url-invoke-mode)"


def local_url(host: str, port: int) -> str:
    """Return the URL at which a client on this machine reaches what listens on ``host`` and ``port``."""
    return f"{Address(host=host, port=port).local.url}/"


def _deployment(settings: UrlSettings) -> str:
    """The settings that make the real thing behave like this one."""
    parts = [f"AWS_LWA_INVOKE_MODE={settings.invoke_mode}"]
    for door in settings.doors:
        if door.rules.name == "function-url":
            parts.append(f"function URL with InvokeMode: {settings.url_invoke_mode.upper()}")
        elif door.streaming:
            parts.append("REST API with responseTransferMode: STREAM")
    return ", ".join(parts)


def _by_doors(settings: UrlSettings, describe: Callable[[DoorSettings], str]) -> list[str]:
    """What there is to say of the front doors, each text once; with the names of those that it is about."""
    users: dict[str, list[str]] = {}
    for door in settings.doors:
        if text := describe(door):
            users.setdefault(text, []).append(door.rules.name)
    several = len(settings.doors) > 1
    return [f"{text} ({', '.join(names)})" if several else text for text, names in users.items()]


def _bandwidth_text(door: DoorSettings) -> str:
    cap = door.bandwidth
    if not door.streaming:
        return ""
    if cap is None:
        return "unlimited, which Lambda is not"
    owner = _OWNERS.get(cap, "; Lambda's own: --bandwidth lambda")
    return f"{size_text(cap.burst)} at once, then {size_text(cap.rate)}/s, for each response{owner}"


def _bandwidth_fields(door: DoorSettings) -> dict[str, int] | None:
    cap: Bandwidth | None = door.bandwidth if door.streaming else None
    return None if cap is None else {"burst": cap.burst, "rate": cap.rate}


def _limit_text(settings: UrlSettings, door: DoorSettings) -> str:
    if not door.streaming:
        return f"{size_text(door.rules.response_limit)} for the whole encoded response"
    if settings.stream_limit is None:
        return "none for a streamed response, Lambda has one"
    return f"{size_text(settings.stream_limit)} for a streamed response"
