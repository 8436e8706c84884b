"""A piece that the app has flushed is on its way before the app makes the next one.

No clock is involved. The app may produce a piece only after the test has seen the one before at the Runtime API, so a
piece that waits anywhere for company ends the test.
"""

from __future__ import annotations

import json
import socket
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from queue import SimpleQueue

import brotli
import pytest
import zstandard

from tests.events import SQS, function_url
from tests.runtime_process import RuntimeProcess
from tests.scripted_app import PATIENCE, Received, ScriptedApp
from tests.scripted_runtime_api import Call, ScriptedRuntimeApi

STREAMED = {"AWS_LWA_INVOKE_MODE": "response_stream"}
COMPRESSED = STREAMED | {"AWS_LWA_ENABLE_COMPRESSION": "true"}
PIECES = [b"piece %d\n" % number for number in range(1, 6)]
PERMITTED_APPS = str(Path(__file__).resolve().parent / "permitted")

Decode = Callable[[bytes], bytes]


class Gate:
    """A stream of the scripted app: each piece needs a permission, None as the permission ends it."""

    def __init__(self, head: bytes, encode: Callable[[bytes], bytes], end: bytes) -> None:
        self._head, self._encode, self._end = head, encode, end
        self._permitted: SimpleQueue[bytes | None] = SimpleQueue()

    def permit(self, piece: bytes | None) -> None:
        self._permitted.put(piece)

    def reply(self, received: Received) -> None:
        received.read_body()
        received.send(self._head)
        while (piece := self._permitted.get(timeout=PATIENCE)) is not None:
            received.send(self._encode(piece))
        if self._end:
            received.send(self._end)
        else:
            received.hang_up()


def chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def chunked_gate(content_type: bytes = b"text/plain") -> Gate:
    return Gate(
        b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n\r\n" % content_type, chunk, chunk(b"")
    )


def length_gate() -> Gate:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (sum(map(len, PIECES)) + len(b"end"))
    return Gate(head, bytes, b"end")


