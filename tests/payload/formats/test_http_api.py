"""API Gateway HTTP API and function URLs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapter.errors import InvalidEvent, InvalidFunctionResponse, RefusedRequest
from adapter.payload.body import BodyRules
from adapter.payload.event import FORMATS
from adapter.payload.formats.http_api import FunctionUrl
from adapter.payload.messages import Arrival, Request, ResponseHead

CODEC = FORMATS["http-api"]
ARRIVAL = Arrival(
    request_id="r-1",
    time_ms=1584039838390,
    source_ip="203.0.113.7",
    domain_name="abc.execute-api.eu-west-1.amazonaws.com",
    api_id="abc",
)


def event(**changes: Any) -> dict[str, Any]:
    return {"version": "2.0", "requestContext": {"http": {"method": "GET"}}} | changes


@pytest.mark.parametrize(
    ("headers", "cookies", "expected"),
    [
        pytest.param({"cookie": "a=1; b=2"}, ["a=1", "b=2"], "a=1; b=2", id="same-in-both"),
        pytest.param({}, ["a=1", "b=2"], "a=1; b=2", id="list-only"),
        pytest.param({"Cookie": "a=1;b=2"}, [], "a=1;b=2", id="header-only"),
        pytest.param({"COOKIE": "c=3; a=1"}, ["a=1", "b=2"], "a=1; b=2; c=3", id="some-in-each"),
        pytest.param({"cookie": "a=1; b=2"}, ["a=1; b=2"], "a=1; b=2", id="two-in-one-entry"),
    ],
)
def test_cookies_are_merged_into_one_header(headers: dict[str, str], cookies: list[str], expected: str) -> None:
    request = CODEC.decode_request(event(headers={"a": "b"} | headers, cookies=cookies))
    found = [value for name, value in request.headers if name.lower() == "cookie"]
    assert found == [expected]
    assert ("a", "b") in request.headers


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"cookies": "a=1"}, "cookies are of type str", id="cookies-are-text"),
        pytest.param({"cookies": [1]}, "a header value is of type int", id="cookie-is-a-number"),
        pytest.param({"cookies": ["a\n"]}, "control character", id="cookie-with-line-break"),
        pytest.param({"rawPath": 1}, "path is of type int", id="path"),
        pytest.param({"requestContext": {"http": {}}}, "method is None", id="no-method"),
        pytest.param({"body": "*", "isBase64Encoded": True}, "not base64", id="body"),
    ],
)
def test_an_event_with_a_malformed_part_is_invalid(changes: dict[str, Any], reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason):
        CODEC.decode_request(event(**changes))


def test_the_event_has_awss_shape_field_by_field() -> None:
    headers = [("Host", "h"), ("User-Agent", "curl"), ("X-A", "1"), ("x-a", "2"), ("Cookie", "a=1; b=2")]
    headers.append(("Content-Type", "text/plain"))
    request = Request(method="POST", target="/a%20b?p=1&p=%C3%A9&q", headers=headers, body=b"text")
    assert CODEC.encode_event(request, ARRIVAL) == {
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": "/a b",
        "rawQueryString": "p=1&p=%C3%A9&q",
        "cookies": ["a=1", "b=2"],
        "headers": {
            "host": "h",
            "user-agent": "curl",
            "x-a": "1,2",
            "content-type": "text/plain",
        },
        "queryStringParameters": {"p": "1,é", "q": ""},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": "abc",
            "domainName": "abc.execute-api.eu-west-1.amazonaws.com",
            "domainPrefix": "abc",
            "http": {
                "method": "POST",
                "path": "/a b",
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "curl",
            },
            "requestId": "r-1",
            "routeKey": "$default",
            "stage": "$default",
            "time": "12/Mar/2020:19:03:58 +0000",
            "timeEpoch": 1584039838390,
        },
        "body": "text",
        "isBase64Encoded": False,
    }


def test_the_event_of_a_function_url_has_the_path_in_both_forms_and_cookies_twice() -> None:
    headers = [("Cookie", "a=1; b=2"), ("Connection", "keep-alive")]
    built = FunctionUrl().encode_event(Request(method="GET", target="/a%2Fb?x", headers=headers), ARRIVAL)
    assert (built["rawPath"], built["requestContext"]["http"]["path"]) == ("/a%2Fb", "/a/b")
    assert (built["headers"], built["cookies"]) == ({"cookie": "a=1; b=2"}, ["a=1", "b=2"])
    assert built["requestContext"]["accountId"] == "anonymous"


def test_an_http_api_refuses_a_path_that_it_cannot_decode_twice() -> None:
    with pytest.raises(RefusedRequest, match="decodes paths twice"):
        CODEC.encode_event(Request(method="GET", target="/100%25", headers=[]), ARRIVAL)


@pytest.mark.parametrize(
    ("path", "target"),
    [
        pytest.param("/a?b", "/a%3Fb", id="question-mark"),
        pytest.param("/a#b", "/a%23b", id="hash"),
        pytest.param("/a\r\nX: y\r\n\r\nGET /b", "/a%0D%0AX:%20y%0D%0A%0D%0AGET%20/b", id="line-break"),
        pytest.param("/a\0\x7f\x85", "/a%00%7F%C2%85", id="controls"),
        pytest.param("/é λ", "/%C3%A9%20%CE%BB", id="beyond-ascii"),
        pytest.param("//evil.example/x", "//evil.example/x", id="two-slashes"),
        pytest.param("/100%", "/100%25", id="percent-at-the-end"),
        pytest.param("/%zz%4", "/%25zz%254", id="percent-before-no-digits"),
        pytest.param("/%é%4é", "/%25%C3%A9%254%C3%A9", id="percent-before-an-encoded-byte"),
        pytest.param("/%\u0661\u0661", "/%25%D9%A1%D9%A1", id="percent-before-other-digits"),
        pytest.param("/a%2Fb%252F", "/a%2Fb%252F", id="an-encoded-path-stays"),
    ],
)
def test_a_decoded_path_becomes_a_legal_target(path: str, target: str) -> None:
    assert CODEC.decode_request(event(rawPath=path, rawQueryString="x=%3F")).target == target + "?x=%3F"


def test_empty_fields_are_absent() -> None:
    built = CODEC.encode_event(Request(method="GET", target="/", headers=[]), ARRIVAL)
    assert not {"cookies", "queryStringParameters", "body"} & built.keys()


def test_a_response_joins_headers_and_lists_cookies() -> None:
    headers = [("Vary", "a"), ("Set-Cookie", "x=1"), ("vary", "b"), ("Set-Cookie", "y=2")]
    payload = CODEC.encode_response(ResponseHead(status=200, headers=headers), b"hi", BodyRules())
    assert json.loads(b"".join(payload)) == {
        "statusCode": 200,
        "headers": {"vary": "a, b"},
        "cookies": ["x=1", "y=2"],
        "body": "hi",
        "isBase64Encoded": False,
    }


@pytest.mark.parametrize(
    ("payload", "expected"),
    [
        pytest.param(b'"hello"', b"hello", id="a-string-as-it-is"),
        pytest.param(b'"\\u00e9 \\"q\\""', 'é "q"'.encode(), id="a-string-unescaped"),
        pytest.param(b'{"hello": "world"}', b'{"hello":"world"}', id="compact"),
        pytest.param(b'["hello", 3, true]', b'["hello",3,true]', id="a-list"),
        pytest.param(
            b' {"a": "x,  \\"y\\\\ : \\\\",\n "b" : [ ]}', b'{"a":"x,  \\"y\\\\ : \\\\","b":[]}', id="not-in-strings"
        ),
        pytest.param(b"[1.50, 12345678901234567890123]", b"[1.50,12345678901234567890123]", id="numbers-as-they-are"),
        pytest.param(b"null", b"null", id="null"),
        pytest.param(b"3.1", b"3.1", id="a-number"),
    ],
)
def test_json_without_a_status_code_is_the_body_of_a_200(payload: bytes, expected: bytes) -> None:
    """Source: LocalStack's AWS-validated snapshots of function URLs; the string also AWS's documentation."""
    head, body = CODEC.decode_response(payload)
    assert (head.status, head.headers, body) == (200, [("content-type", "application/json")], expected)


def test_a_response_may_use_every_map() -> None:
    payload = b'{"statusCode":"404","headers":{"a":true},"multiValueHeaders":{"b":["1","2"]},"cookies":["c=1"]}'
    head, body = CODEC.decode_response(payload)
    assert (head.status, body) == (404, b"")
    assert head.headers == [("b", "1"), ("b", "2"), ("a", "true"), ("set-cookie", "c=1")]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        pytest.param(b"oops", "not JSON", id="not-json"),
        pytest.param(b'{"statusCode":200,"body":{}}', "body is of type dict", id="body-is-an-object"),
        pytest.param(b'{"statusCode":200,"body":"*","isBase64Encoded":true}', "not base64", id="base64"),
    ],
)
def test_a_malformed_response_is_rejected(payload: bytes, reason: str) -> None:
    with pytest.raises(InvalidFunctionResponse, match=reason):
        CODEC.decode_response(payload)
