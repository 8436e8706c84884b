"""The ring: the last records, within a number and a memory, also of requests in progress."""

from __future__ import annotations

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT, KIB, MIB
from adapter.emulator.records.record import CUT_BODY, RequestRecord
from adapter.emulator.records.ring import RecordRing
from adapter.payload.messages import ResponseHead


def record(target: str = "/") -> RequestRecord:
    return RequestRecord(method="GET", target=target)


def test_only_the_last_records_stay() -> None:
    ring = RecordRing(3)
    for number in range(5):
        ring.begin(record(f"/{number}"))
    assert [each.target for each in ring] == ["/2", "/3", "/4"]
    assert [each.number for each in ring] == [3, 4, 5]
    assert ring.find(1) is None


def test_the_data_of_the_oldest_is_dropped_first_and_its_row_stays() -> None:
    ring = RecordRing(memory=MIB)
    records = [record() for _ in range(4)]
    for each in records:
        ring.begin(each)
        each.add_event(b"x" * 150 * KIB, is_streaming=False)
    assert [each.is_stored for each in records] == [False, True, True, True]
    assert records[0].event == b""
    assert ring.memory <= MIB
    assert len(ring) == 4


def test_requests_in_progress_hold_no_more_than_the_ring_allows() -> None:
    ring = RecordRing(memory=16 * MIB)
    records = [record() for _ in range(100)]
    for each in records:
        ring.begin(each)
    for _ in range(40):
        for each in records:
            each.add_arrival(256 * KIB)
            each.add_piece(bytes(256 * KIB), 256 * KIB)
            assert ring.memory <= 16 * MIB
    assert sum(len(each.body) for each in records) <= 16 * MIB
    assert all(each.body_size == 10 * MIB for each in records)


def test_the_memory_is_what_the_records_hold() -> None:
    ring = RecordRing()
    for number in range(10):
        each = record()
        ring.begin(each)
        each.add_event(b"x" * number, is_streaming=True)
        each.add_head(ResponseHead(status=200, headers=[]), 100, 0)
        each.add_response(200, [("a", "b")])
        each.add_piece(bytes(1000), 1000)
        each.add_output(b"line", "stdout")
        ring.end(each)
    assert ring.memory == sum(each.memory for each in ring)
    ring.clear()
    assert (ring.memory, len(ring)) == (0, 0)


def test_a_body_is_kept_whole_as_long_as_a_buffered_response_could_have_it() -> None:
    ring = RecordRing()
    each = record()
    ring.begin(each)
    each.add_piece(bytes(BUFFERED_RESPONSE_LIMIT), BUFFERED_RESPONSE_LIMIT)
    assert len(each.body) == BUFFERED_RESPONSE_LIMIT
    each.add_piece(b"x", 1)
    assert (len(each.body), each.body_size) == (CUT_BODY, BUFFERED_RESPONSE_LIMIT + 1)
    assert ring.memory == each.memory < MIB


def test_output_and_pauses_have_bounds() -> None:
    each = record()
    for _ in range(10_000):
        each.add_output(b"x" * 100, "stderr")
    assert sum(len(line) for _, _, line in each.output) <= 64 * KIB


def test_an_invocation_is_finished_once_when_client_and_environment_are_done() -> None:
    finished: list[RequestRecord] = []
    ring = RecordRing(1)
    ring.on_finished = finished.append
    first, second = record(), record()
    ring.begin(first)
    ring.end(first)
    first.conclude({"durationMs": 1.0})
    first.changed()
    assert finished == [first]
    ring.begin(second)
    # The ring has no place for the second one any more.
    ring.begin(record())
    second.conclude({"durationMs": 1.0})
    assert finished == [first]
    ring.end(second)
    assert finished == [first, second]


def test_watches_see_each_change_and_the_clearing() -> None:
    ring = RecordRing()
    seen: list[RequestRecord | None] = []
    ring.watches.append(seen.append)
    each = record()
    ring.begin(each)
    each.add_response(200, [])
    ring.clear()
    assert seen == [each, each, None]


def test_a_representation_has_no_secret() -> None:
    each = record()
    each.client_target, each.client_headers = "/?token=secret", [("authorization", "secret")]
    each.event = each.body = bytearray(b"secret")  # type: ignore[assignment]
    assert "secret" not in repr(each)