def until_eof_gate() -> Gate:
    return Gate(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", bytes, b"")


def prelude_of(call: Call) -> tuple[dict[str, str], bytes]:
    """Return the headers in the prelude, as soon as it is here, and what came with it."""
    received = b""
    while b"\0" * 8 not in received:
        received += call.next_chunk() or pytest.fail("the response ended within its prelude")
    head, _, rest = received.partition(b"\0" * 8)
    headers: dict[str, str] = json.loads(head)["headers"]
    return headers, rest


def expect(call: Call, piece: bytes, *, decode: Decode = bytes, rest: bytes = b"") -> None:
    """Return when ``piece``, and nothing else, has arrived; ``rest`` is what came with the prelude."""
    received = decode(rest)
    while len(received) < len(piece):
        received += decode(call.next_chunk() or pytest.fail(f"the response ended before {piece!r}"))
    assert received == piece


@contextmanager
def gated_function(gate: Gate, environ: dict[str, str]) -> Iterator[ScriptedRuntimeApi]:
    """Yield a runtime process whose app has ``gate`` behind every path but ``/``."""
    with (
        ScriptedRuntimeApi() as api,
        ScriptedApp(default=gate.reply) as app,
        RuntimeProcess(api, app=app, environ=environ | {"AWS_LWA_READINESS_CHECK_PROTOCOL": "tcp"}),
    ):
        yield api


@pytest.mark.parametrize(
    "gate",
    [
        pytest.param(chunked_gate, id="chunked"),
        pytest.param(length_gate, id="length"),
        pytest.param(until_eof_gate, id="until-eof"),
    ],
)
def test_the_head_and_each_piece_arrive_before_the_next_is_produced(gate: Callable[[], Gate]) -> None:
    opened = gate()
    with gated_function(opened, STREAMED) as api:
        call = api.invoke(function_url("/stream")).begun()
        assert prelude_of(call)[1] == b""
        for piece in PIECES:
            opened.permit(piece)
            expect(call, piece)
        opened.permit(None)
        assert bytes(call.wait().body).partition(b"\0" * 8)[2].removesuffix(b"end") == b"".join(PIECES)
        assert not call.trailers


def test_the_answer_to_an_event_that_is_not_http_streams_as_well() -> None:
    gate = chunked_gate(b"application/json")
    with gated_function(gate, STREAMED) as api:
        invoked = api.invoke(SQS)
        for piece in PIECES:
            gate.permit(piece)
            expect(invoked.begun(), piece)
        gate.permit(None)
        assert bytes(invoked.answer().body) == b"".join(PIECES)


@pytest.mark.parametrize(
    ("coding", "decoder"),
    [
        pytest.param("gzip", lambda: zlib.decompressobj(wbits=31).decompress, id="gzip"),
        pytest.param("br", lambda: brotli.Decompressor().process, id="br"),
        pytest.param("zstd", lambda: zstandard.ZstdDecompressor().decompressobj().decompress, id="zstd"),
    ],
)
def test_each_compressed_piece_can_be_decoded_as_it_arrives(coding: str, decoder: Callable[[], Decode]) -> None:
    gate, decode = chunked_gate(), decoder()
    with gated_function(gate, COMPRESSED) as api:
        call = api.invoke(function_url("/stream", headers={"accept-encoding": coding})).begun()
        headers, rest = prelude_of(call)
        assert headers["content-encoding"] == coding
        assert decode(rest) == b""
        for piece in PIECES:
            gate.permit(piece)
            expect(call, piece, decode=decode)
        gate.permit(None)
        body = bytes(call.wait().body).partition(b"\0" * 8)[2]
    assert decoder()(body) == b"".join(PIECES)


def test_an_event_stream_is_not_compressed_and_arrives_event_by_event() -> None:
    gate = chunked_gate(b"text/event-stream")
    with gated_function(gate, COMPRESSED) as api:
        call = api.invoke(function_url("/sse", headers={"accept-encoding": "gzip"})).begun()
        headers, _ = prelude_of(call)
        assert "content-encoding" not in headers
        for piece in PIECES:
            gate.permit(piece)
            expect(call, piece)
        gate.permit(None)
        call.wait()


@pytest.mark.parametrize("environ", [pytest.param(STREAMED, id="plain"), pytest.param(COMPRESSED, id="gzip")])
@pytest.mark.parametrize(
    "command",
    [
        pytest.param("gunicorn flask_app:app --bind 127.0.0.1:{port} --threads 2 --no-control-socket", id="flask"),
        pytest.param("uvicorn fastapi_app:app --port {port}", id="fastapi"),
    ],
)
def test_a_frameworks_pieces_arrive_as_it_yields_them(command: str, environ: dict[str, str]) -> None:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as listener,
        ScriptedRuntimeApi() as api,
        RuntimeProcess(
            api,
            *(sys.executable, "-m", *command.split()),
            environ=environ | {"ADAPTER_APP_DIR": PERMITTED_APPS, "PERMISSIONS": str(listener.getsockname()[1])},
        ) as runtime,
    ):
        listener.settimeout(PATIENCE)
        invoked = api.invoke(function_url("/stream", headers={"accept-encoding": "gzip"}))
        permissions, _ = listener.accept()
        with permissions:
            # gunicorn sends its head together with the first piece.
            permissions.send(b".")
            call = invoked.begun()
            headers, rest = prelude_of(call)
            compressed = headers.get("content-encoding") == "gzip"
            decode: Decode = zlib.decompressobj(wbits=31).decompress if compressed else bytes
            expect(call, PIECES[0], decode=decode, rest=rest)
            for piece in PIECES[1:]:
                permissions.send(b".")
                expect(call, piece, decode=decode)
        call.wait()
        assert compressed == (environ is COMPRESSED)
        runtime.terminate()
        runtime.exit_code()
