"""Slots side by side in one thread, over real sockets whose other ends the test holds."""

from __future__ import annotations

import gc
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from select import poll
from time import monotonic

import pytest

from adapter.errors import AppTimeout
from adapter.net.address import Address
from adapter.runtime.connection import Connection
from adapter.runtime.slots import Slots
from tests.scripted_app import PATIENCE

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
# More than any socket buffers on this machine take.
BIG = 32 * 1024 * 1024
# So long that a test would fail if it were waited for.
FOR_EVER = 600.0


class Bench:
    """Slots, the pipe that wakes them, and a server for their connections."""

    def __init__(self) -> None:
        self.read_end, self.write_end = os.pipe()
        self.is_over = False
        self.is_urgent = False
        self.make_slots()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = Address(host="127.0.0.1", port=self.listener.getsockname()[1])
        # What happened, in order.
        self.events: list[str] = []
        self._accepted: dict[object, socket.socket] = {}
        self._others: list[socket.socket] = []

    def make_slots(self) -> None:
        self.slots = Slots(wake_up=self.read_end, should_stop=self._should_stop, is_urgent=lambda: self.is_urgent)

    def close(self) -> None:
        close_all([self.listener, *self._accepted.values()])
        os.close(self.read_end)
        os.close(self.write_end)
        # A bench and its slots refer to each other: their poller would be open until garbage is collected.
        del self.slots

    def pair(self, connect: Callable[[Address], Connection] | None = None) -> tuple[Connection, socket.socket]:
        """Return a connection of the slot that calls, and its other end."""
        connection = (connect or self.slots.connect)(self.address)
        with socket.socket(fileno=os.dup(connection.fileno())) as ours:
            place = ours.getsockname()
        # Another slot's connection may be the first in the queue.
        while place not in self._accepted:
            accepted, peer = self.listener.accept()
            accepted.settimeout(PATIENCE)
            self._accepted[peer] = accepted
        self._others.append(self._accepted[place])
        return connection, self._others[-1]

    def other(self, number: int = 0) -> socket.socket:
        """Return the other end of another slot's connection, which may have to be made yet."""
        while len(self._others) <= number:
            self.slots.pause(0)
        return self._others[number]

    def wake(self) -> None:
        os.write(self.write_end, b"\0")

    def hurry(self) -> None:
        """The end is near."""
        self.is_over = self.is_urgent = True
        self.wake()

    def run(self, *slots: Callable[[], None], app_grace: float = PATIENCE, report_grace: float = PATIENCE) -> None:
        """Run each of ``slots`` in one of its own, begun in this order."""
        waiting = list(slots)
        self.slots.run(lambda: waiting.pop(0)(), count=len(slots), app_grace=app_grace, report_grace=report_grace)

    def _should_stop(self) -> bool:
        os.read(self.read_end, 100)
        return self.is_over


class CountingPoller:
    """A poller of the system that counts how often it was waited for."""

    def __init__(self) -> None:
        self._poller = poll()
        self.register = self._poller.register
        self.modify = self._poller.modify
        self.unregister = self._poller.unregister
        self.count = 0

    def poll(self, timeout: float | None) -> list[tuple[int, int]]:
        self.count += 1
        return self._poller.poll(timeout)


@pytest.fixture
def bench() -> Iterator[Bench]:
    made = Bench()
    yield made
    made.close()


def answered(connection: Connection) -> bytes | None:
    body = connection.receive_response("GET").read(1 << 30)
    return None if body is None else bytes(body)


@contextmanager
def filled_backlog(address: tuple[str, int] | str, family: socket.AddressFamily) -> Iterator[list[socket.socket]]:
    """Connect until the server, which accepts none, takes no more. Yield the clients; the last is not connected."""
    clients: list[socket.socket] = []
    try:
        with suppress(TimeoutError, BlockingIOError):
            while True:
                clients.append(socket.socket(family))
                clients[-1].settimeout(0.2)
                clients[-1].connect(address)
        yield clients
    finally:
        close_all(clients)


