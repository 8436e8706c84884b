"""The start message of ``adapter dev``: URLs, limits, how to deploy the same function, and commands to try."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from adapter.aws.limits import DEFAULT_FUNCTION_MEMORY, DEFAULT_FUNCTION_TIMEOUT, LAMBDA_BANDWIDTH
from adapter.emulator.front_doors.rest_api import REST_BANDWIDTH
from adapter.emulator.function_settings import FUNCTION_NAME
from adapter.net.address import Address
from adapter.quantities import size_text

if TYPE_CHECKING:
    from adapter.aws.limits import Bandwidth
    from adapter.emulator.front_doors.door_settings import DoorSettings, UrlSettings

# AWS's own bandwidth caps, each with a text to append to the cap in the start message.
_CAP_SOURCES = {LAMBDA_BANDWIDTH: ", as on Lambda", REST_BANDWIDTH: ", as on a REST API"}


def start_lines(settings: UrlSettings) -> list[str]:
    """Return the lines of the start message: the URL of each front door, then the rows about the settings."""
    first, *others = settings.doors
    url = local_url(settings.host, first.port)
    lines = [f"Lambda on this machine: {first.rules.title} at {url}"]
    lines += [f"  and        {door.rules.title} at {local_url(settings.host, door.port)}" for door in others]
    rows = [("mode", settings.invoke_mode)]
    if deployment := _deployment(settings):
        rows.append(("deploy as", deployment))
    rows += [("mismatch", text) for text in mismatches(settings)]
    rows += [("bandwidth", text) for text in _by_doors(settings, _bandwidth_text)]
    rows += [("limit", text) for text in _by_doors(settings, lambda door: _limit_text(settings, door))]
    rows.append(("timeout", "none (--debug)" if settings.config.debug else f"{settings.config.timeout:g} s"))
    rows.append(("app", _start_text(settings)))
    rows += [("differs", text) for text in _differences(settings)]
    rows += _access_rows(settings)
    if settings.config.faults:
        rows.append(("faults", f"{', '.join(settings.config.faults.split(','))} (injected by --fault)"))
    if settings.config.record is not None:
        rows.append(("record", f"every invocation, including its secrets, is written to {settings.config.record}"))
    rows.append(("invoke", _invoke_command(settings)))
    if settings.inspector_url:
        rows.append(("inspect", settings.inspector_url))
    tried = [first, *(door for door in others if door.key is not None)]
    rows += [("try", f"curl -N{_signing(door)} {local_url(settings.host, door.port)}") for door in tried]
    return [*lines, *(f"  {name:10} {text}" for name, text in rows)]


def _invoke_command(settings: UrlSettings) -> str:
    """Return a command that invokes the Lambda function with the AWS CLI.

    The command contains a region and any keys, because the user may not have configured the AWS CLI.
    """
    url, name = local_url(settings.host, settings.invoke_port), settings.config.dev_function_name or FUNCTION_NAME
    return (
        f"adapter event {settings.doors[0].rules.name} | AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any "
        f"aws lambda invoke --region {settings.config.region} --endpoint-url {url} --function-name {name} "
        "--payload fileb:///dev/stdin /dev/stdout"
    )


def _start_text(settings: UrlSettings) -> str:
    """Return the text that says when the app starts."""
    config = settings.config
    if config.warm or config.provisioned:
        return "starts now"
    return "starts with the first request; --warm starts the app at once"


def start_fields(settings: UrlSettings) -> dict[str, Any]:
    """Return the start message as the fields of a JSON object. Limits are in bytes; a limit of None means unlimited."""
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
        "inspectorUrl": settings.inspector_url or None,
        "invokeMode": settings.invoke_mode,
        "deployAs": _deployment(settings),
        "mismatches": mismatches(settings),
        "domain": settings.config.domain,
        "cors": sorted(settings.access.cors) or None,
        "accessKeyId": settings.access.key.access_key_id if settings.access.key is not None else None,
        "timeoutSeconds": settings.config.timeout,
        "memoryMb": settings.config.memory,
        "differences": _differences(settings),
        "faults": settings.config.faults or None,
        "record": settings.config.record,
    }


def _access_rows(settings: UrlSettings) -> list[tuple[str, str]]:
    """Return the rows about the domain, CORS and the key pair for signatures. A setting that is not set has no row."""
    rows = []
    if settings.config.domain is not None:
        rows.append(("domain", f"{settings.config.domain}, the Host that the app gets"))
    if settings.access.cors:
        doors = " and ".join(settings.access.cors)
        rows.append(("CORS", f"preflight responses and CORS headers come from {doors}, not from the app"))
    if (key := settings.access.key) is not None:
        source = f"from {key.file}" if key.file else "generated for this run"
        rows.append(("auth", f"AWS_IAM with the key pair {key.access_key_id} {source}"))
    return rows


def _signing(door: DoorSettings) -> str:
    """Return the curl options that sign a request to the front door, or an empty string if no signature is needed."""
    if door.key is None:
        return ""
    # A secret is shown only if it was generated for this run.
    secret = "$AWS_SECRET_ACCESS_KEY" if door.key.file else door.key.secret_access_key
    return f" --aws-sigv4 aws:amz:{door.region}:lambda --user {door.key.access_key_id}:{secret}"


def mismatches(settings: UrlSettings) -> list[str]:
    """Return the messages about front doors whose invoke mode does not match the function's, without duplicates."""
    return _by_doors(settings, lambda door: mismatch_text(settings.invoke_mode, door))


