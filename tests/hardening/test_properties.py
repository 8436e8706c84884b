"""The fuzz targets' properties in the normal suite: hypothesis's fixed examples, and what fuzzing has found before."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fuzz.checks import check_connection, check_event, check_payload, check_response
from tests.hardening.events import FORMATS, good, malformed_events
from tests.hardening.gadgets import gadgets

EVENTS = [raw for _, raw in malformed_events(2_000, 66)]
GADGETS = [payload for _, payload in gadgets() if len(payload) < 4096]
RESPONSES = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5;a=b\r\nhello\r\n0\r\nX-Late: 1\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n",
    b"HTTP/1.0 200 OK\r\n\r\nuntil the end",
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nanything",
]
# What a mutation puts in: the bytes that mean something to a parser.
TELLING = [
    b"\r\n",
    b"\n",
    b"\r",
    b"\0",
    b" ",
    b"\t",
    b":",
    b";",
    b",",
    b"0",
    b"\r\n\r\n",
    b"\x7f",
    b"\xff",
    b'"',
    b"{",
    b"}",
]

cuts = st.lists(st.integers(0, 5000), max_size=6)
json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=10), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def mutated(draw: st.DrawFn, originals: list[bytes]) -> bytes:
    """Return one of ``originals`` with a few TELLING bytes inserted or replaced."""
    raw = draw(st.sampled_from(originals))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        raw = raw[:at] + draw(st.sampled_from(TELLING)) + raw[at + draw(st.integers(0, 4)) :]
    return raw


@given(raw=mutated(EVENTS) | st.binary(max_size=200))
def test_an_event_is_refused_or_becomes_exactly_one_legal_request(raw: bytes) -> None:
    check_event(raw)


@given(name=st.sampled_from(FORMATS), field=st.integers(0, 20), value=json_values)
def test_a_field_of_an_event_may_be_anything(name: str, field: int, value: Any) -> None:
    event = json.loads(good(name, "/x"))
    event[list(event)[field % len(event)]] = value
    check_event(json.dumps(event).encode())


@given(
    status=json_values,
    headers=json_values,
    cookies=json_values,
    body=json_values,
    tail=st.binary(max_size=30),
    where=cuts,
)
def test_a_payload_is_refused_or_becomes_a_legal_response(
    status: Any, headers: Any, cookies: Any, body: Any, tail: bytes, where: list[int]
) -> None:
    for code in (status, 200):
        fields = {
            "statusCode": code,
            "headers": headers,
            "multiValueHeaders": headers,
            "cookies": cookies,
            "body": body,
        }
        raw = json.dumps(fields).encode()
        check_payload(raw, where)
        check_payload(raw + b"\0" * 8 + tail, where)
        check_payload(raw + tail, where)


@given(raw=mutated(RESPONSES) | st.binary(max_size=100), where=cuts, method=st.sampled_from(["GET", "HEAD"]))
def test_a_response_means_the_same_wherever_it_is_cut(raw: bytes, where: list[int], method: str) -> None:
    check_response(raw, where, method)


@given(raw=mutated(GADGETS), where=cuts)
def test_requests_are_the_same_wherever_they_are_cut(raw: bytes, where: list[int]) -> None:
    check_connection(raw, where)


# --- found by fuzzing ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: " + b"\x9d" * 80 + b"\r\n\r\n", id="a-coding-quoted-at-any-length"
        ),
    ],
)
def test_what_was_found_in_responses_stays_mended(raw: bytes) -> None:
    check_response(raw, [])
