"""Reading an event's JSON: no key comes twice unseen, and a large body changes nothing but the way it is read."""

from __future__ import annotations

import base64
import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapter.errors import InvalidEvent
from adapter.payload.event import PASS_THROUGH, read_event
from tests.events import http_api


def body_of(raw: bytes | bytearray) -> bytes | bytearray:
    codec, event = read_event(raw)
    assert codec.name == "http-api"
    return codec.decode_request(event).body


def _with(members: bytes) -> bytes:
    return orjson.dumps(http_api())[:-1] + b"," + members + b"}"


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(_with(b'"body":"1","body":"2"'), id="at-the-top"),
        pytest.param(orjson.dumps(http_api()).replace(b'"host":', b'"host":"other", "host":'), id="in-the-headers"),
        pytest.param(orjson.dumps(http_api()).replace(b'"stage":', b'"\\u0073tage":1,"stage":'), id="escaped"),
        pytest.param(_with(b'"n":1,"n" :2'), id="space-before-a-colon"),
        pytest.param(_with(b'"n":1,"n"\t:2'), id="tab-before-a-colon"),
        pytest.param(_with(b'"n":1,"n"\r\n:2'), id="line-end-before-a-colon"),
        pytest.param(_with(b'"o":[{"n":{"n":1,"m":2,"m":3}}]'), id="within-other-values"),
        pytest.param(_with(b'"n\\\\":1,"m\\\\" :2,"m":1,"m":2'), id="beside-a-key-that-ends-with-a-backslash"),
    ],
)
def test_an_http_event_with_a_repeated_key_is_invalid(raw: bytes) -> None:
    with pytest.raises(InvalidEvent, match=r"the event has the key '\w+' twice in one object"):
        body_of(raw)


@pytest.mark.parametrize(
    "members",
    [
        pytest.param(b'"n": 1, "m": {"n": [{"n": "n"}]}', id="one-key-in-several-objects"),
        pytest.param(b'"n" : 1, "m"\n:2', id="white-space-before-colons"),
        pytest.param(b'"n": ":1", "m": "\\":2", "o": " :3"', id="colons-in-strings"),
        pytest.param(b'"n\\\\": 1, "m\\"": "a&b"', id="keys-with-escapes"),
        pytest.param(b'"q": "a=1\\u0026b=2"', id="escaped-without-need"),
    ],
)
def test_an_http_event_of_another_style_without_a_repeated_key_is_read(members: bytes) -> None:
    _, event = read_event(_with(members))
    assert event == json.loads(_with(members))


# The parts of a JSON text in which an attacker hides a repeated key, or that look like a key.
FRAGMENTS = st.lists(
    st.sampled_from(
        [
            *("x", "body", ",", ":", "{", "}", '"', '\\"', "\\\\", "\\n", "\\u0022", "é", " ", "\t"),
            *('","body":"', '","n":"', '"body":""', '","x\\"body":"', '"},"o":{"body":"'),
        ]
    ),
    max_size=6,
).map("".join)


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


def judged(raw: bytes) -> bytes | None:
    """Return the body as the standard library decodes it, or None if the event is invalid."""
    try:
        event = json.loads(raw, object_pairs_hook=unique_keys)
        if event.get("isBase64Encoded"):
            return base64.b64decode(event["body"], validate=True)
    except (ValueError, AssertionError):
        return None
    return event["body"].encode() if isinstance(event.get("body"), str) else None


@pytest.mark.parametrize("padding", [0, 70_000], ids=["small", "large"])
@pytest.mark.parametrize("is_base64", ["false", "true"])
@given(before=FRAGMENTS, body=FRAGMENTS, after=FRAGMENTS)
def test_every_repeated_key_in_an_event_is_found(
    padding: int, is_base64: str, before: str, body: str, after: str
) -> None:
    members = f'"n":"{before}","o":{{"body":""}},"body":"{"a" * padding}{body}","z":"{after}"'
    members += f',"isBase64Encoded":{is_base64}}}'
    raw = orjson.dumps(http_api())[:-1] + b"," + members.encode()
    try:
        read = body_of(raw)
    except InvalidEvent:
        assert judged(raw) is None
    else:
        assert read == judged(raw)


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
@pytest.mark.parametrize("flag", [True, False], ids=["base64", "text"])
def test_a_repeated_key_in_a_large_event_is_found(member: str, flag: bool) -> None:
    raw = orjson.dumps(http_api(isBase64Encoded=flag))[:-1] + b"," + member.encode() + b"}"
    with pytest.raises(InvalidEvent, match="twice in one object"):
        body_of(raw)


