"""AWS's own events, each with the one request that it stands for.

Samples come from aws-sam-cli; ``golden/`` has events in AWS's documented shape for the formats that it has none of.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapter.payload.event import FORMATS, detect
from adapter.payload.messages import Request
from tests.samples import sam_sample_event

GOLDEN = sorted((Path(__file__).parent / "golden").glob("*.json"))


@pytest.mark.parametrize("golden", [pytest.param(json.loads(path.read_text()), id=path.stem) for path in GOLDEN])
def test_an_event_becomes_its_request(golden: dict[str, Any]) -> None:
    event = golden["event"] if "event" in golden else sam_sample_event(golden["sample"])
    expected = golden["request"]
    codec = detect(event)
    assert codec.name == golden["format"]
    request = codec.decode_request(event)
    assert request.method == expected["method"]
    assert request.target == expected["target"]
    assert request.headers == [(name, value) for name, value in expected["headers"]]
    assert request.body.decode() == expected["body"]


def test_every_http_format_has_a_golden_event() -> None:
    formats = {json.loads(path.read_text())["format"] for path in GOLDEN}
    assert formats == FORMATS.keys() - {"pass-through"}


def test_a_request_can_be_read_in_a_failure_report() -> None:
    request = Request(method="GET", target="/a", headers=[("host", "h")], body=b"1234")
    assert repr(request) == "Request(GET /a, 1 headers, 4 body bytes)"
