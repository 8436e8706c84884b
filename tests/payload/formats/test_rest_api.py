"""API Gateway REST API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapter.errors import InvalidFunctionResponse
from adapter.payload.body import BodyRules
from adapter.payload.event import FORMATS
from adapter.payload.messages import Arrival, Request, ResponseHead

CODEC = FORMATS["rest-api"]
ARRIVAL = Arrival(
    request_id="r-1", time_ms=1428582896000, domain_name="abc.execute-api.eu-west-1.amazonaws.com", stage="prod"
)


def event(**changes: Any) -> dict[str, Any]:
    return {"httpMethod": "GET", "path": "/", "requestContext": {}} | changes


def test_decoded_query_values_are_encoded_again() -> None:
    built = event(multiValueQueryStringParameters={"a b": ["1&2", "é"]}, queryStringParameters={"a b": "é"})
    assert CODEC.decode_request(built).target == "/?a%20b=1%262&a%20b=%C3%A9"


def test_single_value_maps_are_read_if_the_others_are_null() -> None:
    built = event(
        headers={"a": "1"},
        multiValueHeaders=None,
        queryStringParameters={"q": "2"},
        multiValueQueryStringParameters=None,
    )
    request = CODEC.decode_request(built)
    assert (request.target, request.headers, request.body) == ("/?q=2", [("a", "1")], b"")


def test_a_path_keeps_its_encoding_and_illegal_bytes_are_encoded() -> None:
    assert CODEC.decode_request(event(path="/a%2Fb c%")).target == "/a%2Fb%20c%"


def test_a_path_that_an_http_api_has_decoded_becomes_a_legal_target() -> None:
    assert CODEC.decode_request(event(version="1.0", path="/a%2Fb?c#%")).target == "/a%2Fb%3Fc%23%25"


def test_slashes_at_the_start_of_a_path_become_one() -> None:
    built = CODEC.encode_event(Request(method="GET", target="///x//y", headers=[]), ARRIVAL)
    assert (built["path"], built["pathParameters"]) == ("/x//y", {"proxy": "x//y"})
    assert built["requestContext"]["path"] == "/prod///x//y"


def test_the_event_has_awss_shape_field_by_field() -> None:
    headers = [("host", "h"), ("X-A", "1"), ("x-a", "2"), ("x-forwarded-for", "127.0.0.1"), ("Content-Length", "1")]
    request = Request(method="PUT", target="/a/b%20c/?p=1&p=2%26", headers=headers, body=b"\xff")
    assert CODEC.encode_event(request, ARRIVAL) == {
        "resource": "/{proxy+}",
        "path": "/a/b%20c/",
        "httpMethod": "PUT",
        "headers": {"Host": "h", "X-A": "2", "X-Forwarded-For": "127.0.0.1"},
        "multiValueHeaders": {"Host": ["h"], "X-A": ["1", "2"], "X-Forwarded-For": ["127.0.0.1"]},
        "queryStringParameters": {"p": "2&"},
        "multiValueQueryStringParameters": {"p": ["1", "2&"]},
        "pathParameters": {"proxy": "a/b%20c"},
        "stageVariables": None,
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "local",
            "domainName": "abc.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "abc",
            "extendedRequestId": "r-1",
            "httpMethod": "PUT",
            "identity": {
                "accessKey": None,
                "accountId": None,
                "caller": None,
                "cognitoAuthenticationProvider": None,
                "cognitoAuthenticationType": None,
                "cognitoIdentityId": None,
                "cognitoIdentityPoolId": None,
                "principalOrgId": None,
                "sourceIp": "127.0.0.1",
                "user": None,
                "userAgent": None,
                "userArn": None,
            },
            "path": "/prod/a/b%20c/",
            "protocol": "HTTP/1.1",
            "requestId": "r-1",
            "requestTime": "09/Apr/2015:12:34:56 +0000",
            "requestTimeEpoch": 1428582896000,
            "resourceId": "proxy1",
            "resourcePath": "/{proxy+}",
            "stage": "prod",
        },
        "body": "/w==",
        "isBase64Encoded": True,
    }


def test_the_root_has_no_path_parameters_and_empty_maps_are_null() -> None:
    built = CODEC.encode_event(Request(method="GET", target="/", headers=[("User-Agent", "curl")]), ARRIVAL)
    assert built["resource"] == built["requestContext"]["resourcePath"] == "/"
    assert built["requestContext"]["identity"]["userAgent"] == "curl"
    nulls = ("pathParameters", "queryStringParameters", "multiValueQueryStringParameters", "body")
    assert [built[name] for name in nulls] == [None] * 4


def test_a_response_has_one_map_only() -> None:
    headers = [("Set-Cookie", "x=1"), ("A", "b"), ("set-cookie", "y=2")]
    payload = CODEC.encode_response(ResponseHead(status=302, headers=headers), b"", BodyRules())
    assert json.loads(b"".join(payload)) == {
        "statusCode": 302,
        "multiValueHeaders": {"set-cookie": ["x=1", "y=2"], "a": ["b"]},
        "body": "",
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize(
    ("single", "multi", "expected"),
    [
        pytest.param({"a": "solo"}, {"a": ["multi"]}, [("a", "multi"), ("a", "solo")], id="one-name"),
        pytest.param({"a-b": "solo"}, {"A-b": ["multi"]}, [("A-b", "multi"), ("a-b", "solo")], id="in-other-case"),
        pytest.param({"A": "1"}, {"a": ["1", "2"]}, [("a", "1"), ("a", "2")], id="one-value-of-both-counts-once"),
        pytest.param({"b": 2}, {"a": ["3"]}, [("a", "3"), ("b", "2")], id="different-names"),
        pytest.param(None, {"a": []}, [], id="nothing"),
    ],
)
def test_a_response_has_the_values_of_both_maps(single: object, multi: object, expected: list[tuple[str, str]]) -> None:
    """Source: LocalStack's AWS-validated snapshots; that equal values count once, API Gateway's documentation."""
    payload = json.dumps({"statusCode": 200, "headers": single, "multiValueHeaders": multi, "body": "x"}).encode()
    head, body = CODEC.decode_response(payload)
    assert (head.headers, body) == (expected, b"x")


@pytest.mark.parametrize(
    "payload",
    [{}, {"headers": {"a": "1"}}, {"body": "x"}, {"statusCode": None}],
    ids=["empty", "headers", "body", "null"],
)
def test_a_response_without_a_status_is_a_200(payload: dict[str, object]) -> None:
    """Source: LocalStack's AWS-validated snapshots; of null, nothing is known."""
    assert CODEC.decode_response(json.dumps(payload).encode())[0].status == 200


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param(b'"text"', "is of type str, not a JSON object", id="text"),
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b'{"statusCode":"test"}', "statusCode is 'test'", id="status"),
        pytest.param(
            b'{"statusCode":200,"multiValueHeaders":{"a":"1"}}',
            "'a' in multiValueHeaders is of type str, not a list",
            id="string-for-a-list",
        ),
        pytest.param(b'{"statusCode":200,"cookies":[]}', "has the key 'cookies'", id="unknown-key"),
        pytest.param(b'{"statusCode":200,"body":7}', "body is of type int", id="body"),
        pytest.param(b'{"statusCode":200,"headers":[]}', "not a JSON object", id="headers-are-an-empty-list"),
        pytest.param(
            b'{"statusCode":200,"headers":{"a":["b"]}}', "value is of type list", id="list-in-single-value-map"
        ),
    ],
)
def test_a_malformed_response_is_rejected(payload: bytes, reason: str) -> None:
    with pytest.raises(InvalidFunctionResponse, match=reason):
        CODEC.decode_response(payload)
