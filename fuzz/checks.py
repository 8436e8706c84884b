"""Properties that must hold for any bytes. The fuzz targets and the property tests share them.

Each check gets the bytes, and the places at which to cut them into pieces. It raises an error if the property does not
hold. The code under test may raise only our own errors. The recording app's reader, which shares no code with the
adapter, checks the requests.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from adapter.config.load import load
from adapter.errors import (
    AdapterError,
    InvalidAppResponse,
    InvalidEvent,
    InvalidFunctionResponse,
    RefusedRequest,
    TruncatedResponse,
)
from adapter.net.http1 import ResponseReader, encode_request_head
from adapter.net.server import BodyTruncatedError, Exchange, HttpServer, Limits
from adapter.net.server.connection import HttpConnection
from adapter.payload.event import FORMATS
from adapter.payload.function_response import PreludeDecoder
from adapter.payload.headers import first_values
from adapter.payload.messages import Invocation, ResponseHead
from adapter.payload.request import RequestRules, app_request
from adapter.proxy.forwarded_request import ForwardingRules, forwarded_request, forwarded_trailers
from tests.hardening.recorder import parsed_head

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_EVENT_RULES = RequestRules()
_FORWARDING_RULES = ForwardingRules(load({}, {}), default_host="app:1")

Pairs = list[tuple[str, str]]


def pieces_of(raw: bytes, cuts: Iterable[int]) -> list[bytes]:
    """Return ``raw`` cut at ``cuts``, each taken modulo the length of ``raw``."""
    positions = sorted({0, len(raw), *(cut % (len(raw) + 1) for cut in cuts)})
    return [raw[start:end] for start, end in pairwise(positions)]


def check_legal(pairs: Pairs) -> None:
    """Check that names are tokens, and that no value contains a byte that would end it."""
    for name, value in pairs:
        assert _NAME.fullmatch(name), name
        assert not _CONTROL.search(value), value


def check_message(error: AdapterError) -> None:
    """Check that a message is one short line, for any input."""
    assert len(str(error)) < 300, error


# --- events and payloads ------------------------------------------------------------------------------------------


def check_event(raw: bytes) -> None:
    """Check that an event is refused, or becomes exactly one request that is legal by RFC 9112."""
    try:
        codec, request = app_request(Invocation(request_id="r", event=raw), _EVENT_RULES)
        head = encode_request_head(request, "app:1")
    except InvalidEvent as error:
        check_message(error)
        return
    assert head.endswith(b"\r\n\r\n")
    assert head.count(b"\r\n\r\n") == 1
    _, _, pairs = parsed_head(head[:-4])
    lengths = [value for name, value in pairs if name == "content-length"]
    assert lengths in ([], [str(len(request.body))])
    assert not {"transfer-encoding", "connection", "upgrade", "te"} & {name for name, _ in pairs}
    codec.encode_response(ResponseHead(status=200, headers=pairs), raw, _body_rules())


def check_payload(raw: bytes, cuts: Sequence[int]) -> None:
    """Check that a payload or prelude, cut at any place, is refused or becomes a legal response."""
    for codec in FORMATS.values():
        try:
            head, _ = codec.decode_response(raw)
        except InvalidFunctionResponse:
            continue
        check_legal(head.headers)
    assert _prelude(pieces_of(raw, cuts)) == _prelude([raw])


def _prelude(pieces: Sequence[bytes]) -> tuple[int, Pairs, bytes] | None:
    decoder = PreludeDecoder()
    head: ResponseHead | None = None
    body = b""
    try:
        for piece in pieces:
            if head is None:
                head, body = decoder.feed(piece)
            else:
                body += piece
    except InvalidFunctionResponse:
        return None
    if head is None:
        return None
    check_legal(head.headers)
    return head.status, head.headers, body


def _body_rules() -> Any:
    from adapter.payload.body import BodyRules

    return BodyRules()


# --- the app's responses ------------------------------------------------------------------------------------------


def check_response(raw: bytes, cuts: Sequence[int], method: str = "GET") -> None:
    """Check that the result for a response does not depend on the cuts of the network, and that it is legal."""
    whole = _response([raw], method)
    assert _response(pieces_of(raw, cuts), method) == whole


def _response(pieces: Sequence[bytes], method: str) -> tuple[Any, ...]:
    reader = ResponseReader(method)
    body = b""
    end = "complete"
    try:
        for piece in pieces:
            body += b"".join(map(bytes, reader.feed(memoryview(piece))))
        reader.feed_eof()
    except (InvalidAppResponse, TruncatedResponse) as error:
        check_message(error)
        # The part that is read before the error depends on the cuts, and perhaps also the first broken rule.
        return (type(error).__name__ if isinstance(error, TruncatedResponse) else "invalid",)
    assert reader.head is not None
    for head in (*reader.interim, reader.head):
        check_legal(head.headers)
    check_legal(reader.trailers)
    return end, reader.head.status, reader.head.headers, body, reader.trailers


# --- the server ---------------------------------------------------------------------------------------------------


class MemoryTransport(asyncio.Transport):
    """A transport without a peer. It keeps the written data. ``unconnected`` is the socket for its options."""

    def __init__(self, unconnected: socket.socket) -> None:
        super().__init__()
        self._socket = unconnected
        self.written = bytearray()
        self.closed = False
        self.paused = False

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return {"peername": ("127.0.0.1", 1), "socket": self._socket}.get(name, default)

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        return

    def write(self, data: bytes | bytearray | memoryview[Any]) -> None:
        self.written += data

    def get_write_buffer_size(self) -> int:
        return 0

    def is_closing(self) -> bool:
        return self.closed

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = True

    def pause_reading(self) -> None:
        self.paused = True

    def resume_reading(self) -> None:
        self.paused = False


def check_connection(raw: bytes, cuts: Sequence[int]) -> None:
    """Check that a client's bytes become the same legal requests for any cuts, and that each can be forwarded."""
    asyncio.run(_check_connection(raw, cuts))


