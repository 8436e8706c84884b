"""The line about requests in progress: what it has, and that it leaves nothing behind."""

from __future__ import annotations

from adapter.aws.limits import MIB
from adapter.emulator.records.record import RequestRecord
from adapter.emulator.records.ring import RecordRing
from adapter.emulator.terminal.status_line import StatusLine


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def begin(ring: RecordRing, clock: Clock, target: str = "/download") -> RequestRecord:
    record = RequestRecord(method="GET", target=target, request_id="8290d4d6-2098", clock=clock)
    ring.begin(record)
    return record


def test_it_shows_what_a_slow_request_does() -> None:
    ring, clock, written = RecordRing(), Clock(), list[str]()
    line = StatusLine(ring, written.append, lambda: 200)
    record = begin(ring, clock)
    clock.now += 0.9
    assert line.text() == ""
    clock.now += 0.1
    assert line.text() == "… GET /download | 1.00 s | waits for an environment | 8290d4d6"
    record.environment = 2
    assert "waits for the app | environment 2" in line.text()
    record.add_piece(b"", 8 * MIB)
    line.text()
    clock.now += 1.0
    record.add_piece(b"", 2 * MIB)
    record.held_since = record.now() - 0.25
    record.held = 0.5
    begin(ring, clock)
    clock.now += 1.0
    assert line.text() == (
        "… GET /download | 3.00 s | 10 MB, 1 MB/s | held back for 1.75 s so far | environment 2 | 8290d4d6 | and 1 more"
    )


def test_it_is_erased_before_anything_else_and_at_the_end() -> None:
    ring, clock, written = RecordRing(), Clock(), list[str]()
    line = StatusLine(ring, written.append, lambda: 40)
    record = begin(ring, clock)
    line.erase()
    assert written == []
    clock.now += 2
    line.update()
    assert len(written.pop()) == 39
    line.update()
    assert written.pop(0) == "\r\x1b[2K"
    written.clear()
    line.erase()
    line.erase()
    assert written == ["\r\x1b[2K"]
    line.update()
    written.clear()
    ring.end(record)
    line.update()
    assert written == ["\r\x1b[2K"]


def test_no_character_of_a_client_moves_the_cursor() -> None:
    ring, clock = RecordRing(), Clock()
    begin(ring, clock, "/\x1b[2J\r")
    clock.now += 2
    text = StatusLine(ring, list[str]().append, lambda: 80).text()
    assert "\x1b" not in text
    assert "\r" not in text
