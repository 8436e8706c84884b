"""Application Load Balancer targets."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapter.errors import InvalidFunctionResponse
from adapter.payload.body import BodyRules
from adapter.payload.event import FORMATS
from adapter.payload.messages import Arrival, Request, ResponseHead

SINGLE = FORMATS["alb"]
MULTI = FORMATS["alb-multi-value"]
ARRIVAL = Arrival(request_id="r-1", time_ms=0)
REQUEST = Request(method="GET", target="/a?p=%20&p=2&q", headers=[("Host", "h"), ("X", "1"), ("x", "2")])
HEAD = ResponseHead(status=200, headers=[("Set-Cookie", "a=1"), ("Vary", "x"), ("vary", "y"), ("Set-Cookie", "b=2")])
CONTEXT = {
    "elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/local/0123456789abcdef"}
}


def event(**changes: Any) -> dict[str, Any]:
    return {"httpMethod": "GET", "path": "/", "requestContext": {"elb": {}}} | changes


def test_query_parameters_stay_encoded() -> None:
    assert SINGLE.decode_request(event(queryStringParameters={"a%20b": "%26+"})).target == "/?a%20b=%26+"
    multi = event(multiValueHeaders={}, multiValueQueryStringParameters={"a": ["%26", "2"]})
    assert MULTI.decode_request(multi).target == "/?a=%26&a=2"


def test_a_single_value_event_has_awss_shape_field_by_field() -> None:
    assert SINGLE.encode_event(REQUEST, ARRIVAL) == {
        "requestContext": CONTEXT,
        "httpMethod": "GET",
        "path": "/a",
        "queryStringParameters": {"p": "2", "q": ""},
        "headers": {"host": "h", "x": "2"},
        "body": "",
        "isBase64Encoded": False,
    }


def test_a_single_value_event_has_the_last_line_of_cookies() -> None:
    headers = [("Cookie", "a=1; b=2"), ("cookie", "c=3"), ("X-Forwarded-For", "203.0.113.7, 127.0.0.1")]
    built = SINGLE.encode_event(Request(method="GET", target="/", headers=headers), ARRIVAL)
    assert built["headers"] == {"cookie": "c=3", "x-forwarded-for": "203.0.113.7, 127.0.0.1"}


def test_a_path_is_encoded_and_stays_as_it_is() -> None:
    assert SINGLE.decode_request(event(path="/100%/a%2Fb")).target == "/100%/a%2Fb"


def test_a_multi_value_event_has_awss_shape_field_by_field() -> None:
    assert MULTI.encode_event(REQUEST, ARRIVAL) == {
        "requestContext": CONTEXT,
        "httpMethod": "GET",
        "path": "/a",
        "multiValueQueryStringParameters": {"p": ["%20", "2"], "q": [""]},
        "multiValueHeaders": {"host": ["h"], "x": ["1", "2"]},
        "body": "",
        "isBase64Encoded": False,
    }


def test_a_single_value_response_joins_headers_and_keeps_the_last_cookie() -> None:
    assert json.loads(b"".join(SINGLE.encode_response(HEAD, b"hi", BodyRules()))) == {
        "statusCode": 200,
        "statusDescription": "200 OK",
        "headers": {"vary": "x, y", "set-cookie": "b=2"},
        "body": "hi",
        "isBase64Encoded": False,
    }


def test_a_multi_value_response_keeps_every_header() -> None:
    assert json.loads(b"".join(MULTI.encode_response(HEAD, b"hi", BodyRules()))) == {
        "statusCode": 200,
        "statusDescription": "200 OK",
        "multiValueHeaders": {"set-cookie": ["a=1", "b=2"], "vary": ["x", "y"]},
        "body": "hi",
        "isBase64Encoded": False,
    }


def test_the_load_balancer_reads_only_the_map_of_its_setting() -> None:
    payload = b'{"statusCode":200,"headers":{"a":"1"},"multiValueHeaders":{"b":["2","3"]}}'
    assert SINGLE.decode_response(payload)[0].headers == [("a", "1")]
    assert MULTI.decode_response(payload)[0].headers == [("b", "2"), ("b", "3")]


@pytest.mark.parametrize("codec", [SINGLE, MULTI], ids=lambda codec: codec.name)
@pytest.mark.parametrize("payload", [b"{", b"[]", b"{}", b'{"statusCode":200,"body":1}'])
def test_a_malformed_response_is_rejected(codec: Any, payload: bytes) -> None:
    with pytest.raises(InvalidFunctionResponse):
        codec.decode_response(payload)
