"""Limits and compression at the edges: what the real front doors allow is allowed, and what is beyond is refused."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from collections.abc import Iterator
from typing import Any

import brotli
import pytest

from tests.events import function_url
from tests.hardening import figures
from tests.hardening.dev_process import DOORS, DevProcess
from tests.hardening.recorder import PROBE, Recorder
from tests.proxy.process import ProxyProcess
from tests.raw_client import ask, raw_client
from tests.runtime_process import RuntimeProcess
from tests.scripted_runtime_api import ScriptedRuntimeApi

MIB = 1024 * 1024
# Lambda quotas: request line and headers together.
HEAD_LIMIT = MIB
# What the front doors say of a head that is too large: a load balancer has no 431.
HEAD_REFUSALS = {"alb": 400, "alb-multi-value": 400}
# Lambda quotas: 6 MB in; API Gateway's own 10 MB come first, and answer as it does.
BODY_LIMITS = {"alb": MIB, "alb-multi-value": MIB, "rest-api": 10 * MIB, "http-api": 10 * MIB}
BOMB = gzip.compress(b"\0" * 50 * MIB)


def head_of(size: int, path: str = "/x") -> bytes:
    """Return a request whose line and headers have exactly ``size`` bytes."""
    start = f"GET {path} HTTP/1.1\r\nHost: app.example\r\nX-Large: ".encode()
    return start + b"x" * (size - len(start) - 4) + b"\r\n\r\n"


async def test_the_proxy_takes_a_head_of_1_mb_and_refuses_a_larger_one(app: Recorder, proxy: ProxyProcess) -> None:
    assert (await ask(proxy.port, head_of(HEAD_LIMIT))).status == 200
    assert len(app.requests[0].all("x-large")[0]) > HEAD_LIMIT - 100
    for size in (HEAD_LIMIT + 1000, 3 * HEAD_LIMIT):
        assert await refusal(proxy.port, head_of(size)) == 431
    assert len(app.requests) == 1
    assert (await ask(proxy.port, head_of(200))).status == 200


async def refusal(port: int, request: bytes) -> int:
    """Return the status of a request that may be refused before it is read whole."""
    async with raw_client(port) as client:
        sending = asyncio.ensure_future(client.send(request))
        try:
            return (await client.answer()).status
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


@pytest.mark.parametrize("door", [door for door in DOORS if "alb" not in door and "api" not in door])
async def test_doors_with_lambdas_own_limit_take_1_mb_of_headers(app: Recorder, dev: DevProcess, door: str) -> None:
    assert (await ask(dev.ports[door], head_of(HEAD_LIMIT - 100))).status == 200
    assert len(app.requests[0].all("x-large")[0]) > HEAD_LIMIT - 300


@pytest.mark.parametrize("door", DOORS)
async def test_every_door_refuses_a_head_over_its_limit(app: Recorder, dev: DevProcess, door: str) -> None:
    port = dev.ports[door]
    narrow = {"rest-api": 10, "http-api": 10, "alb": 64, "alb-multi-value": 64}.get(door)
    if narrow is not None:
        assert await refusal(port, head_of(narrow * 1024 + 100)) == HEAD_REFUSALS.get(door, 431)
    assert await refusal(port, head_of(3 * HEAD_LIMIT)) == 431
    assert app.requests == []
    assert (await ask(port, head_of(200))).status == 200


async def test_a_thousand_headers_arrive_in_order_and_one_more_is_refused(
    app: Recorder, proxy: ProxyProcess, dev: DevProcess
) -> None:
    lines = "".join(f"X-{number % 5}: {number}\r\n" for number in range(999))
    request = f"GET /x HTTP/1.1\r\nHost: a\r\n{lines}"
    assert (await ask(proxy.port, f"{request}\r\n".encode())).status == 200
    assert app.requests[0].all("x-3") == [str(number) for number in range(3, 999, 5)]
    for port in (proxy.port, dev.invoke_port, *dev.ports.values()):
        assert await refusal(port, f"{request}X: 1\r\n\r\n".encode()) == 431
    assert len(app.requests) == 1


@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize(
    "request_of_many",
    [
        pytest.param(b"GET /x?%b HTTP/1.1\r\nHost: a\r\n\r\n" % b"&".join([b"a"] * 1001), id="parameters"),
        pytest.param(b"GET /x HTTP/1.1\r\nHost: a\r\nCookie: %b\r\n\r\n" % b";".join([b"a=b"] * 1001), id="cookies"),
    ],
)
async def test_a_front_door_refuses_what_would_become_a_huge_map(
    app: Recorder, dev: DevProcess, door: str, request_of_many: bytes
) -> None:
    assert await refusal(dev.ports[door], request_of_many) == HEAD_REFUSALS.get(door, 431)
    assert app.requests == []


@pytest.mark.parametrize("fields", [b"A: b\r\n" * 1001, b"A:\r\n" * 200_000], ids=["one-too-many", "200000"])
async def test_a_response_with_too_many_headers_is_an_error_that_names_them(
    app: Recorder, proxy: ProxyProcess, dev: DevProcess, fields: bytes
) -> None:
    app.replies["/x"] = b"HTTP/1.1 200 OK\r\n%bContent-Length: 0\r\n\r\n" % fields
    assert (await ask(proxy.port, b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")).status == 502
    proxy.wait_for_line("the response has more than 1000 header fields")
    assert (await ask(dev.ports["function-url"], b"GET /x HTTP/1.1\r\nHost: a\r\n\r\n")).status == 502
    assert (await ask(proxy.port, b"GET /y HTTP/1.1\r\nHost: a\r\n\r\n")).status == 200


def upload(size: int, kind: str = "text/plain", path: str = "/x") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Type: {kind}\r\nContent-Length: {size}\r\n\r\n"
    return head.encode() + b"x" * size


@pytest.mark.parametrize("door", DOORS)
async def test_a_body_over_the_limit_is_refused_and_one_at_it_is_not(app: Recorder, dev: DevProcess, door: str) -> None:
    port = dev.ports[door]
    limit = min(BODY_LIMITS.get(door, 6 * MIB), 6 * MIB)
    assert (await ask(port, upload(limit))).status == 200
    assert len(app.requests[0].body) == limit
    # A REST API takes it, and answers 500 when Lambda does not.
    expected = 500 if door == "rest-api" else 413
    assert await refusal(port, upload(limit + 1)) == expected
    assert await refusal(port, upload(11 * MIB)) == 413
    assert len(app.requests) == 1
    assert (await ask(port, upload(10))).status == 200


async def test_a_binary_body_counts_as_the_base64_that_it_becomes(app: Recorder, dev: DevProcess) -> None:
    port = dev.ports["function-url"]
    fits = 6 * MIB // 4 * 3
    assert (await ask(port, upload(fits, "application/octet-stream"))).status == 200
    assert await refusal(port, upload(fits + 1, "application/octet-stream")) == 413
    assert len(app.requests) == 1


@pytest.fixture
def api() -> Iterator[ScriptedRuntimeApi]:
    with ScriptedRuntimeApi() as scripted:
        yield scripted


def reply(body: bytes, *headers: str, status: int = 200) -> bytes:
    lines = [f"HTTP/1.1 {status} Whatever", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode() + body


@pytest.mark.parametrize(
    ("size", "kind", "fits"),
    [
        pytest.param(5 * MIB, "application/octet-stream", False, id="binary-that-fits-before-base64"),
        pytest.param(4 * MIB, "application/octet-stream", True, id="binary-that-fits-after-it"),
        pytest.param(5 * MIB, "text/plain", True, id="text"),
        pytest.param(7 * MIB, "text/plain", False, id="too-much-text"),
    ],
)
def test_a_buffered_response_is_measured_after_encoding(
    app: Recorder, api: ScriptedRuntimeApi, size: int, kind: str, fits: bool
) -> None:
    app.replies["/x"] = reply(b"x" * size, f"Content-Type: {kind}")
    environ = {"AWS_LWA_PORT": str(app.port), "AWS_LWA_READINESS_CHECK_PATH": PROBE}
    with RuntimeProcess(api, environ=environ):
        invoked = api.invoke(function_url("/x"))
        if fits:
            assert len(invoked.answer().body) >= size
        else:
            error = invoked.error()
            assert error.headers["lambda-runtime-function-error-type"] == "Function.ResponseSizeTooLarge"
            assert "AWS_LWA_INVOKE_MODE=response_stream" in error.json()["errorMessage"]
        # The next one is served.
        assert api.invoke(function_url("/y")).answer().json()["body"] == "/y"


# --- compression --------------------------------------------------------------------------------------------------

TEXT = "Content-Type: text/plain"
EVERY_CODING = "gzip, br, zstd, deflate"
UNTOUCHED = [
    pytest.param(reply(gzip.compress(b"a" * 5000), TEXT, "Content-Encoding: gzip"), id="gzip"),
    pytest.param(reply(brotli.compress(b"a" * 5000), TEXT, "Content-Encoding: br"), id="br"),
    pytest.param(
        reply(gzip.compress(b"a"), TEXT, "Content-Encoding: gzip", "Content-Encoding: identity"), id="two-lines"
    ),
    pytest.param(reply(b"\0not a coding", TEXT, "Content-Encoding: x-unknown"), id="unknown-coding"),
    pytest.param(reply(b"a" * 500, TEXT, "Content-Range: bytes 0-499/5000", status=206), id="range"),
    pytest.param(reply(b"a" * 500, TEXT, "Content-Range: bytes 0-499/5000"), id="range-with-200"),
    pytest.param(reply(b"data: 1\n\n" * 100, "Content-Type: text/event-stream"), id="event-stream"),
    pytest.param(reply(b"a" * 500, TEXT, "Cache-Control: max-age=1, no-transform"), id="no-transform"),
    pytest.param(reply(b"\x89PNG" * 500, "Content-Type: image/png"), id="image"),
    pytest.param(reply(BOMB, TEXT, "Content-Encoding: gzip"), id="bomb"),
]


@pytest.fixture(scope="module")
def compressing(shared_app: Recorder) -> Iterator[ProxyProcess]:
    flags = ("--bandwidth", "unlimited", "--readiness-path", PROBE, "--compression")
    with ProxyProcess(*flags, app_port=shared_app.port) as process:
        yield process


def get(*headers: str) -> bytes:
    return "\r\n".join(["GET /x HTTP/1.1", "Host: a", *headers, "", ""]).encode()


@pytest.mark.parametrize("whole", UNTOUCHED)
async def test_what_must_not_be_compressed_comes_out_byte_for_byte(
    app: Recorder, compressing: ProxyProcess, whole: bytes
) -> None:
    app.replies["/x"] = whole
    head, _, body = whole.partition(b"\r\n\r\n")
    answer = await ask(compressing.port, get(f"Accept-Encoding: {EVERY_CODING}"))
    assert answer.body == body
    sent = [value for name, value in answer.pairs if name == "content-encoding"]
    assert [f"Content-Encoding: {value}" in head.decode() for value in sent] == [True] * head.count(b"Content-Encoding")


async def test_a_compressed_response_says_so_in_every_header_that_matters(
    app: Recorder, compressing: ProxyProcess
) -> None:
    body = b"a" * 50_000
    app.replies["/x"] = reply(body, TEXT, 'ETag: "strong"', "Vary: Origin", "Accept-Ranges: bytes", "Content-MD5: x")
    answer = await ask(compressing.port, get("Accept-Encoding: gzip"))
    assert zlib.decompress(answer.body, 31) == body
    assert answer.headers["content-encoding"] == "gzip"
    assert answer.headers["etag"] == 'W/"strong"'
    vary = ",".join(value for name, value in answer.pairs if name == "vary").replace(" ", "").lower().split(",")
    assert sorted(vary) == ["accept-encoding", "origin"]
    assert not {"accept-ranges", "content-md5", "content-length"} & set(answer.headers)
    plain = await ask(compressing.port, get())
    assert plain.body == body
    assert plain.headers["etag"] == '"strong"'
    assert "accept-encoding" in [value for name, value in plain.pairs if name == "vary"]


async def test_a_stream_is_compressed_piece_by_piece(app: Recorder, compressing: ProxyProcess) -> None:
    """Everything that the app had flushed can be decoded although the end never comes."""
    app.replies["/x"] = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n"
    )
    async with raw_client(compressing.port) as client:
        await client.send(get("Accept-Encoding: gzip"))
        assert (await client.head()).headers["content-encoding"] == "gzip"
        decoder = zlib.decompressobj(31)
        decoded = b""
        while decoded != b"hello":
            decoded += decoder.decompress(await client.chunk())


async def test_a_bomb_is_never_decompressed_on_its_way_to_the_app(
    app: Recorder, proxy: ProxyProcess, dev: DevProcess
) -> None:
    head = f"POST /x HTTP/1.1\r\nHost: a\r\nContent-Encoding: gzip\r\nContent-Length: {len(BOMB)}\r\n\r\n"
    before = proxy.peak_memory()
    for port in (proxy.port, *dev.ports.values()):
        assert (await ask(port, head.encode() + BOMB)).status == 200
    assert {each.body for each in app.requests} == {BOMB}
    grown = proxy.peak_memory() - before
    assert grown < 10 * MIB
    figures.show("a gzip bomb of 50 MB", f"{grown / MIB:.1f} MB more memory in the proxy")


def test_a_payload_is_encoded_once(app: Recorder, api: ScriptedRuntimeApi) -> None:
    environ: dict[str, Any] = {"AWS_LWA_PORT": str(app.port), "AWS_LWA_READINESS_CHECK_PATH": PROBE}
    encoded = gzip.compress(b"a" * 5000)
    app.replies["/x"] = reply(encoded, TEXT, "Content-Encoding: gzip")
    with RuntimeProcess(api, environ=environ | {"AWS_LWA_ENABLE_COMPRESSION": "true"}):
        payload = api.invoke(function_url("/x", headers={"accept-encoding": EVERY_CODING})).answer().json()
    assert payload["headers"]["content-encoding"] == "gzip"
    assert payload["isBase64Encoded"] is True
    assert len(payload["body"]) == (len(encoded) + 2) // 3 * 4