@contextmanager
def full_server() -> Iterator[tuple[Address, socket.socket, list[socket.socket]]]:
    """Yield a server whose backlog is full: its address, its listener, and the clients that fill it."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        place: tuple[str, int] = listener.getsockname()
        with filled_backlog(place, socket.AF_INET) as clients:
            yield Address(host=place[0], port=place[1]), listener, clients


@contextmanager
def full_unix_server(path: str) -> Iterator[tuple[Address, socket.socket, list[socket.socket]]]:
    """Yield a server at the Unix socket ``path`` whose backlog is full, as ``full_server`` does."""
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen(0)
        with filled_backlog(path, socket.AF_UNIX) as clients:
            yield Address(path=path), listener, clients


def close_all(sockets: list[socket.socket]) -> None:
    for each in sockets:
        each.close()


def test_a_slot_that_waits_lets_the_others_run(bench: Bench) -> None:
    def waits() -> None:
        connection, _ = bench.pair()
        bench.events.append("asks")
        assert answered(connection) == b"ok"
        bench.events.append("is answered")
        connection.close()

    def answers() -> None:
        bench.slots.pause(0)
        bench.events.append("answers")
        bench.other().sendall(OK)

    bench.run(waits, answers)
    assert bench.events == ["asks", "answers", "is answered"]


def test_a_deadline_ends_the_wait_of_its_slot_alone(bench: Bench) -> None:
    def patient() -> None:
        connection, _ = bench.pair()
        connection.deadline = monotonic() + FOR_EVER
        assert answered(connection) == b"ok"
        bench.events.append("answered")
        connection.close()

    def late(seconds: float) -> Callable[[], None]:
        def run() -> None:
            connection, _ = bench.pair()
            connection.deadline = monotonic() + seconds
            with pytest.raises(AppTimeout):
                answered(connection)
            assert monotonic() >= connection.deadline
            bench.events.append(f"late after {seconds} s")
            connection.close()
            if seconds == 0.2:
                bench.other().sendall(OK)

        return run

    bench.run(patient, late(0.2), late(0.1))
    assert bench.events == ["late after 0.1 s", "late after 0.2 s", "answered"]


def test_a_deadline_that_was_met_wakes_no_slot_later(bench: Bench) -> None:
    def met() -> None:
        connection, other = bench.pair()
        other.sendall(OK)
        connection.deadline = monotonic() + 0.1
        assert answered(connection) == b"ok"
        connection.deadline = None
        assert answered(connection) == b"ok"
        connection.close()

    def answers_later() -> None:
        other = bench.other()
        bench.slots.pause(0.2)
        other.sendall(OK)

    bench.run(met, answers_later)


def test_sending_to_a_slow_reader_lets_the_others_run(bench: Bench) -> None:
    def sends() -> None:
        connection, _ = bench.pair()
        assert connection.send((b"x" * BIG,))
        bench.events.append("sent")
        connection.close()

    def reads() -> None:
        bench.events.append("reads")
        left = BIG
        while left:
            left -= len(bench.other().recv(1 << 20))
            bench.slots.pause(0)

    bench.run(sends, reads)
    assert bench.events == ["reads", "sent"]


def test_slots_that_never_have_to_wait_take_turns(bench: Bench) -> None:
    turns: list[str] = []

    def streams(name: str) -> Callable[[], None]:
        def run() -> None:
            connection, other = bench.pair()
            other.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n" + b"x" * 100_000)
            received = connection.receive_response("GET")
            for _ in range(3):
                received.receive()
                turns.append(name)
                other.sendall(b"x" * 1000)
            connection.close()

        return run

    bench.run(streams("a"), streams("b"))
    assert turns in (["a", "b"] * 3, ["b", "a"] * 3)


def test_what_arrives_while_its_slot_waits_for_something_else_is_kept_and_wakes_once(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    poller = CountingPoller()
    monkeypatch.setattr("adapter.runtime.slots._new_poller", lambda: poller)
    monkeypatch.setattr("adapter.runtime.slots._SECOND", 1000)
    bench.make_slots()

    def run() -> None:
        connection, other = bench.pair()
        other.sendall(OK)
        assert answered(connection) == b"ok"
        other.sendall(OK)
        before = poller.count
        bench.slots.pause(0.3)
        # For the event, for the end of the pause, and once more if the system's clock is a little ahead.
        assert poller.count - before <= 3
        assert answered(connection) == b"ok"
        connection.close()

    bench.run(run)


def test_a_new_connection_gets_no_event_of_the_one_whose_number_it_has(bench: Bench, tmp_path: Path) -> None:
    """Two of a slot's connections have news at once, and it closes the one before it has looked at the other."""
    path = str(tmp_path / "app.sock")

    def run() -> None:
        idle, idle_other = bench.pair()
        asked, asked_other = bench.pair()
        for connection, other in ((idle, idle_other), (asked, asked_other)):
            other.sendall(OK)
            assert answered(connection) == b"ok"
        asked_other.sendall(OK)
        idle_other.sendall(b"what nobody asked for")
        assert answered(asked) == b"ok"
        number = idle.fileno()
        idle.close()
        # Connected without having to wait for it.
        fresh = bench.slots.connect(Address(path=path))
        assert fresh.fileno() == number
        fresh.deadline = monotonic() + 0.05
        with pytest.raises(AppTimeout):
            answered(fresh)
        with listener.accept()[0] as fresh_other:
            fresh.deadline = monotonic() + PATIENCE
            fresh_other.sendall(OK)
            assert answered(fresh) == b"ok"
        fresh.close()
        asked.close()

    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)
        listener.listen()
        bench.run(run)


