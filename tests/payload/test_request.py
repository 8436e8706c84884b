"""From an invocation to the app's request."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import InvalidEvent
from adapter.payload.messages import Invocation
from adapter.payload.request import RequestRules, app_request

RULES = RequestRules()


def http_event(**changes: Any) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": "/api/items",
        "rawQueryString": "x=1",
        "headers": {"host": "h.example", "accept": "*/*"},
        "requestContext": {"http": {"method": "GET"}, "stage": "$default"},
    } | changes


def invoke(event: Any, rules: RequestRules = RULES, **known: Any) -> tuple[str, str, list[tuple[str, str]], bytes]:
    """Format, target, headers without the Lambda context, and body."""
    raw = event if isinstance(event, bytes) else orjson.dumps(event)
    codec, request = app_request(Invocation(request_id="r-1", event=raw, **known), rules)
    headers = [header for header in request.headers if header[0] != "x-amzn-lambda-context"]
    assert len(headers) == len(request.headers) - 1
    return codec.name, request.target, headers, request.body


def test_an_http_event_becomes_its_request_with_the_context_added() -> None:
    name, target, headers, body = invoke(http_event(body="x"))
    assert (name, target, body) == ("http-api", "/api/items?x=1", b"x")
    assert headers == [
        ("host", "h.example"),
        ("accept", "*/*"),
        ("x-amzn-request-context", '{"http":{"method":"GET"},"stage":"$default"}'),
    ]


def test_a_client_can_neither_forge_nor_remove_what_the_adapter_says() -> None:
    forged = {
        "X-Amzn-Request-Context": "forged",
        "x_amzn_lambda_context": "forged",
        "x-amz_tenant-id": "forged",
        "X_Amzn_Trace_Id": "forged",
        "connection": "x-amzn-request-context, x-amzn-lambda-context, x-amz-tenant-id, x-amzn-trace-id",
    }
    _, _, headers, _ = invoke(http_event(headers=forged), trace_id="Root=1-a", tenant_id="t")
    assert [name for name, _ in headers] == ["x-amzn-request-context", "x-amz-tenant-id", "x-amzn-trace-id"]
    assert "forged" not in str(headers)


def test_a_trace_id_of_the_clients_stays_where_lambda_has_none() -> None:
    _, _, headers, _ = invoke(http_event(headers={"x-amzn-trace-id": "Root=1-b"}))
    assert ("x-amzn-trace-id", "Root=1-b") in headers


def test_framing_hop_by_hop_and_expect_are_not_forwarded() -> None:
    sent = {
        "content-length": "9",
        "te": "trailers",
        "expect": "100-continue",
        "connection": "x-a",
        "x-a": "1",
        "b": "2",
    }
    _, _, headers, _ = invoke(http_event(headers=sent))
    assert headers[:-1] == [("b", "2")]


@pytest.mark.parametrize("base", ["/api", "api/"])
def test_the_base_path_is_stripped(base: str) -> None:
    assert invoke(http_event(), RequestRules(base_path=base))[1] == "/items?x=1"


def test_the_authorization_source_becomes_authorization() -> None:
    rules = RequestRules(authorization_source="X-Auth")
    _, _, headers, _ = invoke(http_event(headers={"x-auth": "Bearer t"}), rules)
    assert headers[0] == ("authorization", "Bearer t")


def test_an_event_without_request_context_has_no_header_for_it() -> None:
    name, target, headers, _ = invoke({"raw_path": "/x", "method": "GET", "headers": {}})
    assert (name, target, headers) == ("lattice-v1", "/x", [])


def test_the_function_is_described_in_the_lambda_context() -> None:
    config: dict[str, str | int] = {"function_name": "f", "memory": 128}
    _, request = app_request(Invocation(request_id="r-1", event=b"1"), RequestRules(env_config=config))
    assert json.loads(dict(request.headers)["x-amzn-lambda-context"])["env_config"] == config


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b' { "Records" : [ ] } ', id="white-space"),
        pytest.param(b'{"a":1,"a":2}', id="repeated-key"),
        pytest.param(b'{"n":123456789012345678901234567890}', id="integer-beyond-64-bits"),
        pytest.param(b'{"n":18446744073709551616.0}', id="float"),
        pytest.param(b'{"n":NaN}', id="nan"),
        pytest.param(b'{"n":1e999}', id="infinite"),
        pytest.param(b"1" * 5000, id="integer-of-5000-digits"),
        pytest.param(b'{"s":"\\ud800"}', id="lone-surrogate"),
        pytest.param(b"[1]", id="list"),
        pytest.param(b'"text"', id="text"),
        pytest.param(b"null", id="null"),
    ],
)
def test_an_event_that_is_not_http_is_passed_through_byte_for_byte(raw: bytes) -> None:
    codec, request = app_request(Invocation(request_id="r-1", event=raw, trace_id="t"), RULES)
    assert codec.name == "pass-through"
    assert (request.method, request.target, request.body) == ("POST", "/events", raw)
    names = [name for name, _ in request.headers]
    assert names == ["content-type", "x-amzn-lambda-context", "x-amzn-trace-id"]


@pytest.mark.parametrize(
    ("path", "target"), [("/hooks/lambda", "/hooks/lambda"), ("hook", "/hook"), ("/e?source=a b", "/e?source=a%20b")]
)
def test_the_pass_through_path_is_the_users(path: str, target: str) -> None:
    assert invoke(b"{}", RequestRules(pass_through_path=path))[1] == target


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="truncated"),
        pytest.param(b"{} x", id="trailing-text"),
        pytest.param(b"\xff", id="not-utf-8"),
        pytest.param(b"\xef\xbb\xbf{}", id="byte-order-mark"),
        pytest.param(b"[" * 100_000 + b"]" * 100_000, id="too-deep"),
        pytest.param(orjson.dumps(http_event())[:-1] + b',"body":"\\ud800"}', id="http-with-lone-surrogate"),
        pytest.param(orjson.dumps(http_event())[:-1] + b',"n":NaN}', id="http-with-nan"),
    ],
)
def test_what_is_not_json_is_an_invalid_event_and_never_passed_through(raw: bytes) -> None:
    with pytest.raises(InvalidEvent, match="the event is not JSON: "):
        app_request(Invocation(request_id="r-1", event=raw), RULES)


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(orjson.dumps(http_event())[:-1] + b',"body":"1","body":"2"}', id="at-the-top"),
        pytest.param(orjson.dumps(http_event()).replace(b'"host":', b'"host":"other", "host":'), id="in-the-headers"),
        pytest.param(orjson.dumps(http_event()).replace(b'"stage":', b'"\\u0073tage":1,"stage":'), id="escaped"),
    ],
)
def test_an_http_event_in_which_a_key_comes_twice_is_invalid(raw: bytes) -> None:
    with pytest.raises(InvalidEvent, match=r"the event has the key '\w+' twice in one object"):
        app_request(Invocation(request_id="r-1", event=raw), RULES)


# What a JSON text is made of that somebody hides a key in, or what looks like a key.
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *("x", "body", ",", ":", "{", "}", '"', '\\"', "\\\\", "\\n", "\\u0022", "é", " "),
            *('","body":"', '","n":"', '"body":""', '","x\\"body":"', '"},"o":{"body":"'),
        ]
    ),
    max_size=6,
).map("".join)


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def is_judged_valid(raw: bytes) -> bool:
    """By the standard library alone."""
    try:
        event = json.loads(raw, object_pairs_hook=unique_keys)
    except (ValueError, AssertionError):
        return False
    return isinstance(event.get("body"), str)


@pytest.mark.parametrize("padding", [0, 70_000], ids=["small", "large"])
@given(before=FRAGMENTS, body=FRAGMENTS, after=FRAGMENTS)
def test_no_key_that_comes_twice_hides_in_an_event(padding: int, before: str, body: str, after: str) -> None:
    members = f'"n":"{before}","o":{{"body":""}},"body":"{"a" * padding}{body}","z":"{after}"}}'
    raw = orjson.dumps(http_event())[:-1] + b"," + members.encode()
    try:
        app_request(Invocation(request_id="r-1", event=raw), RULES)
    except InvalidEvent:
        assert not is_judged_valid(raw)
    else:
        assert is_judged_valid(raw)


LARGE = "a" * 70_000


@pytest.mark.parametrize(
    "member",
    [
        pytest.param(f'"body":"{LARGE}","body":"{LARGE}"', id="two-large-bodies"),
        pytest.param(f'"body":"{LARGE}","body":""', id="then-an-empty-one"),
        pytest.param(f'"body":"","body":"{LARGE}"', id="after-an-empty-one"),
        pytest.param(f'"o":{{"body":"{LARGE}","body":""}}', id="within-another-object"),
        pytest.param(f'"n":"{LARGE}","n":"","body":""', id="another-large-value"),
        pytest.param(f'"x\\"body":"{LARGE}","x\\"body":"","body":""', id="a-key-that-ends-like-body"),
    ],
)
def test_a_key_that_comes_twice_in_a_large_event_is_found(member: str) -> None:
    raw = orjson.dumps(http_event())[:-1] + b"," + member.encode() + b"}"
    with pytest.raises(InvalidEvent, match="twice in one object"):
        app_request(Invocation(request_id="r-1", event=raw), RULES)


@pytest.mark.parametrize(
    "body", [LARGE, LARGE + '"', LARGE + "\\", "é" + LARGE], ids=["plain", "quote", "slash", "utf-8"]
)
@pytest.mark.parametrize("indent", [None, 1], ids=["compact", "indented"])
def test_a_large_body_comes_through_in_any_style(body: str, indent: int | None) -> None:
    assert invoke(json.dumps(http_event(body=body), indent=indent).encode())[3] == body.encode()
    assert invoke(http_event(body=body))[3] == body.encode()


def test_an_http_event_that_is_nested_too_deep_is_invalid() -> None:
    deep = orjson.dumps(http_event())[:-1] + b',"ignored":' + b"[" * 500 + b"]" * 500 + b"}"
    with pytest.raises(InvalidEvent, match="nested too deep"):
        app_request(Invocation(request_id="r-1", event=deep), RULES)


def test_an_http_event_may_be_written_in_any_style() -> None:
    event = http_event(numbers=[1e999, 2**70], body="é")
    assert invoke(json.dumps(event, indent=1).replace("Infinity", "1").encode())[3] == "é".encode()


def test_an_http_event_with_a_broken_part_is_invalid() -> None:
    with pytest.raises(InvalidEvent, match="control character"):
        invoke(http_event(headers={"a": "b\r\nc: d"}))
