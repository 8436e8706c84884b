"""``adapter event``: writes a sample event to stdout.

The codecs of the front doors make HTTP events. All other events come from the templates in ``sample_events.json``.
Each template is an event with one record, in the shape that AWS documents (AWS's Lambda guide, "Using … with
Lambda"). Ids and times are invented. They are the same in every run, so that two events can be compared.

A template can contain these placeholders:

- ``{body}``: the message
- ``{base64}``: the message in base64
- ``{md5}``: the MD5 hash of the message
- ``{name}``: the name of the queue, topic, bucket, table or stream
- ``{region}``, ``{account}``: the region and the account in ARNs
- ``{"$gzip": VALUE}``: VALUE as JSON, compressed with gzip, in base64
- ``{"$json": TEXT}``: TEXT as a JSON object
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click

from adapter.aws.identity import ACCOUNT_ID, DEFAULT_REGION
from adapter.config.load import read
from adapter.config.parsers import nearest_door
from adapter.emulator.front_doors.registry import DOORS
from adapter.errors import ConfigurationError, RefusedRequest
from adapter.payload.headers import is_token
from adapter.payload.messages import Arrival, Request

_TEMPLATES: dict[str, Any] = json.loads(Path(__file__).with_name("sample_events.json").read_bytes())
#: SOURCES are the sources of events that are not HTTP requests. KINDS are all kinds of events.
SOURCES = tuple(_TEMPLATES)
KINDS = (*DOORS, *SOURCES)

_TIME_MS = 1_767_323_045_000
_REQUEST_ID = "11111111-2222-3333-4444-555555555555"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventOptions:
    """The options of an event. ``name`` is the name of the queue, topic, bucket, table or stream.

    If ``body`` is None, the default message is used. If ``name`` is empty, the source's default name is used.
    """

    method: str = "GET"
    path: str = "/"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes | None = None
    name: str = ""
    stage: str = "prod"
    resource: str = "/{proxy+}"
    region: str = DEFAULT_REGION


def run(
    environ: Mapping[str, str],
    kind: str | None,
    *,
    headers: tuple[str, ...],
    body: str | None,
    **given: str | None,
) -> int:
    """Write an event of ``kind`` to stdout. If ``kind`` is None, write the list of kinds. Return the exit code, 0.

    ``given`` contains the other flags; the value of a flag that is not set is None. ARNs contain the region that
    ``environ`` sets. Raises ConfigurationError if an argument is not valid.
    """
    if kind is None:
        click.echo("\n".join(KINDS))
        return 0
    if kind not in KINDS:
        hint = nearest_door(kind, KINDS) or f"; use one of {', '.join(KINDS)}"
        raise ConfigurationError([f"KIND: {kind!r} is not a source of events{hint}"])
    texts = {name: value for name, value in given.items() if value is not None}
    _refuse_unused(kind, {*texts, *(["headers"] if headers else []), *([] if body is None else ["body"])})
    path = texts.get("path", "/")
    if not path.startswith("/"):
        raise ConfigurationError([f"--path: {path!r} is not a path; begin it with a slash, for example /orders?id=7"])
    # Only the region is used, so mistakes in other variables are not reported.
    region = read(environ)[0].region
    options = EventOptions(headers=[_header(text) for text in headers], body=_body(body), region=region, **texts)
    click.echo(json.dumps(make_event(kind, options), indent=2, ensure_ascii=False))
    return 0


def _refuse_unused(kind: str, given: set[str]) -> None:
    """Raise ConfigurationError if ``given`` contains options that an event of ``kind`` does not use."""
    used = options_of(kind)
    flags = ", ".join(sorted(map(_flag, used))) or "none"
    hint = f"an event of {kind} does not use this flag; such an event uses {flags}"
    mistakes = [f"{_flag(name)}: {hint}" for name in sorted(given - used)]
    if mistakes:
        raise ConfigurationError(mistakes)


def _flag(option: str) -> str:
    return "--header" if option == "headers" else f"--{option}"


def _header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not is_token(name):
        raise ConfigurationError([f"--header: {text!r} is not a header; use one such as 'content-type: text/plain'"])
    return name, value.strip()


def _body(text: str | None) -> bytes | None:
    """Return the body that ``--body`` sets: for ``@FILE``, the content of FILE; for any other text, the text itself."""
    if text is None or not text.startswith("@"):
        return None if text is None else text.encode()
    try:
        return Path(text[1:]).read_bytes()
    except OSError as error:
        raise ConfigurationError([f"--body: {text[1:]!r} cannot be read: {error.strerror}"]) from error


def options_of(kind: str) -> frozenset[str]:
    """Return the fields of EventOptions that an event of ``kind`` uses."""
    if kind in DOORS:
        resource_options = {"stage", "resource"} if DOORS[kind].add_resource else set()
        return frozenset({"method", "path", "headers", "body"} | resource_options)
    default = source_event(kind)
    return frozenset(option for option in ("body", "name") if source_event(kind, **{option: "another"}) != default)


def make_event(kind: str, options: EventOptions) -> dict[str, Any]:
    """Return the event of ``kind``, one of KINDS. Raises ConfigurationError if an option does not fit the kind."""
    if kind in DOORS:
        return _http_event(kind, options)
    try:
        body = (options.body or b"hello").decode()
    except UnicodeDecodeError as error:
        raise ConfigurationError([f"--body: is not UTF-8; the body of an event of {kind} must be text"]) from error
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
    try:
        event = rules.codec.encode_event(request, arrival)
    except RefusedRequest as error:
        raise ConfigurationError([f"--path: {options.path!r} cannot be used: {error}"]) from error
    if rules.add_resource and not rules.add_resource(event, options.resource):
        raise ConfigurationError([f"--path: {options.path!r} does not match the resource {options.resource}"])
    return event


def _completed(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return ``headers`` and those usual headers of clients and front doors that ``headers`` does not contain."""
    named = {name.lower() for name, _ in headers}
    added = [
        ("host", "localhost"),
        ("user-agent", "adapter"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
    ]
    return [*headers, *(header for header in added if header[0] not in named)]


def source_event(source: str, *, body: str = "hello", name: str = "", region: str = DEFAULT_REGION) -> dict[str, Any]:
    """Return an event of ``source`` with the message ``body``. An empty ``name`` means the source's default name."""
    template = _TEMPLATES[source]
    values = {
        "{name}": name or template["name"],
        "{region}": region,
        "{account}": ACCOUNT_ID,
        "{base64}": base64.b64encode(body.encode()).decode("ascii"),
        "{md5}": hashlib.md5(body.encode(), usedforsecurity=False).hexdigest(),
        # The body is replaced last, so that a message may contain the text of a placeholder.
        "{body}": body,
    }
    event: dict[str, Any] = _fill(template["event"], values)
    return event


def _fill(template: Any, values: Mapping[str, str]) -> Any:
    if isinstance(template, list):
        return [_fill(each, values) for each in template]
    if isinstance(template, str):
        for placeholder, value in values.items():
            template = template.replace(placeholder, value)
        return template
    if not isinstance(template, dict):
        return template
    filled = {_fill(key, values): _fill(value, values) for key, value in template.items()}
    if "$gzip" in filled:
        packed = gzip.compress(json.dumps(filled["$gzip"]).encode(), mtime=0)
        return base64.b64encode(packed).decode("ascii")
    return _json_object(filled["$json"]) if "$json" in filled else filled


def _json_object(text: str) -> dict[str, Any]:
    """Return the JSON object in ``text``; for any other text, return ``{"message": text}``."""
    try:
        parsed = json.loads(text)
    except ValueError:
        parsed = None
    return parsed if isinstance(parsed, dict) else {"message": text}
