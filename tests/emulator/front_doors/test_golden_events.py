"""The events of each front door, compared with what AWS sends.

Each case in ``golden/`` has a request to a front door, fields of the event that AWS makes of it, and what reaches an
app behind the runtime. The first word of its ``source`` is the kind: "capture" is an event that AWS has sent and others
have published, "document" AWS's documentation, "field" a report of a user. "unknown" is not confirmed.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from adapter.payload.messages import Invocation
from adapter.payload.request import RequestRules, app_request
from tests.emulator.door_answers import PAYLOADS
from tests.emulator.scripted import Handed, ScriptedRuntime, local_lambda
from tests.emulator.scripts import each
from tests.raw_client import RawAnswer, ask

GOLDEN = [json.loads(path.read_text()) for path in sorted((Path(__file__).parent / "golden").glob("*.json"))]
CASES = [
    pytest.param(golden["door"], case, id=f"{golden['door']}-{case['name']}")
    for golden in GOLDEN
    for case in golden["cases"]
]


async def event_at(door: str, case: dict[str, Any]) -> tuple[RawAnswer, dict[str, Any] | None]:
    """What the client of ``door`` receives, and the event, unless there is none."""
    events: list[dict[str, Any]] = []

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        events.append(handed.event)
        await runtime.respond(handed, json.dumps(PAYLOADS[door]).encode())

    lines = [f"{case.get('method', 'GET')} {case['target']} HTTP/1.1", "host: app.example"]
    lines += [f"{name}: {value}" for name, value in case.get("headers", [])]
    request = "\r\n".join([*lines, "", case.get("body", "")]).encode()
    async with local_lambda(each(serve), front_doors=door, invoke_mode="buffered", stage="live") as local:
        answer = await ask(local.port, request)
    return answer, next(iter(events), None)


def has(event: Any, path: str) -> bool:
    """Return whether ``event`` has the key at the end of ``path``, which is in exactly this case."""
    for key in path.split("."):
        if key not in event:
            return False
        event = event[key]
    return True


def only(event: Any, like: Any) -> Any:
    """Return the part of ``event`` that has the keys of ``like``."""
    if not isinstance(like, dict) or not isinstance(event, dict):
        return event
    return {key: only(event[key], value) for key, value in like.items() if key in event}


def test_every_case_has_its_source() -> None:
    for golden in GOLDEN:
        for case in golden["cases"]:
            assert case["source"].partition(":")[0] in ("capture", "document", "field", "unknown"), case["name"]


@pytest.mark.parametrize(("door", "case"), CASES)
async def test_an_event_is_the_one_that_aws_makes(door: str, case: dict[str, Any]) -> None:
    answer, event = await event_at(door, case)
    if "status" in case:
        assert (answer.status, event) == (case["status"], None)
        return
    assert event is not None
    assert only(event, case["event"]) == case["event"]
    assert [path for path in case.get("absent", []) if has(event, path)] == []
    assert [path for path in case.get("present", []) if not has(event, path)] == []
    invocation = Invocation(request_id="r-1", event=json.dumps(event).encode())
    request = app_request(invocation, RequestRules())[1]
    assert request.target == case.get("app_target", request.target)
    for name, values in case.get("app_headers", {}).items():
        assert [value for field, value in request.headers if field.lower() == name] == values


# What no front door of AWS is known to touch. A twin in another spelling could be taken for the real header, so the
# runtime removes it behind every front door.
ABOUT_THE_CLIENT = {"Forwarded": "for=203.0.113.7", "X-Real-IP": "203.0.113.8", "X_Forwarded_For": "203.0.113.9"}


@pytest.mark.parametrize("door", PAYLOADS)
async def test_what_a_client_says_about_its_address_reaches_the_app_as_behind_the_real_door(door: str) -> None:
    sent = {"target": "/", "headers": [*ABOUT_THE_CLIENT.items(), ("X-Forwarded-For", "203.0.113.10")]}
    _, event = await event_at(door, sent)
    headers = app_request(Invocation(request_id="r-1", event=json.dumps(event).encode()), RequestRules())[1].headers
    found = {name.lower(): value for name, value in headers}
    assert (found["forwarded"], found["x-real-ip"]) == ("for=203.0.113.7", "203.0.113.8")
    assert "x_forwarded_for" not in found
    appends = door in ("rest-api", "alb", "alb-multi-value")
    assert found["x-forwarded-for"] == ("203.0.113.10, 127.0.0.1" if appends else "127.0.0.1")
