"""What a subscription asks for, and what is wrong with one."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapter.emulator.platform_api.subscription import LOGS, TELEMETRY, Api, parse_subscription

HTTP = {"protocol": "HTTP", "URI": "http://sandbox.localdomain:8080/path?x"}
GOOD: dict[str, Any] = {"schemaVersion": "2022-07-01", "types": ["platform", "function"], "destination": HTTP}


def parsed(api: Api = TELEMETRY, **fields: Any) -> Any:
    return parse_subscription(api, json.dumps(GOOD | fields).encode())


def test_fields_that_are_left_out_have_defaults() -> None:
    found = parsed()
    assert (found.protocol, found.port, found.path, found.method) == ("HTTP", 8080, "/path?x", "POST")
    assert (found.timeout, found.max_bytes, found.max_items) == (1.0, 262_144, 10_000)
    logs = parse_subscription(LOGS, json.dumps({key: GOOD[key] for key in ("types", "destination")}).encode())
    assert logs.version == "2020-08-15"


def test_fields_that_are_present_are_used() -> None:
    buffering = {"timeoutMs": 25, "maxBytes": 1_048_576, "maxItems": 1000}
    found = parsed(destination={"protocol": "TCP", "port": 4000}, buffering=buffering)
    assert (found.protocol, found.port) == ("TCP", 4000)
    assert (found.timeout, found.max_bytes, found.max_items) == (0.025, 1_048_576, 1000)


@pytest.mark.parametrize(
    ("fields", "mistake"),
    [
        pytest.param({"schemaVersion": "2020-08-15"}, "schemaVersion should be one of 2022-07-01", id="version"),
        pytest.param({"types": []}, "types should not be empty", id="no-types"),
        pytest.param({"types": ["x"]}, "not ['x']", id="unknown-type"),
        pytest.param({"destination": None}, "destination should be an object", id="no-destination"),
        pytest.param({"destination": {"protocol": "UDP"}}, "HTTP or TCP", id="protocol"),
        *[
            pytest.param({"destination": {"protocol": "TCP", "port": port}}, "from 1 to 65535", id=f"tcp-port-{port!r}")
            for port in (0, -1, 65536, 10**30, 80.5, True, "80", None, float("1e300"))
        ],
        pytest.param({"destination": HTTP | {"URI": "http://sandbox.localdomain"}}, "URI port", id="no-port"),
        pytest.param({"destination": HTTP | {"URI": "http://example.com:80"}}, "URI should begin", id="elsewhere"),
        pytest.param({"destination": HTTP | {"URI": "http://sandbox:x"}}, "URI is not valid", id="no-uri"),
        pytest.param({"destination": HTTP | {"URI": "http://sandbox:9001"}}, "9001 is reserved", id="reserved"),
        pytest.param({"destination": HTTP | {"method": "GET"}}, "POST or PUT", id="method"),
        pytest.param({"buffering": []}, "buffering should be an object", id="buffering"),
        *[
            pytest.param(
                {"buffering": {"timeoutMs": time}}, "timeoutMs should be from 25 to 30000", id=f"timeout-{time!r}"
            )
            for time in (24, 30_001, -25, 10**30, 25.0, True, "25", None)
        ],
        pytest.param({"buffering": {"maxBytes": 1}}, "maxBytes should be from 262144", id="bytes"),
        pytest.param({"buffering": {"maxItems": "1000"}}, "maxItems should be from 1000", id="items"),
    ],
)
def test_a_mistake_is_named(fields: dict[str, Any], mistake: str) -> None:
    with pytest.raises(ValueError, match=r"^[^;]*$") as error:
        parsed(**fields)
    assert mistake in str(error.value)


@pytest.mark.parametrize("uri", [5, "http://[", None])
def test_tcp_has_no_uri(uri: object) -> None:
    assert parsed(destination={"protocol": "TCP", "port": 4000, "URI": uri}).port == 4000


@pytest.mark.parametrize("body", [b"", b"[", b"[]"])
def test_a_body_that_is_not_an_object_is_refused(body: bytes) -> None:
    with pytest.raises(ValueError, match="the body is not"):
        parse_subscription(TELEMETRY, body)


@pytest.mark.parametrize(
    ("api", "version", "wanted"),
    [
        pytest.param(TELEMETRY, "2022-07-01", {"initStart", "start", "runtimeDone", "report"}, id="telemetry"),
        pytest.param(LOGS, "2020-08-15", {"start", "end", "report"}, id="logs"),
        pytest.param(LOGS, "2021-03-18", {"start", "end", "report", "runtimeDone"}, id="newer-logs"),
    ],
)
def test_each_api_has_its_own_records(api: Api, version: str, wanted: set[str]) -> None:
    found = parsed(api, schemaVersion=version)
    kinds = ("initStart", "start", "end", "runtimeDone", "report")
    assert {kind for kind in kinds if found.wants(f"platform.{kind}", "platform")} == wanted
    assert found.wants("function", "function")
    assert not found.wants("extension", "extension")
