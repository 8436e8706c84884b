"""One client connection against real sockets whose other end the test holds."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from queue import SimpleQueue
from select import POLLIN, poll
from time import monotonic
from typing import Any

import pytest

from adapter.errors import AppTimeout, InvalidAppResponse, TruncatedResponse
from adapter.net.address import Address
from adapter.net.http1 import ResponseReader
from adapter.runtime.connection import RECEIVE_SIZE, Connection, connect
from tests.scripted_app import PATIENCE

# More than any socket buffers on this machine take.
BIG = 32 * 1024 * 1024


class Peer:
    """A connection of ours and the other end of it."""

    def __init__(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.connection = Connection(Address(host="127.0.0.1", port=listener.getsockname()[1]))
            self.socket, _ = listener.accept()
        self.socket.settimeout(PATIENCE)

    def read(self, count: int) -> bytes:
        data = b""
        while len(data) < count and (piece := self.socket.recv(min(count - len(data), 1 << 20))):
            data += piece
        return data


@pytest.fixture
def peer() -> Iterator[Peer]:
    pair = Peer()
    yield pair
    pair.connection.close()
    pair.socket.close()


@pytest.fixture
def in_background() -> Iterator[Callable[[Callable[[], object]], None]]:
    threads: list[threading.Thread] = []

    def start(call: Callable[[], object]) -> None:
        threads.append(threading.Thread(target=call, daemon=True))
        threads[-1].start()

    yield start
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()


def whole(connection: Connection, limit: int = 1 << 30) -> bytes | None:
    body = connection.receive_response("GET").read(limit)
    return None if body is None else bytes(body)


def test_parts_are_sent_one_after_the_other(peer: Peer) -> None:
    assert peer.connection.send((b"GET ", bytearray(b"/ "), memoryview(b"x")))
    assert peer.read(7) == b"GET / x"
    assert not peer.connection.unsent


def test_more_parts_than_the_kernel_takes_at_once_are_sent_all_the_same(peer: Peer) -> None:
    parts = [b"%d," % number for number in range(2000)]
    assert peer.connection.send(parts)
    expected = b"".join(parts)
    assert peer.read(len(expected)) == expected


def test_what_does_not_fit_the_socket_is_sent_as_the_peer_reads(
    peer: Peer, in_background: Callable[[Callable[[], object]], None]
) -> None:
    parts = (b"head", b"a" * BIG, b"tail")
    got: SimpleQueue[bytes] = SimpleQueue()
    in_background(lambda: got.put(peer.read(BIG + 8)))
    assert peer.connection.send(parts)
    assert got.get(timeout=PATIENCE) == b"".join(parts)


def test_an_answer_that_comes_before_everything_was_read_is_received(peer: Peer) -> None:
    peer.socket.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
    assert not peer.connection.send((b"head", b"a" * BIG))
    assert whole(peer.connection) == b"big"
    assert peer.connection.unsent


def test_an_answer_before_a_disconnect_is_received_although_much_is_unread(peer: Peer) -> None:
    peer.socket.sendall(b"HTTP/1.1 413 Too Large\r\nContent-Length: 3\r\n\r\nbig")
    peer.socket.shutdown(socket.SHUT_RDWR)
    assert not peer.connection.send((b"head", b"a" * BIG))
    assert whole(peer.connection) == b"big"


def test_a_peer_that_answers_while_it_reads_gets_everything(
    peer: Peer, in_background: Callable[[Callable[[], object]], None]
) -> None:
    """An app that begins its response at once and reads on would wait for ever for a body that was cut off."""

    def echo() -> None:
        peer.socket.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        rest = BIG
        while rest:
            piece = peer.socket.recv(min(rest, 100_000))
            rest -= len(piece)
            peer.socket.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        peer.socket.sendall(b"0\r\n\r\n")

    in_background(echo)
    body = bytes(range(256)) * (BIG // 256)
    peer.connection.deadline = monotonic() + PATIENCE
    peer.connection.send((body,))
    assert whole(peer.connection) == body
    assert not peer.connection.unsent


def test_a_peer_that_is_gone_before_the_first_byte_raises_an_os_error(peer: Peer) -> None:
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.socket.close()
    with pytest.raises(OSError, match=r"reset|pipe"):
        peer.connection.receive(ResponseReader("GET"))
    with pytest.raises(OSError, match=r"reset|pipe"):
        peer.connection.send((b"x",))


def test_receiving_past_the_deadline_raises_a_timeout(peer: Peer) -> None:
    peer.connection.deadline = monotonic() - 1
    with pytest.raises(AppTimeout, match="before the deadline"):
        peer.connection.receive(ResponseReader("GET"))


def test_sending_past_the_deadline_raises_a_timeout(peer: Peer) -> None:
    peer.connection.deadline = monotonic() - 1
    with pytest.raises(AppTimeout, match="before the deadline"):
        peer.connection.send((b"a" * BIG,))


def test_what_is_there_already_is_received_even_past_the_deadline(peer: Peer) -> None:
    peer.socket.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    assert wait_readable(peer.connection)
    peer.connection.deadline = monotonic() - 1
    assert peer.connection.receive_response("GET").complete


LIMITS = [
    pytest.param(b"Content-Length: 5\r\n\r\nhello", 5, b"hello", id="length-within"),
    pytest.param(b"Content-Length: 5\r\n\r\n", 4, None, id="length-beyond-is-known-from-the-head"),
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 5, b"hello", id="chunked-within"),
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n", 4, None, id="chunked-beyond-before-its-end"),
    pytest.param(b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 4, None, id="chunked-beyond"),
    pytest.param(b"Content-Length: 0\r\n\r\n", 0, b"", id="nothing"),
]


@pytest.mark.parametrize(("rest", "limit", "expected"), LIMITS)
def test_a_body_over_the_limit_is_given_up_as_soon_as_that_is_known(
    peer: Peer, rest: bytes, limit: int, expected: bytes | None
) -> None:
    peer.connection.deadline = monotonic() + PATIENCE
    peer.socket.sendall(b"HTTP/1.1 200 OK\r\n" + rest)
    assert whole(peer.connection, limit) == expected


@pytest.mark.parametrize("size", [RECEIVE_SIZE - 1, RECEIVE_SIZE * 5 + 7], ids=["one-buffer", "many-buffers"])
def test_a_body_of_known_length_is_received_whole(
    peer: Peer, size: int, in_background: Callable[[Callable[[], object]], None]
) -> None:
    body = bytes(range(251)) * (size // 251 + 1)
    response = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + body[:size]
    in_background(lambda: peer.socket.sendall(response))
    received = peer.connection.receive_response("GET")
    assert bytes(received.read(1 << 30) or b"") == body[:size]
    assert received.has_reusable_connection


@pytest.mark.parametrize("deadline", [None, PATIENCE])
def test_a_big_body_that_ends_early_is_truncated(peer: Peer, deadline: float | None) -> None:
    peer.socket.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"a" * 1000)
    peer.socket.shutdown(socket.SHUT_WR)
    peer.connection.deadline = None if deadline is None else monotonic() + deadline
    with pytest.raises(TruncatedResponse, match="999000 bytes too early"):
        whole(peer.connection)


def test_what_is_not_http_is_refused(peer: Peer) -> None:
    peer.socket.sendall(b"220 mail.example.com ESMTP\r\n")
    with pytest.raises(InvalidAppResponse, match="220 mail"):
        peer.connection.receive_response("GET")


def test_an_idle_connection_is_usable_until_its_time_is_over(peer: Peer) -> None:
    assert peer.connection.is_usable(PATIENCE)
    assert not peer.connection.is_usable(0)


def test_time_that_only_the_wall_clock_saw_counts_as_idle(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    """The monotonic clock may stand still while an environment is frozen. (Only the clock is injected.)"""
    monkeypatch.setattr("adapter.runtime.connection.time", lambda: 1e12)
    assert not peer.connection.is_usable(PATIENCE)


def test_a_connection_is_as_old_as_its_last_request(peer: Peer, monkeypatch: pytest.MonkeyPatch) -> None:
    peer.connection.send((b"x",))
    now = monotonic()
    monkeypatch.setattr("adapter.runtime.connection.monotonic", lambda: now + 1)
    # The response took a second to read: how long the peer has been idle meanwhile is not known.
    assert not peer.connection.is_usable(1)
    assert peer.connection.is_usable(PATIENCE)


def test_a_connection_that_the_peer_closed_is_not_usable(peer: Peer) -> None:
    peer.socket.shutdown(socket.SHUT_WR)
    assert wait_readable(peer.connection)
    assert not peer.connection.is_usable(PATIENCE)


def test_a_connection_that_the_peer_reset_is_not_usable(peer: Peer) -> None:
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    peer.socket.close()
    assert wait_readable(peer.connection)
    assert not peer.connection.is_usable(PATIENCE)


def test_a_connection_with_unexpected_bytes_is_not_usable(peer: Peer) -> None:
    peer.socket.sendall(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
    assert wait_readable(peer.connection)
    assert not peer.connection.is_usable(PATIENCE)


def wait_readable(connection: Connection) -> bool:
    poller = poll()
    poller.register(connection, POLLIN)
    return bool(poller.poll(PATIENCE * 1000))


def test_nothing_is_left_to_be_set_once_a_socket_is_connected() -> None:
    """An error after that would leave behind what the slots keep for the socket."""

    def reach(connecting: Any, place: object, timeout: float) -> None:
        assert connecting.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        connecting.settimeout(timeout)

    connected = connect(Address(host="127.0.0.1", port=1), PATIENCE, reach)
    assert connected.gettimeout() == PATIENCE
    connected.close()


def test_a_unix_socket_is_connected_to_by_its_path(tmp_path: Path) -> None:
    path = str(tmp_path / "app.sock")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        connection = Connection(Address(path=path))
        accepted, _ = listener.accept()
        with accepted:
            connection.send((b"x",))
            assert accepted.recv(1) == b"x"
        connection.close()


UNREACHABLE = [
    pytest.param(Address(path="/nowhere/app.sock"), id="no-unix-socket"),
    pytest.param(Address(host="127.0.0.1", port=1), id="nobody-listens"),
    pytest.param(Address(host="ü..", port=80), id="no-host-name"),
]


@pytest.mark.parametrize("address", UNREACHABLE)
def test_an_address_that_cannot_be_connected_to_raises_an_os_error(address: Address) -> None:
    with pytest.raises(OSError, match=r"No such file|refused|not a host name"):
        Connection(address)
