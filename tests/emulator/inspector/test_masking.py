"""What is masked: secrets by their names and, once known, wherever they occur."""

from __future__ import annotations

import json
from base64 import b64encode
from typing import Any
from urllib.parse import quote

import pytest

from adapter.emulator.inspector.masking import (
    MASK,
    Masker,
    environment_secrets,
    header_secrets,
    is_secret_header,
    query_secrets,
)


@pytest.mark.parametrize(
    "name",
    [
        *("Authorization", "proxy-authorization", "Cookie", "set-cookie", "X-Api-Key", "x-amz-security-token"),
        *(
            "X-Auth-Token",
            "x-csrf-token",
            "X-Session-Id",
            "x-vault-token",
            "api-key",
            "X-Client-Secret",
            "X-Goog-Api-Key",
        ),
    ],
)
def test_headers_that_carry_credentials_are_secret(name: str) -> None:
    assert is_secret_header(name)
    assert Masker().headers([(name, "value-1")])[0][1] in (MASK, f"value-1={MASK}")


@pytest.mark.parametrize("name", ["Host", "Content-Type", "User-Agent", "Accept", "ETag", "X-Request-Id", "Location"])
def test_other_headers_are_shown(name: str) -> None:
    assert Masker().headers([(name, "value-1")]) == [[name, "value-1"]]


def test_names_and_attributes_of_cookies_stay() -> None:
    headers = [("cookie", "a=1; b=2"), ("set-cookie", "id=secret; Path=/; HttpOnly")]
    assert Masker().headers(headers) == [
        ["cookie", f"a={MASK}; b={MASK}"],
        ["set-cookie", f"id={MASK}; Path=/; HttpOnly"],
    ]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        pytest.param({"DB_PASSWORD": "hunter22"}, {"hunter22"}, id="by-name"),
        pytest.param({"STRIPE_KEY": "sk_live_1"}, {"sk_live_1"}, id="key"),
        pytest.param(
            {"DATABASE_URL": "postgres://me:s3cr3ts@db/x"}, {"s3cr3ts", "postgres://me:s3cr3ts@db/x"}, id="url"
        ),
        pytest.param({"BROKER": "amqp://me:s3cr3ts@mq/"}, {"s3cr3ts"}, id="a-password-in-any-url"),
        pytest.param(
            {"X": "ghp_16C7e42F292c6912E7710c838347Ae178B4a"},
            {"ghp_16C7e42F292c6912E7710c838347Ae178B4a"},
            id="looks-like-a-key",
        ),
        pytest.param(
            {"HOME": "/home/me", "LANG": "en_US.UTF-8", "PWD": "/home/me/app", "N": "1"}, set(), id="harmless"
        ),
        pytest.param({"API_KEY": "short"}, set(), id="too-short"),
    ],
)
def test_values_of_variables_that_look_like_secrets(variables: dict[str, str], expected: set[str]) -> None:
    assert environment_secrets(variables) == expected


def test_a_variable_of_this_function_alone_is_a_secret_unless_it_is_short() -> None:
    variables = {"GREETING": "a long greeting", "STAGE": "dev"}
    assert environment_secrets(variables, ["GREETING", "STAGE"]) == {"a long greeting"}
    assert environment_secrets(variables) == set()


SECRET = 'top/secret "v1"+é'


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(SECRET, id="plain"),
        pytest.param(json.dumps({"a": SECRET}, ensure_ascii=False), id="json"),
        pytest.param(f"/x?a={quote(SECRET)}", id="url"),
        pytest.param(f"/x?a={quote(SECRET, safe='')}", id="url-without-slashes"),
        pytest.param(f"one {SECRET} two {SECRET}", id="twice"),
    ],
)
def test_a_known_secret_is_masked_in_each_form(text: str) -> None:
    masker = Masker([SECRET])
    assert "secret" not in masker.text(text)
    assert b"secret" not in masker.data(text.encode())
    assert Masker([SECRET], reveals=True).text(text) == text


def test_the_secrets_of_a_request_are_those_of_its_headers_and_query() -> None:
    basic = b64encode(b"user:passw0rd").decode()
    found = set(header_secrets([("Authorization", f"Basic {basic}"), ("cookie", "a=cookie-1; b=cookie-2")]))
    assert {basic, "user:passw0rd", "passw0rd", "cookie-1", "cookie-2"} <= found
    assert set(query_secrets("/?access_token=t1&page=2&sig=s1")) == {"t1", "s1"}


EVENT: dict[str, Any] = {
    "headers": {"authorization": "Bearer abcdefgh", "host": "x"},
    "multiValueHeaders": {"X-Api-Key": ["one", "two"], "Accept": ["*/*"]},
    "cookies": ["a=1"],
    "rawQueryString": "token=abc&x=1",
    "queryStringParameters": {"token": "abc", "x": "1"},
    "requestContext": {"nested": ["says abcdefgh"]},
    "number": 1,
}


def test_an_event_is_masked_by_names_and_values() -> None:
    masked = Masker(["abcdefgh"]).value(EVENT)
    assert masked == {
        "headers": {"authorization": MASK, "host": "x"},
        "multiValueHeaders": {"X-Api-Key": [MASK, MASK], "Accept": ["*/*"]},
        "cookies": [f"a={MASK}"],
        "rawQueryString": f"token={MASK}&x=1",
        "queryStringParameters": {"token": MASK, "x": "1"},
        "requestContext": {"nested": [f"says {MASK}"]},
        "number": 1,
    }
    assert Masker(["abcdefgh"], reveals=True).value(EVENT) == EVENT
