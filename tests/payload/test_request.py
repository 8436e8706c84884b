"""From an invocation to the app's request."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest

from adapter.errors import InvalidEvent
from adapter.payload.messages import Invocation
from adapter.payload.request import RequestRules, app_request, ascii_json, context_headers
from tests.events import http_api

RULES = RequestRules()
ENV_CONFIG: dict[str, str | int] = {
    "function_name": "f",
    "memory": 128,
    "version": "$LATEST",
    "log_group": "/aws/lambda/f",
    "log_stream": "s",
}


def invoke(
    event: Any, rules: RequestRules = RULES, **known: Any
) -> tuple[str, str, list[tuple[str, str]], bytes | bytearray]:
    """Return format, target, headers without the Lambda context, and body."""
    raw = event if isinstance(event, bytes) else orjson.dumps(event)
    codec, request = app_request(Invocation(request_id="r-1", event=raw, **known), rules)
    headers = [header for header in request.headers if header[0] != "x-amzn-lambda-context"]
    assert len(headers) == len(request.headers) - 1
    return codec.name, request.target, headers, request.body


def test_an_http_event_becomes_its_request_with_the_context_added() -> None:
    name, target, headers, body = invoke(http_api(body="x"))
    assert (name, target, body) == ("http-api", "/api/items?x=1", b"x")
    assert headers == [
        ("host", "h.example"),
        ("accept", "*/*"),
        ("x-amzn-request-context", '{"http":{"method":"GET"},"stage":"$default"}'),
    ]


def test_a_client_can_neither_forge_nor_remove_the_context_headers() -> None:
    forged = {
        "X-Amzn-Request-Context": "forged",
        "x_amzn_lambda_context": "forged",
        "x-amz_tenant-id": "forged",
        "X_Amzn_Trace_Id": "forged",
        "connection": "x-amzn-request-context, x-amzn-lambda-context, x-amz-tenant-id, x-amzn-trace-id",
    }
    _, _, headers, _ = invoke(http_api(headers=forged), trace_id="Root=1-a", tenant_id="t")
    assert [name for name, _ in headers] == ["x-amzn-request-context", "x-amz-tenant-id", "x-amzn-trace-id"]
    assert "forged" not in str(headers)


def test_a_client_keeps_its_trace_id_if_lambda_has_none() -> None:
    _, _, headers, _ = invoke(http_api(headers={"x-amzn-trace-id": "Root=1-b"}))
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
    _, _, headers, _ = invoke(http_api(headers=sent))
    assert headers[:-1] == [("b", "2")]


@pytest.mark.parametrize("base", ["/api", "api/"])
def test_the_base_path_is_stripped(base: str) -> None:
    assert invoke(http_api(), RequestRules(base_path=base))[1] == "/items?x=1"


def test_the_authorization_source_becomes_authorization() -> None:
    rules = RequestRules(authorization_source="X-Auth")
    _, _, headers, _ = invoke(http_api(headers={"x-auth": "Bearer t"}), rules)
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
    assert names == ["content-type", "x-amzn-lambda-event", "x-amzn-lambda-context", "x-amzn-trace-id"]


@pytest.mark.parametrize(
    ("path", "target"), [("/hooks/lambda", "/hooks/lambda"), ("hook", "/hook"), ("/e?source=a b", "/e?source=a%20b")]
)
def test_the_pass_through_path_can_be_set(path: str, target: str) -> None:
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
        pytest.param(orjson.dumps(http_api())[:-1] + b',"body":"\\ud800"}', id="http-with-lone-surrogate"),
        pytest.param(orjson.dumps(http_api())[:-1] + b',"n":NaN}', id="http-with-nan"),
    ],
)
def test_an_event_that_is_not_json_is_invalid_and_never_passed_through(raw: bytes) -> None:
    with pytest.raises(InvalidEvent, match="the event is not JSON: "):
        app_request(Invocation(request_id="r-1", event=raw), RULES)


def test_an_http_event_with_a_malformed_part_is_invalid() -> None:
    with pytest.raises(InvalidEvent, match="control character"):
        invoke(http_api(headers={"a": "b\r\nc: d"}))


# --- the context headers ----------------------------------------------------------------------------------------


def invocation(**known: Any) -> Invocation:
    return Invocation(request_id="r-1", event=b"{}", deadline_ms=1583348648390, **known)


def test_an_invocation_with_little_metadata_has_nulls_and_no_tenant() -> None:
    headers = dict(context_headers({"stage": "prod"}, invocation(), ENV_CONFIG))
    assert json.loads(headers.pop("x-amzn-lambda-context")) == {
        "request_id": "r-1",
        "deadline": 1583348648390,
        "invoked_function_arn": "",
        "xray_trace_id": None,
        "client_context": None,
        "identity": None,
        "tenant_id": None,
        "env_config": ENV_CONFIG,
    }
    assert headers == {"x-amzn-request-context": '{"stage":"prod"}'}


def test_all_metadata_of_an_invocation_is_in_the_headers() -> None:
    full = invocation(
        trace_id="Root=1-a;Sampled=1",
        invoked_function_arn="arn:aws:lambda:eu-west-1:123456789012:function:f",
        client_context='{"client":{"app_title":"t"},"custom":{"k":"v"}}',
        cognito_identity='{"cognitoIdentityId":"i","cognitoIdentityPoolId":"p"}',
        tenant_id="tenant-7",
    )
    headers = dict(context_headers(None, full, ENV_CONFIG))
    context = json.loads(headers.pop("x-amzn-lambda-context"))
    assert context["xray_trace_id"] == "Root=1-a;Sampled=1"
    assert context["invoked_function_arn"].endswith(":function:f")
    assert context["client_context"] == {"client": {"app_title": "t"}, "custom": {"k": "v"}}
    assert context["identity"] == {"cognitoIdentityId": "i", "cognitoIdentityPoolId": "p"}
    assert context["tenant_id"] == "tenant-7"
    assert headers == {"x-amz-tenant-id": "tenant-7", "x-amzn-trace-id": "Root=1-a;Sampled=1"}


@pytest.mark.parametrize("field", ["client_context", "cognito_identity"])
def test_a_context_that_is_not_json_fails_the_invocation(field: str) -> None:
    with pytest.raises(InvalidEvent, match="is not JSON"):
        context_headers(None, invocation(**{field: "{"}), ENV_CONFIG)


@pytest.mark.parametrize("value", [{"a": "b"}, {"é": "\U0001f600"}, "\x7f", "\r\n\0", "\u0085\u00a0"])
def test_json_in_a_header_is_printable_ascii(value: Any) -> None:
    text = ascii_json(value)
    assert text.isascii()
    assert text.isprintable()
    assert json.loads(text) == value


def test_a_context_too_deep_to_write_fails_the_invocation() -> None:
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": deep}
    with pytest.raises(InvalidEvent, match="cannot be written as a header"):
        ascii_json(deep)
