"""Content-Encoding in streams: a function URL undoes it (source: field reports), a REST API passes it on."""

from __future__ import annotations

import asyncio
import gzip
import zlib
from typing import Any

import brotli
import pytest

from tests.emulator.scripted import Handed, ScriptedRuntime, local_lambda, prelude
from tests.emulator.scripts import each, streaming
from tests.raw_client import RawClient, head

PLAIN = b"a line of text\n" * 1000


def encoded_prelude(coding: str, **headers: str) -> bytes:
    return prelude(headers={"content-type": "text/plain", "Content-Encoding": coding} | headers)


@pytest.mark.parametrize(
    ("coding", "body"),
    [
        pytest.param("gzip", gzip.compress(PLAIN), id="gzip"),
        pytest.param("br", brotli.compress(PLAIN), id="br"),
        pytest.param("gzip, br", brotli.compress(gzip.compress(PLAIN)), id="both"),
    ],
)
async def test_a_function_url_sends_plain_bytes_without_the_header(coding: str, body: bytes) -> None:
    script = streaming(encoded_prelude(coding, vary="accept-encoding") + body[:7], body[7:])
    async with local_lambda(script) as local:
        response = await local.request("GET", "/", b"", {"Accept-Encoding": "gzip, br"})
        assert (response.status, response.body, response.is_cut) == (200, PLAIN, False)
        assert response.header("content-encoding") is None
        assert response.header("vary") == "accept-encoding"
        record = await local.visit()
        assert (record.decoded, record.warning) == (coding, "")
        # What is counted and billed is what the function sent.
        assert (record.streamed, record.sent) == (len(body), len(PLAIN))


@pytest.mark.parametrize(
    ("door", "flags"),
    [
        pytest.param("rest-api", {}, id="rest-api"),
        pytest.param("function-url", {"decode_streams": "false"}, id="turned-off"),
        pytest.param("function-url", {"url_invoke_mode": "buffered"}, id="a-buffered-url"),
    ],
)
async def test_elsewhere_the_coding_arrives(door: str, flags: dict[str, Any]) -> None:
    body = gzip.compress(PLAIN)
    async with local_lambda(streaming(encoded_prelude("gzip"), body), front_doors=door, **flags) as local:
        response = await local.request("GET", "/")
        assert (response.header("content-encoding"), response.body) == ("gzip", body)
        assert (await local.visit()).decoded == ""


async def test_an_unknown_coding_is_passed_on_with_a_warning() -> None:
    async with local_lambda(streaming(encoded_prelude("snappy"), b"body")) as local:
        response = await local.request("GET", "/")
        assert (response.header("content-encoding"), response.body) == ("snappy", b"body")
        record = await local.visit()
        assert record.warning == "the body is not decoded: adapter dev does not support the coding 'snappy'"


async def test_what_the_function_flushes_reaches_the_client_at_once() -> None:
    go_on = asyncio.Event()

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        compressor = zlib.compressobj(wbits=31)
        upload = await runtime.stream(handed)
        first = compressor.compress(b"first") + compressor.flush(zlib.Z_SYNC_FLUSH)
        await upload.write(encoded_prelude("gzip") + first)
        await go_on.wait()
        await upload.write(compressor.flush())
        await upload.end()

    async with local_lambda(each(serve)) as local:
        client = await RawClient.connect(local.port)
        await client.send(head("GET", "/", {}))
        assert (await client.head()).status == 200
        assert await client.chunk() == b"first"
        go_on.set()
        assert await client.chunk() == b""
        await client.close()


async def test_the_limit_counts_the_bytes_before_decoding() -> None:
    body = gzip.compress(bytes(3_000_000))
    assert len(body) < 4000
    for limit, is_cut in ((4000, False), (1000, True)):
        async with local_lambda(streaming(encoded_prelude("gzip"), body), stream_limit=str(limit)) as local:
            response = await local.request("GET", "/")
            assert response.is_cut is is_cut
            record = await local.visit()
            assert record.streamed == min(len(body), limit)
            assert (record.error_type == "Function.ResponseSizeTooLarge") is is_cut


@pytest.mark.parametrize(
    ("body", "received", "why"),
    [
        pytest.param(b"plain text", b"", "is not encoded as its Content-Encoding says", id="not-encoded"),
        pytest.param(gzip.compress(PLAIN)[:-4], PLAIN, "before the encoded data was complete", id="truncated"),
    ],
)
async def test_a_body_that_cannot_be_decoded_is_broken_off_and_the_runtime_goes_on(
    body: bytes, received: bytes, why: str
) -> None:
    async with local_lambda(streaming(encoded_prelude("gzip"), body, b"")) as local:
        for _ in range(2):
            response = await local.request("GET", "/")
            assert (response.status, response.body, response.is_cut) == (200, received, True)
            record = await local.visit()
            assert why in record.error_message
        assert local.starts == 1


@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("GET", 204), ("GET", 304)])
async def test_an_empty_body_has_nothing_to_undo(method: str, status: int) -> None:
    fields = {"statusCode": status, "headers": {"content-encoding": "gzip"}}
    async with local_lambda(streaming(prelude(**fields))) as local:
        response = await local.request(method, "/")
        assert (response.status, response.is_cut, response.header("content-encoding")) == (status, False, None)
        assert (await local.visit()).error_type == ""