def test_a_wake_up_without_an_end_wakes_and_changes_nothing(bench: Bench) -> None:
    def waits() -> None:
        connection, _ = bench.pair()
        assert connection.wait_for_response(bench.read_end, lambda: bench.is_over)
        connection.close()

    def wakes() -> None:
        bench.wake()
        bench.slots.pause(FOR_EVER)
        bench.events.append("woken")
        bench.other().sendall(OK)

    bench.run(waits, wakes)
    assert bench.events == ["woken"]


def test_the_end_wakes_idle_slots_only(bench: Bench) -> None:
    def idles() -> None:
        connection, _ = bench.pair()
        assert not connection.wait_for_response(bench.read_end, lambda: bench.is_over)
        bench.events.append("idle one ends")
        connection.close()

    def works() -> None:
        connection, _ = bench.pair()
        assert answered(connection) == b"ok"
        bench.events.append("busy one ends")
        connection.close()

    def ends() -> None:
        busy = bench.other(1)
        bench.is_over = True
        bench.wake()
        bench.slots.pause(FOR_EVER)
        bench.slots.pause(0)
        busy.sendall(OK)

    bench.run(idles, works, ends)
    assert bench.events == ["idle one ends", "busy one ends"]


def test_a_slot_that_becomes_idle_after_the_end_was_announced_ends_as_well(bench: Bench) -> None:
    def idles() -> None:
        connection, _ = bench.pair()
        bench.is_over = True
        bench.wake()
        bench.slots.pause(FOR_EVER)
        assert not connection.wait_for_response(bench.read_end, lambda: bench.is_over)
        connection.close()

    bench.run(idles)


def test_an_invocation_that_arrives_with_the_end_is_taken(bench: Bench) -> None:
    def idles() -> None:
        connection, other = bench.pair()

        def should_stop() -> bool:
            other.sendall(OK)
            return bench.is_over

        assert connection.wait_for_response(bench.read_end, should_stop)
        assert answered(connection) == b"ok"
        connection.close()

    def ends() -> None:
        bench.other()
        bench.is_over = True
        bench.wake()

    bench.run(idles, ends)


def test_slots_may_finish_without_a_limit_unless_it_is_urgent(bench: Bench) -> None:
    def works() -> None:
        connection, _ = bench.pair(bench.slots.connect_to_app)
        assert answered(connection) == b"ok"
        bench.events.append("busy one ends")
        connection.close()

    def ends() -> None:
        bench.is_over = True
        bench.wake()
        bench.slots.pause(FOR_EVER)
        bench.slots.pause(0.05)
        bench.other().sendall(OK)

    bench.run(works, ends, app_grace=0.0, report_grace=0.0)
    assert bench.events == ["busy one ends"]


@pytest.mark.parametrize("at_once", [True, False], ids=["at-once", "after-the-end"])
def test_a_slot_without_an_answer_in_time_can_still_report_it(bench: Bench, at_once: bool) -> None:
    def works() -> None:
        api, _ = bench.pair()
        app, _ = bench.pair(bench.slots.connect_to_app)
        for _ in range(2):
            with pytest.raises(AppTimeout, match="before the environment ended"):
                answered(app)
        app.close()
        with pytest.raises(TimeoutError):
            bench.slots.connect_to_app(full)
        assert answered(api) == b"ok"
        bench.events.append("told")
        api.close()

    def ends() -> None:
        other = bench.other()
        bench.is_over = True
        if not at_once:
            bench.wake()
            bench.slots.pause(FOR_EVER)
        bench.hurry()
        # For the slot to find when it gets to it.
        other.sendall(OK)

    with full_server() as (full, _, _):
        began = monotonic()
        bench.run(works, ends, app_grace=0.1)
        assert 0.1 <= monotonic() - began < PATIENCE
    assert bench.events == ["told"]


def test_slots_that_do_not_end_are_unwound_when_their_time_is_over(bench: Bench) -> None:
    def works() -> None:
        connection, _ = bench.pair()
        with closing(connection):
            try:
                answered(connection)
            finally:
                bench.events.append("unwound")

    began = monotonic()
    bench.run(works, bench.hurry, app_grace=0.1, report_grace=0.1)
    assert 0.2 <= monotonic() - began < PATIENCE
    assert bench.events == ["unwound"]


