"""The headers that tell the app about its invocation."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapter.errors import InvalidEvent
from adapter.payload.context import ascii_json, authorized, context_headers
from adapter.payload.messages import Invocation

ENV_CONFIG: dict[str, str | int] = {
    "function_name": "f",
    "memory": 128,
    "version": "$LATEST",
    "log_group": "/aws/lambda/f",
    "log_stream": "s",
}


def invocation(**known: Any) -> Invocation:
    return Invocation(request_id="r-1", event=b"{}", deadline_ms=1583348648390, **known)


def test_an_invocation_that_lambda_says_little_about_has_nulls_and_no_tenant() -> None:
    headers = dict(context_headers({"stage": "prod"}, invocation(), ENV_CONFIG))
    assert json.loads(headers.pop("x-amzn-lambda-context")) == {
        "request_id": "r-1",
        "deadline": 1583348648390,
        "invoked_function_arn": "",
        "xray_trace_id": None,
        "client_context": None,
        "identity": None,
        "env_config": ENV_CONFIG,
    }
    assert headers == {"x-amzn-request-context": '{"stage":"prod"}'}


def test_an_invocation_that_lambda_says_everything_about_hands_it_on() -> None:
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
    with pytest.raises(InvalidEvent, match="cannot be a header"):
        ascii_json(deep)


def test_the_authorization_source_replaces_authorization_and_goes() -> None:
    headers = [("X-Auth", "one"), ("Authorization", "client"), ("x-auth", "two"), ("a", "b")]
    assert authorized(headers, "x-auth") == [("a", "b"), ("authorization", "one")]


def test_without_the_authorization_source_the_clients_own_stays() -> None:
    headers = [("Authorization", "client")]
    assert authorized(headers, "x-auth") == headers
    assert authorized(headers, "authorization") == [("authorization", "client")]
