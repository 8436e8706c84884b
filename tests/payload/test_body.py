"""Text or base64, both ways."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from typing import Any

import pytest

from adapter.errors import InvalidEvent, InvalidFunctionResponse
from adapter.payload.body import BodyRules, decode_body, event_body, response_parts, text_of

NOT_UTF_8 = b"\xff\xfe"


def typed(content_type: str, content_encoding: str = "") -> list[tuple[str, str]]:
    headers = [("X-Other", "1"), ("Content-Type", content_type)]
    return [*headers, ("Content-Encoding", content_encoding)] if content_encoding else headers


@pytest.mark.parametrize(
    "content_type",
    [
        "text/html; charset=utf-8",
        "text/event-stream",
        "application/json",
        "Application/Problem+JSON",
        "application/xml",
        "application/javascript",
        "application/x-www-form-urlencoded",
        "image/svg+xml",
        "model/gltf+json",
        "application/x-unheard-of",
        "",
    ],
)
def test_utf_8_is_text_unless_the_type_is_binary(content_type: str) -> None:
    assert text_of(typed(content_type), "é".encode(), BodyRules()) is not None
    assert text_of(typed(content_type), NOT_UTF_8, BodyRules()) is None


@pytest.mark.parametrize(
    "content_type",
    [
        "image/png",
        "audio/ogg",
        "video/mp4",
        "font/woff2",
        "model/stl",
        "application/octet-stream",
        "Application/PDF",
        "application/zip; x=y",
        "application/gzip",
        "application/protobuf",
        "application/vnd.google.protobuf",
        "application/grpc+proto",
        "application/epub+zip",
        "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    ],
)
def test_binary_types_are_binary_whatever_their_bytes(content_type: str) -> None:
    assert text_of(typed(content_type), b"ascii", BodyRules()) is None


@pytest.mark.parametrize(
    ("coding", "text"), [("gzip", False), ("identity, br", False), ("Identity", True), (",", True)]
)
def test_a_content_encoding_means_binary(coding: str, text: bool) -> None:
    assert (text_of(typed("text/html", coding), b"ascii", BodyRules()) is not None) is text


@pytest.mark.parametrize(
    ("rules", "headers", "text"),
    [
        pytest.param(BodyRules(binary_types=["text/csv"]), typed("text/csv"), False, id="binary"),
        pytest.param(BodyRules(text_types=["application/pdf"]), typed("Application/PDF; v=1"), True, id="text"),
        pytest.param(BodyRules(binary_types=["TEXT/*"]), typed("text/css"), False, id="wildcard"),
        pytest.param(BodyRules(binary_types=["*+json"]), typed("application/ld+json"), False, id="suffix"),
        pytest.param(BodyRules(binary_types=["*/*"]), typed("application/json"), False, id="everything"),
        pytest.param(BodyRules(text_types=["text/html"]), typed("text/html", "gzip"), True, id="over-encoding"),
        pytest.param(BodyRules(binary_types=["a/b"], text_types=["a/*"]), typed("a/b"), False, id="binary-over-text"),
        pytest.param(BodyRules(binary_types=["a.b/c"]), typed("axb/c"), True, id="a-dot-is-a-dot"),
        pytest.param(
            BodyRules(binary_types=["text/x"], text_types=["image/x"]), typed("image/png"), False, id="no-match"
        ),
    ],
)
def test_the_users_rules_come_first(rules: BodyRules, headers: list[tuple[str, str]], text: bool) -> None:
    assert (text_of(headers, b"ascii", rules) is not None) is text


def test_a_rule_holds_however_many_types_were_seen() -> None:
    rules = BodyRules(binary_types=["text/x"])
    for number in range(300):
        for _ in range(2):
            assert text_of(typed(f"text/plain; boundary={number}"), b"ascii", rules) is not None
            assert text_of(typed(f"text/x; boundary={number}{'-' * number}"), b"ascii", rules) is None


def test_no_rule_makes_text_of_bytes_that_are_not_utf_8() -> None:
    assert text_of(typed("image/png"), NOT_UTF_8, BodyRules(text_types=["*"])) is None


@pytest.mark.parametrize("body", [b'say "\xc3\xa9"\n\0', bytearray(b"text"), b""])
def test_a_text_body_is_one_json_part(body: bytes) -> None:
    (payload,) = response_parts({"statusCode": 200}, typed("text/plain"), body, BodyRules())
    assert json.loads(payload) == {"statusCode": 200, "body": body.decode(), "isBase64Encoded": False}


@pytest.mark.parametrize("content_type", ["text/plain", "image/png"])
@pytest.mark.parametrize("end", ['"é🎉\n'.encode(), NOT_UTF_8])
def test_a_large_body_has_parts_of_its_own(end: bytes, content_type: str) -> None:
    body = b'{"a": "\xc3\xa9"}\n' * 10_000 + end
    payload = json.loads(b"".join(response_parts({"statusCode": 200}, typed(content_type), body, BodyRules())))
    is_text = content_type == "text/plain" and end != NOT_UTF_8
    assert payload.pop("body") == (body.decode() if is_text else b64encode(body).decode())
    assert payload == {"statusCode": 200, "isBase64Encoded": not is_text}


@pytest.mark.parametrize("body", [NOT_UTF_8, bytearray(b"ascii")])
def test_a_binary_body_is_a_part_of_its_own(body: bytes) -> None:
    parts = response_parts({"statusCode": 200}, typed("image/png"), body, BodyRules())
    assert b64decode(parts[1]) == body
    assert json.loads(b"".join(parts)) == {
        "statusCode": 200,
        "isBase64Encoded": True,
        "body": b64encode(body).decode(),
    }


@pytest.mark.parametrize(
    ("body", "is_base64", "expected"),
    [
        pytest.param("é\n", False, "é\n".encode(), id="text"),
        pytest.param("YQ==", None, b"YQ==", id="flag-is-null"),
        pytest.param("/+8=", True, b"\xff\xef", id="base64"),
        pytest.param("", True, b"", id="empty-base64"),
        pytest.param(None, True, b"", id="null"),
    ],
)
def test_a_body_field_becomes_bytes(body: Any, is_base64: Any, expected: bytes) -> None:
    assert decode_body(body, is_base64, InvalidEvent) == expected


@pytest.mark.parametrize(
    ("body", "is_base64", "reason"),
    [
        pytest.param("YQ", True, "not base64", id="no-padding"),
        pytest.param("YQ==\n", True, "not base64", id="white-space"),
        pytest.param("YQ==YQ==", True, "not base64", id="trailing-text"),
        pytest.param("-_8=", True, "not base64", id="url-alphabet"),
        pytest.param("é", True, "not base64", id="non-ascii"),
        pytest.param("\ud800", False, "lone surrogate", id="surrogate"),
        pytest.param({"a": 1}, False, "is of type dict, not a string", id="object"),
        pytest.param("YQ==", "true", "base64 flag is 'true'", id="flag-is-text"),
        pytest.param("YQ==", 1, "base64 flag is 1", id="flag-is-a-number"),
    ],
)
def test_a_malformed_body_field_is_rejected(body: Any, is_base64: Any, reason: str) -> None:
    for failure in (InvalidEvent, InvalidFunctionResponse):
        with pytest.raises(failure, match=reason):
            decode_body(body, is_base64, failure)


@pytest.mark.parametrize(
    ("headers", "body", "expected"),
    [
        pytest.param(typed("application/json; charset=utf-8"), "é".encode(), ("é", False), id="json"),
        pytest.param(typed("text/csv"), b"a,b", ("a,b", False), id="text"),
        pytest.param(typed("text/csv"), NOT_UTF_8, ("//4=", True), id="text-that-is-not-utf-8"),
        pytest.param(typed("application/x-www-form-urlencoded"), b"a=1", ("YT0x", True), id="form"),
        pytest.param(typed("application/json", "gzip"), b"a", ("YQ==", True), id="encoded"),
        pytest.param([], b"a", ("YQ==", True), id="no-type"),
        pytest.param([], b"", ("", False), id="empty"),
        pytest.param(typed("text/plain"), b"", ("", False), id="empty-text"),
    ],
)
def test_front_doors_write_only_their_own_text_types_as_text(
    headers: list[tuple[str, str]], body: bytes, expected: tuple[str, bool]
) -> None:
    assert event_body(headers, body) == expected