@pytest.mark.parametrize(
    "body", [LARGE, LARGE + '"', LARGE + "\\", "é" + LARGE], ids=["plain", "quote", "slash", "utf-8"]
)
@pytest.mark.parametrize("indent", [None, 1], ids=["compact", "indented"])
def test_a_large_body_is_decoded_in_any_style(body: str, indent: int | None) -> None:
    assert body_of(json.dumps(http_api(body=body), indent=indent).encode()) == body.encode()
    assert body_of(orjson.dumps(http_api(body=body))) == body.encode()


def test_an_http_event_that_is_nested_too_deep_is_invalid() -> None:
    deep = orjson.dumps(http_api())[:-1] + b',"ignored":' + b"[" * 500 + b"]" * 500 + b"}"
    with pytest.raises(InvalidEvent, match="nested too deep"):
        body_of(deep)


def test_an_http_event_may_be_written_in_any_style() -> None:
    event = http_api(numbers=[1e999, 2**70], body="é")
    assert body_of(json.dumps(event, indent=1).replace("Infinity", "1").encode()) == "é".encode()


LARGE_BINARY = bytes(range(256)) * 300
LARGE_BASE64 = base64.b64encode(LARGE_BINARY).decode()


@pytest.mark.parametrize("indent", [None, 1], ids=["compact", "indented"])
@pytest.mark.parametrize("escaped", [False, True], ids=["plain", "escaped-slashes"])
@pytest.mark.parametrize("kind", [bytes, bytearray])
def test_a_large_base64_body_is_decoded_in_any_style(
    kind: type[bytes | bytearray], escaped: bool, indent: int | None
) -> None:
    separators = None if indent else (",", ":")
    raw = json.dumps(http_api(body=LARGE_BASE64, isBase64Encoded=True), indent=indent, separators=separators)
    assert body_of(kind(raw.replace("/", "\\/" if escaped else "/").encode())) == LARGE_BINARY


def test_a_large_base64_body_stays_in_the_received_buffer() -> None:
    raw = bytearray(orjson.dumps(http_api(body=LARGE_BASE64, isBase64Encoded=True)))
    _, event = read_event(raw)
    assert event["body"].obj is raw
    assert event | {"body": LARGE_BASE64} == orjson.loads(raw)


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"o": {"body": LARGE_BASE64}, "body": "AAAA"}, id="another-body-is-large"),
        pytest.param({"o": {"body": LARGE_BASE64}, "body": "(left out)"}, id="another-body-and-the-mark"),
        pytest.param({"body": LARGE_BASE64 + "!"}, id="not-base64"),
        pytest.param({"body": "A" + LARGE_BASE64}, id="not-whole"),
    ],
)
def test_only_the_body_of_the_event_itself_is_decoded(changes: dict[str, Any]) -> None:
    raw = orjson.dumps(http_api(isBase64Encoded=True, **changes))
    if (expected := judged(raw)) is not None:
        assert body_of(raw) == expected
    else:
        with pytest.raises(InvalidEvent, match="not base64"):
            body_of(raw)


@pytest.mark.parametrize("size", [1, 100_000], ids=["small", "large"])
def test_the_flag_of_the_events_own_format_decides(size: int) -> None:
    event = {"raw_path": "/x", "method": "POST", "headers": {}, "body": "AAAA" * size}
    as_text = orjson.dumps(event | {"is_base64_encoded": False, "isBase64Encoded": True})
    as_base64 = orjson.dumps(event | {"is_base64_encoded": True, "isBase64Encoded": False})
    for raw, expected in ((as_text, b"AAAA" * size), (as_base64, bytes(3 * size))):
        codec, read = read_event(raw)
        assert codec.name == "lattice-v1"
        assert codec.decode_request(read).body == expected


def test_a_large_event_that_is_not_http_keeps_its_text() -> None:
    codec, event = read_event(orjson.dumps({"body": LARGE_BASE64, "isBase64Encoded": True}))
    assert codec is PASS_THROUGH
    assert event["body"] == LARGE_BASE64


