"""Detection: exactly one format for whatever arrives."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations, product
from typing import Any

import pytest

from adapter.payload.event import FORMATS, HTTP_FORMATS, PASS_THROUGH, detect
from tests.samples import sam_sample_event, sam_sample_names

HTTP_SAMPLES = {"apigateway aws-proxy": "rest-api", "apigateway http-api-proxy": "http-api", "alb request": "alb"}

REST: dict[str, Any] = {"resource": "/", "path": "/", "httpMethod": "GET", "requestContext": {"stage": "prod"}}
HTTP: dict[str, Any] = {"version": "2.0", "rawPath": "/", "requestContext": {"http": {"method": "GET"}}}
ALB: dict[str, Any] = {"httpMethod": "GET", "path": "/", "requestContext": {"elb": {}}}
LATTICE: dict[str, Any] = {"version": "2.0", "path": "/", "method": "GET", "requestContext": {"serviceNetworkArn": "a"}}


def matching(event: Any) -> list[str]:
    return [codec.name for codec in FORMATS.values() if codec.matches(event)]


@pytest.mark.parametrize("name", sam_sample_names())
def test_every_sample_event_has_exactly_one_format(name: str) -> None:
    event = sam_sample_event(name)
    expected = HTTP_SAMPLES.get(name, "pass-through")
    assert detect(event).name == expected
    assert matching(event) == [expected]


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        pytest.param(REST, "rest-api", id="rest"),
        pytest.param(REST | {"version": "1.0"}, "rest-api", id="http-api-in-format-1"),
        pytest.param(REST | {"headers": None, "multiValueHeaders": None}, "rest-api", id="rest-console-test"),
        pytest.param(REST | {"type": "REQUEST"}, "pass-through", id="rest-authorizer"),
        pytest.param(REST | {"type": "REQUEST", "version": "1.0"}, "pass-through", id="http-api-authorizer-format-1"),
        pytest.param({"type": "TOKEN", "methodArn": "a"}, "pass-through", id="token-authorizer"),
        pytest.param(REST | {"requestContext": {"connectionId": "c"}}, "pass-through", id="websocket-with-method"),
        pytest.param({"requestContext": {"connectionId": "c", "routeKey": "$connect"}}, "pass-through", id="websocket"),
        pytest.param(REST | {"requestContext": "prod"}, "pass-through", id="context-is-text"),
        pytest.param(HTTP, "http-api", id="http-api"),
        pytest.param(HTTP | {"type": "REQUEST", "routeArn": "a"}, "pass-through", id="http-api-authorizer"),
        pytest.param(HTTP | {"requestContext": {"http": "GET"}}, "pass-through", id="http-context-is-text"),
        pytest.param(HTTP | {"requestContext": []}, "pass-through", id="http-api-context-is-a-list"),
        pytest.param(ALB, "alb", id="alb"),
        pytest.param(ALB | {"multiValueHeaders": {}}, "alb-multi-value", id="alb-multi-value"),
        pytest.param(ALB | {"multiValueHeaders": None}, "alb", id="alb-null-multi-value"),
        pytest.param(ALB | {"requestContext": None}, "pass-through", id="alb-without-context"),
        pytest.param({"raw_path": "/", "method": "GET"}, "lattice-v1", id="lattice-v1"),
        pytest.param(LATTICE, "lattice-v2", id="lattice-v2"),
        pytest.param(LATTICE | {"requestContext": None}, "pass-through", id="lattice-without-context"),
        pytest.param(
            {"version": "0", "detail-type": "Scheduled Event", "detail": {}}, "pass-through", id="eventbridge"
        ),
        pytest.param({}, "pass-through", id="empty"),
        pytest.param([REST], "pass-through", id="list"),
        pytest.param("event", "pass-through", id="text"),
        pytest.param(7, "pass-through", id="number"),
        pytest.param(None, "pass-through", id="null"),
    ],
)
def test_similar_events_are_distinguished(event: Any, expected: str) -> None:
    assert detect(event).name == expected
    assert matching(event) == [expected]


def mixtures() -> Iterator[dict[str, Any]]:
    """Yield every event with some of the features that distinguish the formats."""
    contexts = [{}, None, *subsets({"elb": {}, "http": {}, "connectionId": "c", "serviceNetworkArn": "a"})]
    features = {"httpMethod": "GET", "method": "GET", "raw_path": "/", "multiValueHeaders": {}, "type": "REQUEST"}
    versions = ["0", "1.0", "2.0", None]
    for version, context, some in product(versions, contexts, subsets(features)):
        yield {"version": version, "requestContext": context, **some}
        yield {name: value for name, value in [("version", version), ("requestContext", context)] if value} | some


def subsets(features: dict[str, Any]) -> list[dict[str, Any]]:
    keys = [*features]
    return [{key: features[key] for key in some} for size in range(len(keys) + 1) for some in combinations(keys, size)]


def test_no_mixture_of_outlines_has_two_formats() -> None:
    for event in mixtures():
        assert matching(event) == [detect(event).name], event


def test_names_are_unique_and_only_pass_through_has_no_prelude() -> None:
    assert [*FORMATS.values()] == [*HTTP_FORMATS, PASS_THROUGH]
    assert {name for name, codec in FORMATS.items() if not codec.has_prelude} == {"pass-through"}