async def _check_connection(raw: bytes, cuts: Sequence[int]) -> None:
    whole = await _served([raw])
    assert await _served(pieces_of(raw, cuts)) == whole


async def _served(pieces: Sequence[bytes]) -> list[Any]:
    """Return the requests that a connection reads from ``pieces``."""
    seen: list[Any] = []

    async def serve(exchange: Exchange) -> None:
        body: bytes | None = b""
        try:
            while piece := await exchange.body.read():
                assert body is not None
                body += piece
        except BodyTruncatedError:
            body = None
        check_exchange(exchange)
        seen.append((exchange.method, exchange.target, exchange.version, exchange.headers, exchange.upgrade, body))
        exchange.respond(200, [], b"ok")

    with socket.socket() as unconnected:
        async with asyncio.TaskGroup() as group:
            connection = HttpConnection(HttpServer(serve, group, limits=Limits(linger_timeout=0.0), cancels=False))
            transport = MemoryTransport(unconnected)
            connection.connection_made(transport)
            for piece in pieces:
                await _settled(transport)
                if not transport.closed:
                    connection.data_received(piece)
            await _settled(transport)
            if not transport.closed and not connection.eof_received():
                transport.close()
            await _settled(transport)
            connection.connection_lost(None)
    return seen


async def _settled(transport: MemoryTransport) -> None:
    """Run the connection's task until it waits."""
    for _ in range(10):
        await asyncio.sleep(0)
        if not transport.paused:
            return


def check_exchange(exchange: Exchange) -> None:
    """Check that an accepted request is legal and framed once, and is forwarded as one request or refused."""
    check_legal(exchange.headers)
    check_legal(exchange.body.trailers)
    names = [name.lower() for name, _ in exchange.headers]
    assert names.count("host") <= 1
    assert names.count("content-length") + names.count("transfer-encoding") <= 1
    try:
        request = forwarded_request(
            exchange, _FORWARDING_RULES, first_values=first_values(exchange.headers), request_id="r"
        )
    except RefusedRequest:
        return
    assert request.head.count(b"\r\n\r\n") == 1
    parsed_head(request.head[:-4])
    check_legal(forwarded_trailers(exchange.body.trailers, exchange.headers))
