"""A function's response: its fields, and the metadata prelude of a stream."""

from __future__ import annotations

import json
from typing import Any

import pytest

from adapter.errors import InvalidFunctionResponse
from adapter.payload.function_response import (
    CONTENT_TYPE,
    MAX_PRELUDE_BYTES,
    PreludeDecoder,
    encode_prelude,
    headers_of,
    set_cookies_of,
    status_of,
)
from adapter.payload.messages import ResponseHead

HEAD = ResponseHead(status=201, headers=[("Vary", "a"), ("Set-Cookie", "x=1"), ("vary", "b"), ("set-cookie", "y=2")])
NULS = b"\0" * 8


@pytest.mark.parametrize(("code", "status"), [(100, 100), (599, 599), ("404", 404)])
def test_a_status_is_an_integer_or_its_digits(code: Any, status: int) -> None:
    assert status_of({"statusCode": code}) == status


@pytest.mark.parametrize("code", [99, 600, "99", "600", "0200", "2e2", "²00", "", 200.0, True, None, [200]])
def test_anything_else_is_not_a_status(code: Any) -> None:
    with pytest.raises(InvalidFunctionResponse, match="not an integer from 100 to 599"):
        status_of({"statusCode": code})


def test_numbers_and_booleans_are_header_values() -> None:
    assert headers_of({"a": 1, "b": 1.5, "c": True, "d": "x"}, {"e": [False, 2]}) == [
        ("e", "false"),
        ("e", "2"),
        ("a", "1"),
        ("b", "1.5"),
        ("c", "true"),
        ("d", "x"),
    ]


@pytest.mark.parametrize("value", [None, {"a": 1}, "a\nb", "\x7f"])
def test_other_header_values_are_rejected(value: Any) -> None:
    with pytest.raises(InvalidFunctionResponse, match="a header value"):
        headers_of({"x": value}, None)
    with pytest.raises(InvalidFunctionResponse, match="a header value"):
        headers_of(None, {"x": [value]})


def test_cookies_become_set_cookie_headers() -> None:
    assert set_cookies_of({"cookies": ["a=1", "b=2"]}) == [("set-cookie", "a=1"), ("set-cookie", "b=2")]
    assert set_cookies_of({"cookies": None}) == set_cookies_of({}) == []


@pytest.mark.parametrize("cookies", ["a=1", {"a": "1"}, [None], ["a\r\n"]])
def test_cookies_of_another_type_are_rejected(cookies: Any) -> None:
    with pytest.raises(InvalidFunctionResponse):
        set_cookies_of({"cookies": cookies})


# --- the metadata prelude ---------------------------------------------------------------------------------------


def decode(stream: bytes) -> tuple[ResponseHead, bytes]:
    head, rest = PreludeDecoder().feed(stream)
    assert head is not None
    return head, rest


def test_a_prelude_is_json_and_eight_nul_bytes() -> None:
    prelude = encode_prelude(HEAD)
    assert prelude.endswith(NULS)
    assert json.loads(prelude[:-8]) == {"statusCode": 201, "headers": {"vary": "a, b"}, "cookies": ["x=1", "y=2"]}
    assert CONTENT_TYPE == "application/vnd.awslambda.http-integration-response"


def test_a_prelude_is_found_wherever_the_stream_is_split() -> None:
    stream = encode_prelude(HEAD) + b"\0body\0\0\0\0\0\0\0\0"
    for split in range(len(stream) + 1):
        decoder = PreludeDecoder()
        head, rest = decoder.feed(stream[:split])
        if head is None:
            assert rest == b""
            head, rest = decoder.feed(stream[split:])
        else:
            rest += stream[split:]
        assert head is not None
        assert head.status == 201
        assert head.headers == [("vary", "a, b"), ("set-cookie", "x=1"), ("set-cookie", "y=2")]
        assert rest == b"\0body\0\0\0\0\0\0\0\0"


def test_a_prelude_is_found_byte_by_byte() -> None:
    decoder = PreludeDecoder()
    results = [decoder.feed(bytes([byte])) for byte in encode_prelude(HEAD)]
    assert [head for head, _ in results[:-1]] == [None] * (len(results) - 1)
    assert results[-1][0] is not None
    assert repr(results[-1][0]) == "ResponseHead(201, 3 headers)"


def test_every_map_of_a_prelude_is_read() -> None:
    stream = b'{"headers":{"a":"1","n":3},"multiValueHeaders":{"b":["x","y"]},"cookies":["c=1"]}' + NULS
    head, rest = decode(stream)
    assert head.status == 200
    assert head.headers == [("b", "x"), ("b", "y"), ("a", "1"), ("n", "3"), ("set-cookie", "c=1")]
    assert rest == b""


def test_a_repeated_header_may_be_a_list_as_the_rust_runtime_writes_it() -> None:
    head, _ = decode(b'{"statusCode":404,"headers":{"a":["1","2"],"b":"3"}}' + NULS)
    assert (head.status, head.headers) == (404, [("a", "1"), ("a", "2"), ("b", "3")])


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        pytest.param(b"{}" + b"\0" * 7 + b"x", "not followed by 8 NUL", id="seven-nuls"),
        pytest.param(b"{}\0x", "not followed by 8 NUL", id="one-nul"),
        pytest.param(NULS, "not JSON", id="nothing"),
        pytest.param(b"<html>" + NULS, "not JSON", id="not-json"),
        pytest.param(b"[]" + NULS, "not a JSON object", id="list"),
        pytest.param(b'{"statusCode":99}' + NULS, "statusCode is 99", id="status"),
        pytest.param(b'{"headers":{"a":"b\\n"}}' + NULS, "control character", id="header"),
        pytest.param(b'{"cookies":"a=1"}' + NULS, "cookies are of type str", id="cookies"),
        pytest.param(b" " * MAX_PRELUDE_BYTES + b"{}" + NULS, "exceeds 1048576 bytes", id="too-long"),
        pytest.param(b" " * (MAX_PRELUDE_BYTES + 1), "the metadata prelude does not end", id="endless"),
    ],
)
def test_a_malformed_prelude_is_rejected_as_early_as_possible(stream: bytes, reason: str) -> None:
    with pytest.raises(InvalidFunctionResponse, match=reason):
        PreludeDecoder().feed(stream)


def test_a_prelude_of_exactly_the_limit_is_read() -> None:
    decoder = PreludeDecoder()
    assert decoder.feed(b"{}".rjust(MAX_PRELUDE_BYTES)) == (None, b"")
    head, _ = decoder.feed(NULS)
    assert head is not None
    assert decode(b"{}".rjust(MAX_PRELUDE_BYTES) + NULS)[0].status == head.status == 200


def test_a_stream_that_ends_within_the_prelude_is_rejected() -> None:
    decoder = PreludeDecoder()
    assert decoder.feed(b'{"statusCode":') == (None, b"")
    with pytest.raises(InvalidFunctionResponse, match="after 14 bytes"):
        decoder.fail_unfinished()


@pytest.mark.parametrize("single", [{f"h{number}": "v" for number in range(1001)}, None], ids=["headers", "cookies"])
def test_a_function_may_answer_with_a_thousand_headers(single: Any) -> None:
    with pytest.raises(InvalidFunctionResponse, match="has 1001 headers or cookies, more than the limit of 1000"):
        headers_of(single, None if single else {"set-cookie": ["a=b"] * 1001})
    assert len(headers_of(None, {"set-cookie": ["a=b"] * 1000})) == 1000
