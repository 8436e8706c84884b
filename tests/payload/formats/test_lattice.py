"""VPC Lattice targets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapter.errors import InvalidFunctionResponse
from adapter.payload.body import BodyRules
from adapter.payload.event import FORMATS
from adapter.payload.messages import Arrival, Request, ResponseHead

V1 = FORMATS["lattice-v1"]
V2 = FORMATS["lattice-v2"]
ARRIVAL = Arrival(request_id="r-1", time_ms=1690497599177)
REQUEST = Request(method="GET", target="/a?p=%20&p=2", headers=[("Host", "h"), ("X", "1"), ("x", "2")])


def v2_event(**changes: Any) -> dict[str, Any]:
    return {"version": "2.0", "method": "GET", "path": "/", "requestContext": {"serviceNetworkArn": "a"}} | changes


@pytest.mark.parametrize(
    ("event", "target"),
    [
        pytest.param({"raw_path": "/a?b=1", "query_string_parameters": {"c": "2"}}, "/a?b=1", id="query-in-path"),
        pytest.param({"raw_path": "/a", "query_string_parameters": {"c": "%20"}}, "/a?c=%20", id="query-in-map"),
        pytest.param({"raw_path": "/a"}, "/a", id="no-query"),
    ],
)
def test_version_1_takes_the_query_from_the_path_or_else_from_the_map(event: dict[str, Any], target: str) -> None:
    assert V1.decode_request({"method": "GET", **event}).target == target


@pytest.mark.parametrize(
    ("changes", "target"),
    [
        pytest.param({"queryStringParameters": {"a": ["1", " "]}}, "/?a=1&a=%20", id="lists"),
        pytest.param({"queryStringParameters": {"a": "1"}}, "/?a=1", id="strings"),
        pytest.param({"path": "/x?y=%20", "queryStringParameters": {"y": [" "]}}, "/x?y=%20", id="query-in-path"),
    ],
)
def test_version_2_encodes_its_decoded_parameters(changes: dict[str, Any], target: str) -> None:
    assert V2.decode_request(v2_event(**changes)).target == target


def test_version_2_headers_may_be_lists_or_strings() -> None:
    request = V2.decode_request(v2_event(headers={"a": ["1", "2"], "b": "3"}))
    assert request.headers == [("a", "1"), ("a", "2"), ("b", "3")]


def test_a_version_1_event_has_awss_shape_field_by_field() -> None:
    assert V1.encode_event(REQUEST, ARRIVAL) == {
        "raw_path": "/a?p=%20&p=2",
        "method": "GET",
        "headers": {"host": "h", "x": "1,2"},
        "query_string_parameters": {"p": "2"},
        "body": "",
        "is_base64_encoded": False,
    }


def test_a_version_2_event_has_awss_shape_field_by_field() -> None:
    built = V2.encode_event(REQUEST, ARRIVAL)
    context = built.pop("requestContext")
    assert built == {
        "version": "2.0",
        "path": "/a",
        "method": "GET",
        "headers": {"host": ["h"], "x": ["1", "2"]},
        "queryStringParameters": {"p": [" ", "2"]},
        "body": "",
        "isBase64Encoded": False,
    }
    assert context.keys() == {
        "serviceNetworkArn",
        "serviceArn",
        "targetGroupArn",
        "identity",
        "region",
        "timeEpoch",
    }
    assert context["timeEpoch"] == "1690497599177000"


@pytest.mark.parametrize("codec", [V1, V2], ids=lambda codec: codec.name)
def test_a_response_has_one_single_value_map_and_the_last_cookie(codec: Any) -> None:
    head = ResponseHead(status=404, headers=[("Set-Cookie", "a=1"), ("Vary", "x"), ("vary", "y"), ("Set-Cookie", "b")])
    payload = b"".join(codec.encode_response(head, b"\xff", BodyRules()))
    assert json.loads(payload) == {
        "statusCode": 404,
        "statusDescription": "404 Not Found",
        "headers": {"vary": "x, y", "set-cookie": "b"},
        "body": "/w==",
        "isBase64Encoded": True,
    }


@pytest.mark.parametrize("payload", [b"{", b"7", b"{}", b'{"statusCode":200,"headers":{"a":null}}'])
def test_a_malformed_response_is_rejected(payload: bytes) -> None:
    with pytest.raises(InvalidFunctionResponse):
        V1.decode_response(payload)
