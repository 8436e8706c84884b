"""What each front door sends and wants back, written down by hand from AWS's documents, not by the code under test.

The events of these tests come from the codecs. Here is what must be in them, so that a codec that reads back its own
mistake is found out, and a reader of responses that shares nothing with the codecs.
"""

from __future__ import annotations

import json
from base64 import b64decode
from dataclasses import dataclass
from typing import Any

from adapter.payload.event import FORMATS
from adapter.payload.messages import Arrival, Request
from tests.answer import Answer
from tests.scripted_runtime_api import Call

PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontDoor:
    """``event_of_get`` are fields of the event for `GET_REQUEST`, ``event_of_post`` of the one for `POST_REQUEST`.

    ``path``, ``query`` and ``repeats`` are what the app sees of the former. ``response_keys`` are all the keys of a
    buffered response, ``headers_key`` the one with the headers, ``cookies`` how many of two cookies it can carry.
    """

    name: str
    event_of_get: dict[str, Any]
    event_of_post: dict[str, Any]
    query: str
    repeats: list[str]
    response_keys: set[str]
    headers_key: str
    cookies: int
    path: str = "/echo/a%2Fb"

    def event(self, request: Request) -> dict[str, Any]:
        """Return the event that the codec makes of ``request``."""
        return FORMATS[self.name].encode_event(request, Arrival(request_id="id", time_ms=1_583_348_638_390))

    def read(self, call: Call, *, streamed: bool) -> FunctionAnswer:
        """Return the HTTP response in what the runtime sent."""
        return read_streamed(call) if streamed else self._read_buffered(call)

    def _read_buffered(self, call: Call) -> FunctionAnswer:
        assert "lambda-runtime-function-response-mode" not in call.headers
        assert call.headers["content-type"] == "application/json"
        payload = call.json()
        assert payload.keys() == self.response_keys
        body = b64decode(payload["body"], validate=True) if payload["isBase64Encoded"] else payload["body"].encode()
        cookies = [("set-cookie", value) for value in payload.get("cookies", [])]
        answer = FunctionAnswer(payload["statusCode"], _pairs(payload[self.headers_key]) + cookies, body)
        answer.base64 = payload["isBase64Encoded"]
        answer.description = payload.get("statusDescription")
        return answer


class FunctionAnswer(Answer):
    """A response in a function's answer; ``base64`` and ``description`` are None if a format has no such field."""

    base64: bool | None = None
    description: str | None = None


def read_streamed(call: Call) -> FunctionAnswer:
    """Return a metadata prelude, 8 NUL bytes, the body."""
    assert call.headers["lambda-runtime-function-response-mode"] == "streaming"
    assert call.headers["content-type"] == PRELUDE_TYPE
    assert call.headers["transfer-encoding"] == "chunked"
    assert not call.trailers
    head, delimiter, body = bytes(call.body).partition(b"\0" * 8)
    assert delimiter
    prelude = json.loads(head)
    assert prelude.keys() == {"statusCode", "headers", "cookies"}
    headers = _pairs(prelude["headers"]) + [("set-cookie", value) for value in prelude["cookies"]]
    return FunctionAnswer(prelude["statusCode"], headers, body)


def _pairs(values: dict[str, Any]) -> list[tuple[str, str]]:
    return [(name, item) for name, value in values.items() for item in (value if isinstance(value, list) else [value])]


GET_REQUEST = Request(
    method="GET",
    target="/echo/a%2Fb?x=1&x=2&y=%20%C3%BC",
    headers=[("Host", "example.test"), ("X-Repeat", "one"), ("X-Repeat", "two"), ("Cookie", "a=1; b=2")],
)
# Not UTF-8, and with bytes that a JSON string would escape.
BINARY = bytes(range(256)) * 64
POST_REQUEST = Request(
    method="POST",
    target="/echo/upload",
    headers=[("Host", "example.test"), ("Content-Type", "application/octet-stream")],
    body=BINARY,
)

_LISTS = {
    "host": ["example.test"],
    "x-repeat": ["one", "two"],
    "cookie": ["a=1; b=2"],
}
_DECODED = {"x": ["1", "2"], "y": [" ü"]}
_POSTED = {"httpMethod": "POST", "path": "/echo/upload", "isBase64Encoded": True}
_QUERY = "x=1&x=2&y=%20%C3%BC"
_COMMON_KEYS = {"statusCode", "body", "isBase64Encoded"}

FRONT_DOORS = (
    FrontDoor(
        name="http-api",
        event_of_get={
            "version": "2.0",
            "rawPath": "/echo/a/b",
            "rawQueryString": _QUERY,
            "headers": {"host": "example.test", "x-repeat": "one,two"},
            "cookies": ["a=1", "b=2"],
            "queryStringParameters": {"x": "1,2", "y": " ü"},
        },
        event_of_post={"rawPath": "/echo/upload", "rawQueryString": "", "isBase64Encoded": True},
        query=_QUERY,
        repeats=["one,two"],
        response_keys=_COMMON_KEYS | {"headers", "cookies"},
        headers_key="headers",
        cookies=2,
        path="/echo/a/b",
    ),
    FrontDoor(
        name="rest-api",
        event_of_get={
            "httpMethod": "GET",
            "path": "/echo/a%2Fb",
            "resource": "/{proxy+}",
            "pathParameters": {"proxy": "echo/a%2Fb"},
            "multiValueHeaders": {"Host": ["example.test"], "X-Repeat": ["one", "two"], "Cookie": ["a=1; b=2"]},
            "headers": {"Host": "example.test", "X-Repeat": "two", "Cookie": "a=1; b=2"},
            "queryStringParameters": {"x": "2", "y": " ü"},
            "multiValueQueryStringParameters": _DECODED,
            "body": None,
        },
        event_of_post=_POSTED,
        query=_QUERY,
        repeats=["one", "two"],
        response_keys=_COMMON_KEYS | {"multiValueHeaders"},
        headers_key="multiValueHeaders",
        cookies=2,
    ),
    FrontDoor(
        name="alb",
        event_of_get={
            "httpMethod": "GET",
            "path": "/echo/a%2Fb",
            "headers": {"host": "example.test", "x-repeat": "two", "cookie": "a=1; b=2"},
            "queryStringParameters": {"x": "2", "y": "%20%C3%BC"},
            "body": "",
        },
        event_of_post=_POSTED,
        query="x=2&y=%20%C3%BC",
        repeats=["two"],
        response_keys=_COMMON_KEYS | {"headers", "statusDescription"},
        headers_key="headers",
        cookies=1,
    ),
    FrontDoor(
        name="alb-multi-value",
        event_of_get={
            "httpMethod": "GET",
            "path": "/echo/a%2Fb",
            "multiValueHeaders": _LISTS,
            "multiValueQueryStringParameters": {"x": ["1", "2"], "y": ["%20%C3%BC"]},
            "body": "",
        },
        event_of_post=_POSTED,
        query=_QUERY,
        repeats=["one", "two"],
        response_keys=_COMMON_KEYS | {"multiValueHeaders", "statusDescription"},
        headers_key="multiValueHeaders",
        cookies=2,
    ),
    FrontDoor(
        name="lattice-v2",
        event_of_get={
            "version": "2.0",
            "method": "GET",
            "path": "/echo/a%2Fb",
            "headers": _LISTS,
            "queryStringParameters": _DECODED,
        },
        event_of_post={"method": "POST", "path": "/echo/upload", "isBase64Encoded": True},
        query=_QUERY,
        repeats=["one", "two"],
        response_keys=_COMMON_KEYS | {"headers", "statusDescription"},
        headers_key="headers",
        cookies=1,
    ),
)
