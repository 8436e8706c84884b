"""Request → event → request and response → payload → response, up to what each format keeps."""

from __future__ import annotations

import json
import string

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import RefusedRequest
from adapter.payload.body import BodyRules
from adapter.payload.event import HTTP_FORMATS, PASS_THROUGH, detect
from adapter.payload.formats.codec import Codec
from adapter.payload.formats.http_api import FunctionUrl
from adapter.payload.function_response import PreludeDecoder, encode_prelude
from adapter.payload.messages import Arrival, Request, ResponseHead
from tests.payload.canonical import is_refused, kept_of_request, kept_of_response

FORMATS = [pytest.param(codec, id=codec.name) for codec in (*HTTP_FORMATS, FunctionUrl())]
ARRIVAL = Arrival(request_id="c6af9ac6-7b61-11e6-9a41-93e8deadbeef", time_ms=1583348638390)

tokens = st.text(st.sampled_from(string.ascii_letters + string.digits + "!#$%&'*+-.^_`|~"), min_size=1, max_size=12)
names = st.sampled_from(["Accept", "accept", "Cookie", "cookie", "Host", "X-A", "x-a", "Content-Type"]) | tokens
values = st.text(st.characters(exclude_categories=["Cs", "Cc"]) | st.just("\t"), max_size=20)
cookies = st.lists(st.sampled_from(["a=1", "b=2", "a=3", "c"]), max_size=3).map("; ".join)
request_headers = st.lists(
    names.flatmap(lambda name: st.tuples(st.just(name), cookies if name.lower() == "cookie" else values)), max_size=8
)
response_headers = st.lists(
    st.tuples(names | st.sampled_from(["Set-Cookie", "set-cookie", "Content-Encoding"]), values), max_size=8
)
encoded_pieces = ["%2F", "%252F", "%3F", "%23", "%25", "%20", "%C3%A9"]
path_pieces = st.sampled_from(["/", "a", "api", *encoded_pieces, "//", "..", ":", "@", "+", "'", "[", "{", "%"])
paths = st.lists(path_pieces, max_size=6).map(lambda pieces: "/" + "".join(pieces))
query_pieces = st.sampled_from(["a", "b", "=", "&", "1", "%26", "%3D", "%C3%A9", "%20", "+", "?", "/", "a=1&", "&b="])
targets = st.tuples(paths, st.lists(query_pieces, max_size=8).map("".join)).map(
    lambda both: f"{both[0]}?{both[1]}" if both[1] else both[0]
)
bodies = st.binary(max_size=40) | st.text(max_size=20).map(lambda text: text.encode(errors="replace"))
requests = st.builds(
    Request,
    method=st.sampled_from(["GET", "POST", "OPTIONS", "PURGE"]),
    target=targets,
    headers=request_headers,
    body=bodies,
)
heads = st.builds(ResponseHead, status=st.integers(100, 599), headers=response_headers)


@pytest.mark.parametrize("codec", FORMATS)
@given(request_=requests)
def test_an_event_keeps_what_its_format_can_hold_of_a_request(codec: Codec, request_: Request) -> None:
    if is_refused(codec.name, request_.target):
        with pytest.raises(RefusedRequest):
            codec.encode_event(request_, ARRIVAL)
        return
    event = orjson.loads(orjson.dumps(codec.encode_event(request_, ARRIVAL)))
    assert isinstance(codec, type(detect(event)))
    assert kept_of_request("exact", codec.decode_request(event)) == kept_of_request(codec.name, request_)


@pytest.mark.parametrize("codec", FORMATS)
@given(head=heads, body=bodies)
def test_a_payload_keeps_what_its_format_can_hold_of_a_response(codec: Codec, head: ResponseHead, body: bytes) -> None:
    payload = b"".join(codec.encode_response(head, body, BodyRules()))
    assert kept_of_response("exact", *codec.decode_response(payload)) == kept_of_response(codec.name, head, body)


@given(head=heads)
def test_a_prelude_keeps_what_format_2_can_hold_of_a_head(head: ResponseHead) -> None:
    decoded, rest = PreludeDecoder().feed(encode_prelude(head) + b"body")
    assert decoded is not None
    assert kept_of_response("exact", decoded, rest) == kept_of_response("prelude", head, b"body")


@given(body=bodies, types=st.lists(st.sampled_from(["text/*", "*/*", "image/png", "*"]), max_size=2))
def test_no_rule_of_the_user_loses_a_byte(body: bytes, types: list[str]) -> None:
    head = ResponseHead(status=200, headers=[("content-type", "image/png")])
    for rules in (BodyRules(text_types=types), BodyRules(binary_types=types)):
        payload = b"".join(HTTP_FORMATS[0].encode_response(head, body, rules))
        assert HTTP_FORMATS[0].decode_response(payload)[1] == body


@given(event=st.dictionaries(st.text(max_size=5), st.integers(-(2**63), 2**64 - 1) | st.text(max_size=5), max_size=4))
def test_a_passed_through_event_is_the_same_json(event: dict[str, int | str]) -> None:
    request = PASS_THROUGH.decode_request(event)
    assert json.loads(request.body) == event
    assert PASS_THROUGH.encode_event(request, ARRIVAL) == event