def test_a_slot_that_is_unwound_while_it_connects_leaves_no_socket_open(bench: Bench) -> None:
    with full_server() as (full, _, _):
        # What is garbage must not be closed in between.
        gc.collect()
        before = len(os.listdir("/dev/fd"))
        bench.run(lambda: bench.slots.connect(full).close(), bench.hurry, app_grace=0.0, report_grace=0.0)
        assert len(os.listdir("/dev/fd")) == before


def test_slots_that_were_unwound_are_waited_for_no_longer(bench: Bench) -> None:
    def fails() -> None:
        bench.slots.pause(0)
        raise ValueError("unforeseen")

    with pytest.raises(ValueError, match="unforeseen"):
        bench.run(lambda: bench.slots.pause(FOR_EVER), fails)
    began = monotonic()
    bench.run(bench.hurry, lambda: bench.slots.pause(FOR_EVER), app_grace=PATIENCE)
    assert monotonic() - began < PATIENCE


def test_what_a_slot_raises_is_raised_by_run(bench: Bench) -> None:
    def fails() -> None:
        bench.slots.pause(0)
        raise ValueError("unforeseen")

    def waits() -> None:
        try:
            bench.slots.pause(FOR_EVER)
        finally:
            bench.events.append("unwound")

    with pytest.raises(ValueError, match="unforeseen"):
        bench.run(waits, fails)
    assert bench.events == ["unwound"]


# --- connecting ---------------------------------------------------------------------------------------------------


def test_a_full_backlog_holds_up_its_slot_alone(bench: Bench) -> None:
    with full_server() as (full, listener, clients):

        def waits() -> None:
            bench.slots.connect(full).close()
            bench.events.append("connected")

        def makes_room() -> None:
            bench.events.append("runs")
            for _ in clients:
                listener.accept()[0].close()

        # The last client's own attempt is not accepted before its next one, a second later: it has been given up.
        clients.pop().close()
        bench.run(waits, makes_room)
        assert bench.events == ["runs", "connected"]


def test_a_full_backlog_of_a_unix_socket_holds_up_its_slot_alone(bench: Bench, tmp_path: Path) -> None:
    with full_unix_server(str(tmp_path / "app.sock")) as (full, listener, clients):
        clients.pop().close()

        def waits() -> None:
            bench.slots.connect(full).close()
            bench.events.append("connected")

        def makes_room() -> None:
            bench.events.append("runs")
            listener.accept()[0].close()

        bench.run(waits, makes_room)
        assert bench.events == ["runs", "connected"]


def test_a_connection_that_is_not_made_in_time_raises_an_os_error(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("adapter.runtime.connection.CONNECT_TIMEOUT", 0.1)
    with full_server() as (full, _, _), full_unix_server(str(tmp_path / "app.sock")) as (full_unix, _, _):

        def run() -> None:
            for address in (full, full_unix):
                with pytest.raises(TimeoutError):
                    bench.slots.connect(address)
                bench.events.append("too late")

        bench.run(run)
        assert bench.events == ["too late"] * 2


REFUSED = [
    pytest.param(Address(host="127.0.0.1", port=1), "refused", id="nobody-listens"),
    pytest.param(Address(path="/nowhere/app.sock"), "No such file", id="no-unix-socket"),
]


@pytest.mark.parametrize(("address", "message"), REFUSED)
def test_an_address_that_refuses_raises_an_os_error(bench: Bench, address: Address, message: str) -> None:
    def run() -> None:
        with pytest.raises(OSError, match=message):
            bench.slots.connect(address)
        bench.events.append("refused")

    bench.run(run)
    assert bench.events == ["refused"]


def test_a_connection_that_is_gone_leaves_nothing_behind_for_the_next_one(bench: Bench) -> None:
    """The next socket has the number of the one that was refused or closed."""

    def run() -> None:
        with pytest.raises(OSError, match="refused"):
            bench.slots.connect(Address(host="127.0.0.1", port=1))
        for _ in range(2):
            connection, other = bench.pair()
            other.sendall(OK)
            assert answered(connection) == b"ok"
            connection.close()
            connection.close()

    bench.run(run)


def test_slots_need_no_other_thread(bench: Bench) -> None:
    threads: set[int] = set()
    bench.run(*[lambda: threads.add(threading.get_ident())] * 3)
    assert threads == {threading.get_ident()}