@pytest.mark.parametrize(
    "body", [[LARGE_BASE64], None, 1, {"body": LARGE_BASE64}], ids=["list", "null", "number", "object"]
)
def test_a_large_event_whose_body_is_not_text_is_read_like_any_other(body: Any) -> None:
    raw = orjson.dumps(http_api(padding=LARGE, body=body, isBase64Encoded=True))
    _, event = read_event(raw)
    assert event == orjson.loads(raw)


def test_the_repeated_one_of_many_keys_is_found_in_proportion_to_their_number() -> None:
    # Counting each key among all others would take minutes.
    keys = ",".join([f'"k{number}":"v"' for number in range(100_000)])
    context = '{"http":{"method":"GET"}}'
    raw = f'{{"version":"2.0","requestContext":{context},"rawPath":"/","headers":{{{keys},"k99999":"w"}}}}'
    with pytest.raises(InvalidEvent, match="has the key 'k99999' twice"):
        read_event(raw.encode())


def test_an_event_is_never_refused_for_the_number_of_its_headers() -> None:
    headers = {f"h{number}": "v" for number in range(20_000)}
    event = {"version": "2.0", "requestContext": {"http": {"method": "GET"}}, "rawPath": "/", "headers": headers}
    codec, values = read_event(json.dumps(event).encode())
    assert len(codec.decode_request(values).headers) == 20_000


TEXTS = st.sampled_from(["é", '"', "\\", "\n", "я", "🎉", "\x00", "a,b", '","body":"', "8203371904126580"])
OTHERS = st.sampled_from(
    [
        ("o", {"body": "x"}),
        ("o", {"body": '"body": "'}),
        ("o", {"body": "z" * 6_000}),
        ("n", 8203371904126580),
        ("s", '"body": "'),
        ("isBase64Encoded", False),
        ("isBase64Encoded", None),
    ]
)
SEPARATORS = st.sampled_from([(",", ":"), (", ", ": "), (" ,\n", "\t: "), (",\r\n ", " :")])


@given(
    before=st.lists(OTHERS, max_size=2),
    text=st.lists(TEXTS, max_size=4).map("".join),
    after=st.lists(OTHERS, max_size=2),
    separators=SEPARATORS,
    is_ascii=st.booleans(),
    lone=st.sampled_from(["", "\ud800"]),
)
def test_a_large_text_is_read_as_the_standard_library_reads_it(
    before: list[tuple[str, Any]],
    text: str,
    after: list[tuple[str, Any]],
    separators: tuple[str, str],
    is_ascii: bool,
    lone: str,
) -> None:
    body = "a" * 9_000 + text + "b" * 9_000 + text + lone
    event = dict(before) | http_api(body=body) | dict(after)
    raw = json.dumps(event, separators=separators, ensure_ascii=is_ascii).encode(errors="surrogatepass")
    if lone:
        with pytest.raises(InvalidEvent):
            body_of(raw)
    else:
        assert body_of(bytearray(raw)) == body.encode()


def test_a_key_named_body_in_other_objects_does_not_hide_the_body() -> None:
    others = {"a": [{"body": "x\n"}], "b": {"body": "y"}, "c": '"body":"', "d": ["body", {"body": 1}]}
    assert body_of(json.dumps(others | http_api(body="\n" + LARGE)).encode()) == b"\n" + LARGE.encode()
    many = {f"k{number}": {"body": "x"} for number in range(10)}
    assert body_of(json.dumps(many | http_api(body="\n" + LARGE)).encode()) == b"\n" + LARGE.encode()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(b'{"body":"' + LARGE.encode() + b'\\n","version":"2.0",', id="cut-off"),
        pytest.param(b'{"body":"' + LARGE.encode(), id="no-end"),
        pytest.param(b'{"body":"\\' + LARGE.encode() + b'"}', id="invalid-escape"),
        pytest.param(orjson.dumps(http_api(body=LARGE)).replace(b"aa", b"a\n", 1), id="control-character"),
        pytest.param(orjson.dumps(http_api(body=LARGE)).replace(b"aa", b"a\xff", 1), id="not-utf-8"),
    ],
)
def test_a_large_event_that_is_not_json_is_invalid(raw: bytes) -> None:
    with pytest.raises(InvalidEvent, match="not JSON"):
        read_event(raw)