def mismatch_text(invoke_mode: str, door: DoorSettings) -> str:
    """Return a message if the function's ``invoke_mode`` does not match the mode of ``door``, else an empty string.

    The message says how this affects clients, and what to do.
    """
    if (invoke_mode == "response_stream") is door.streaming:
        return ""
    if not door.rules.streams:
        return (
            "the function streams, but this front door cannot: clients get the whole response here, but perhaps not on "
            "AWS; for this front door, deploy the function with AWS_LWA_INVOKE_MODE=buffered"
        )
    if not door.streaming:
        outcome = "the function streams but the front door is buffered: clients wait for the whole response"
    elif door.rules.needs_prelude:
        outcome = "the function is buffered but the front door streams: every request fails"
    else:
        outcome = "the function is buffered but the front door streams: clients get the JSON payload undecoded"
    return f"{outcome}; make the modes match: change --invoke-mode or --url-invoke-mode"


def _differences(settings: UrlSettings) -> list[str]:
    """Return a list with one string: the modes, timeout and memory size that differ from the template's values.

    The list is empty if nothing differs. Without a template, the settings are compared with Lambda's defaults.
    """
    config, template = settings.config, settings.template
    modes: list[tuple[str, str, str]] = []
    if template is None:
        source = "Lambda's defaults"
        timeout, memory = DEFAULT_FUNCTION_TIMEOUT, DEFAULT_FUNCTION_MEMORY
        modes = [("mode", settings.invoke_mode, "buffered")]
    else:
        source = "the template"
        timeout, memory = template.config.timeout, template.config.memory
        modes = [("mode", settings.invoke_mode, template.invoke_mode)]
        if any(door.rules.streams for door in settings.doors):
            modes.append(("URL mode", settings.url_invoke_mode, template.url_invoke_mode))
    rows = [
        *modes,
        ("timeout", f"{config.timeout:g} s", f"{timeout:g} s"),
        ("memory", f"{config.memory} MB", f"{memory} MB"),
    ]
    found = [f"{name} {here} ({there})" for name, here, there in rows if here != there]
    return [f"from {source}: {', '.join(found)}"] if found else []


def local_url(host: str, port: int) -> str:
    """Return the URL at which clients on this machine reach a server that listens on ``host`` and ``port``."""
    return f"{Address(host=host, port=port).local.url}/"


def _deployment(settings: UrlSettings) -> str:
    """Return a text that says how to configure the deployed function so that it behaves as the local function does."""
    # Only the adapter reads this variable. With --runtime, another command replaces the adapter.
    parts = [f"AWS_LWA_INVOKE_MODE={settings.invoke_mode}"] if settings.config.runtime is None else []
    for door in settings.doors:
        if door.rules.name == "function-url":
            parts.append(f"function URL with InvokeMode: {settings.url_invoke_mode.upper()}")
        elif door.streaming:
            parts.append("REST API with responseTransferMode: STREAM")
    return ", ".join(parts)


def _by_doors(settings: UrlSettings, describe: Callable[[DoorSettings], str]) -> list[str]:
    """Return the distinct strings that ``describe`` returns for the front doors. Empty strings are left out.

    If there are several front doors, each string ends with the names of the front doors that it is about.
    """
    names: dict[str, list[str]] = {}
    for door in settings.doors:
        if text := describe(door):
            names.setdefault(text, []).append(door.rules.name)
    if len(settings.doors) == 1:
        return list(names)
    return [f"{text} ({', '.join(doors)})" for text, doors in names.items()]


def _bandwidth_text(door: DoorSettings) -> str:
    cap = door.bandwidth
    if not door.streaming:
        return ""
    if cap is None:
        return "unlimited here, but capped on Lambda"
    source = _CAP_SOURCES.get(cap, "; --bandwidth lambda sets Lambda's own cap")
    return f"{size_text(cap.burst)} at once, then {size_text(cap.rate)}/s, for each response{source}"


def _bandwidth_fields(door: DoorSettings) -> dict[str, int] | None:
    cap: Bandwidth | None = door.bandwidth if door.streaming else None
    return None if cap is None else {"burst": cap.burst, "rate": cap.rate}


def _limit_text(settings: UrlSettings, door: DoorSettings) -> str:
    if not door.streaming:
        return f"{size_text(door.rules.response_limit)} for the whole encoded response"
    if settings.stream_limit is None:
        return "none here for a streamed response, but Lambda has one"
    return f"{size_text(settings.stream_limit)} for a streamed response"
