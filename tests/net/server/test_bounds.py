"""What clients that mean harm may cost: parsed requests, kept bytes, fields, pieces."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Sequence

import pytest

from adapter.net.server import Exchange
from adapter.net.server.connection import HttpConnection
from adapter.net.server.held_bytes import FREE_BYTES, HeldBytes
from adapter.net.server.request_parser import EndOfMessage, Refusal, RequestHead, RequestParser
from adapter.net.server.server_limits import MAX_PIPELINED
from adapter.payload.headers import MAX_FIELDS
from tests.net.server.serving import Recorder, serving
from tests.raw_client import RawClient, raw_client

MIB = 1024 * 1024
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
LENGTH = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 12\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n"


def heads(items: Sequence[object]) -> int:
    return sum(isinstance(item, RequestHead) for item in items)


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(GET, id="get"),
        pytest.param(b"\r\n" + GET, id="empty-lines"),
        pytest.param(LENGTH, id="length"),
        pytest.param(CHUNKED + b"4\r\n\r\n\r\n\r\n0\r\n\r\n", id="chunked"),
        pytest.param(CHUNKED + b"4;x\r\n\r\n\r\n\r\n00\r\nA: b\r\n\r\n", id="trailers"),
    ],
)
@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 64, 1000, 100_000])
def test_no_request_is_parsed_beyond_the_room_and_none_is_lost(message: bytes, size: int) -> None:
    raw = message * 200 + GET[:-3]
    parser = RequestParser(MIB)
    requests = 0
    for start in range(0, len(raw), size):
        data = raw[start : start + size]
        while data or parser.kept:
            received = parser.feed(data, 2)
            data = b""
            assert not [item for item in received if isinstance(item, Refusal)]
            assert heads(received) <= 2
            requests += heads(received)
            assert sum(map(len, (item for item in received if isinstance(item, bytes)))) <= 24
    assert requests == 200
    assert parser.in_head
    assert parser.held_bytes < 100
    assert isinstance(parser.feed(GET[-3:])[-1], EndOfMessage)


def test_a_body_is_the_same_however_its_chunks_and_its_bytes_are_cut() -> None:
    lots = random.Random(7)
    for _ in range(300):
        body = b"".join(lots.choice([b"\r\n", b"0\r\n", b"\r\n\r\n", b"x", b"0", bytes(50)]) for _ in range(30))
        raw, rest = CHUNKED, body
        while rest:
            size = lots.randint(1, 40)
            raw += b"%x\r\n%b\r\n" % (len(rest[:size]), rest[:size])
            rest = rest[size:]
        raw += b"0\r\n\r\n" + GET * 3
        parser = RequestParser(MIB)
        items: list[object] = []
        position = 0
        while position < len(raw) or parser.kept:
            size = lots.randint(1, 60)
            items += parser.feed(raw[position : position + size], 1)
            position += size
        assert b"".join(item for item in items if isinstance(item, bytes)) == body
        assert heads(items) == 4
        assert not [item for item in items if isinstance(item, Refusal)]


@pytest.mark.parametrize("ending", [b"\r\n", b""], ids=["complete", "incomplete"])
@pytest.mark.parametrize("size", [1000, 10_000_000])
@pytest.mark.parametrize(("count", "status"), [(MAX_FIELDS, None), (MAX_FIELDS + 1, 431), (100_000, 431)])
def test_the_fields_of_a_head_are_counted(count: int, status: int | None, size: int, ending: bytes) -> None:
    raw = GET[:-2] + b"a:\r\n" * (count - 1) + ending
    parser = RequestParser(MIB)
    received: list[object] = []
    held = 0
    for start in range(0, len(raw), size):
        received += parser.feed(raw[start : start + size])
        held = max(held, parser.held_bytes)
    if status is None:
        assert heads(received) == bool(ending)
    elif len(raw) > size or ending or count > MAX_FIELDS + 1:
        assert [item.status for item in received if isinstance(item, Refusal)] == [status]
        assert held <= 16 * 1024
        assert parser.held_bytes == 0


def test_the_fields_of_trailers_are_counted() -> None:
    received = RequestParser(MIB).feed(CHUNKED + b"0\r\n" + b"a:\r\n" * (MAX_FIELDS + 1) + b"\r\n")
    assert isinstance(received[-1], Refusal)
    assert received[-1].status == 431


def test_the_elements_of_a_connection_header_are_counted() -> None:
    received = RequestParser(MIB).feed(GET[:-2] + b"Connection: " + b"a," * MAX_FIELDS + b"a\r\n\r\n")
    assert [(item.status, str(item)) for item in received if isinstance(item, Refusal)] == [
        (431, "the connection header has more than 1000 elements")
    ]


def test_a_few_large_chunks_are_not_copied_into_one_piece() -> None:
    parser = RequestParser(MIB)
    parser.feed(CHUNKED)
    assert parser.feed((b"1000\r\n" + bytes(4096) + b"\r\n") * 4) == [bytes(4096)] * 4


def test_a_body_with_a_length_is_not_costly_after_one_in_tiny_chunks() -> None:
    parser = RequestParser(MIB)
    parser.feed(CHUNKED)
    parser.feed(b"1\r\nx\r\n" * 100)
    assert parser.is_costly
    parser.feed(b"1\r\nx\r\n")
    assert parser.is_costly
    parser.feed(b"0\r\n\r\n")
    parser.feed(LENGTH[:-1])
    assert not parser.is_costly


def test_tiny_chunks_are_one_piece() -> None:
    parser = RequestParser(MIB)
    parser.feed(CHUNKED)
    assert parser.feed(b"1\r\nx\r\n" * 40_000) == [b"x" * 40_000]


class Holder:
    def __init__(self) -> None:
        self.is_released = False

    def release_held(self) -> None:
        self.is_released = True


def test_the_oldest_holder_is_released_when_the_budget_is_exceeded() -> None:
    held = HeldBytes(100)
    first, second, third = Holder(), Holder(), Holder()
    held.update(first, FREE_BYTES)
    held.update(second, FREE_BYTES + 60)
    held.update(third, FREE_BYTES + 40)
    assert not second.is_released
    held.update(third, FREE_BYTES + 41)
    assert (first.is_released, second.is_released, third.is_released) == (False, True, False)
    held.update(third, 0)
    held.update(first, FREE_BYTES + 100)
    assert not first.is_released


async def test_slow_large_heads_share_a_budget_and_the_oldest_is_refused() -> None:
    large = GET[:-2] + b"X: " + b"x" * 100_000
    async with (
        serving(Recorder(), held_bytes=HeldBytes(150_000)) as running,
        raw_client(running.port) as old,
        raw_client(running.port) as young,
    ):
        await old.send(large)
        await young.send(GET)
        assert (await young.answer()).status == 200
        await young.send(large)
        assert (await old.answer()).status == 431
        await young.send(b"\r\n\r\n")
        assert (await young.answer()).status == 200
        # Everything is released: there is room for another one.
        await young.send(large + b"\r\n\r\n")
        assert (await young.answer()).status == 200


async def test_pipelined_requests_beyond_the_bound_stay_bytes_and_are_all_answered() -> None:
    recorder = Recorder()
    parsed, kept = [], []

    async def serve(exchange: Exchange) -> None:
        connection = exchange._connection
        assert isinstance(connection, HttpConnection)
        parsed.append(len(connection._exchanges))
        kept.append(len(connection._parser.kept))
        await recorder(exchange)

    async with serving(serve) as running, raw_client(running.port) as client:
        await client.send(GET * 2000)
        for _ in range(2000):
            assert (await client.answer()).status == 200
    assert max(parsed) == MAX_PIPELINED + 1
    assert 0 < max(kept) <= 16 * 1024
    assert len(recorder.exchanges) == 2000


async def test_bodies_in_tiny_chunks_are_received_in_turn() -> None:
    recorder = Recorder()
    async with serving(recorder) as running:
        clients = [await RawClient.connect(running.port) for _ in range(30)]
        for client in clients:
            client.writer.write(CHUNKED + b"1\r\nx\r\n" * 10_000 + b"0\r\n\r\n")
        most = 0
        for client in clients:
            assert (await client.answer()).status == 200
            most = max(most, len(running.server.receive_turns.postponed))
            # Those that wait for their turn do not delay this one.
            async with raw_client(running.port) as honest:
                await honest.send(GET)
                assert (await honest.answer()).status == 200
        for client in clients:
            await client.close()
    assert most > 10
    assert [body for body in recorder.bodies if body] == [b"x" * 10_000] * 30


async def test_pipelined_requests_of_several_clients_are_served_in_turn() -> None:
    gate = asyncio.Event()
    order: list[str] = []

    async def serve(exchange: Exchange) -> None:
        order.append(exchange.target)
        if len(order) == 3:
            gate.set()
        await gate.wait()
        exchange.respond(200, [], b"ok")

    async with serving(serve) as running:
        clients = [await RawClient.connect(running.port) for _ in range(3)]
        for number, client in enumerate(clients):
            await client.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number * 100)
        for client in clients:
            for _ in range(100):
                assert (await client.answer()).status == 200
            await client.close()
    assert [sorted(order[start : start + 3]) for start in range(0, 300, 3)] == [["/0", "/1", "/2"]] * 100


async def test_clients_that_are_not_read_share_one_timer() -> None:
    count = 100
    cancelled: list[str] = []
    begun = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    async def serve(exchange: Exchange) -> None:
        begun.release()
        try:
            await loop.create_future()
        except asyncio.CancelledError:
            cancelled.append(exchange.target)
            begun.release()
            raise

    async with serving(serve) as running:
        clients = [await RawClient.connect(running.port) for _ in range(count)]
        for number, client in enumerate(clients):
            await client.send(b"GET /%d HTTP/1.1\r\nHost: a\r\n\r\n" % number + GET * 1000)
        for _ in range(count):
            await begun.acquire()
        timers = loop._scheduled  # type: ignore[attr-defined]
        assert len([timer for timer in timers if "DisconnectWatcher" in repr(timer)]) == 1
        clients[7].writer.transport.abort()
        await begun.acquire()
        assert cancelled == ["/7"]
        for client in clients:
            await client.close()
