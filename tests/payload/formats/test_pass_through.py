"""Events that are not HTTP."""

from __future__ import annotations

import pytest

from adapter.errors import InvalidEvent
from adapter.payload.body import BodyRules
from adapter.payload.event import PASS_THROUGH
from adapter.payload.formats.pass_through import read_app_status
from adapter.payload.messages import Arrival, Request, ResponseHead

ARRIVAL = Arrival(request_id="r-1", time_ms=0)


def test_the_events_own_bytes_are_posted_as_json() -> None:
    request = PASS_THROUGH.request_of(b' {"a": 1} ', "/hook")
    assert (request.method, request.target, request.body) == ("POST", "/hook", b' {"a": 1} ')
    assert request.headers == [("content-type", "application/json")]


def test_requests_do_not_share_their_headers() -> None:
    PASS_THROUGH.request_of(b"1", "/").headers.append(("a", "b"))
    assert PASS_THROUGH.request_of(b"1", "/").headers == [("content-type", "application/json")]


@pytest.mark.parametrize("body", [b"", b"not json", b'{"batchItemFailures": []}', bytearray(b"\xff")])
def test_the_apps_body_is_the_payload_unchanged(body: bytes) -> None:
    head = ResponseHead(status=500, headers=[("content-type", "image/png")])
    assert PASS_THROUGH.encode_response(head, body, BodyRules()) == [bytes(body)]


def test_a_payload_is_a_json_answer() -> None:
    head, body = PASS_THROUGH.decode_response(b"[1]")
    assert (head.status, head.headers, body) == (200, [("content-type", "application/json")], b"[1]")


@pytest.mark.parametrize(("body", "reason"), [(b"{", "not JSON"), (b"[]", "is of type list, not a JSON object")])
def test_only_a_json_object_is_an_event(body: bytes, reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason):
        PASS_THROUGH.encode_event(Request(method="POST", target="/", headers=[], body=body), ARRIVAL)


@pytest.mark.parametrize(
    ("value", "expected"),
    [("404 /events", (404, "/events")), ("", (0, "")), ("x /events", (0, "")), ("4040 /events", (0, ""))],
)
def test_the_status_that_the_runtime_sends_to_dev_is_read(value: str, expected: tuple[int, str]) -> None:
    assert read_app_status(value) == expected


def test_only_an_event_that_the_app_did_not_handle_has_a_warning() -> None:
    assert PASS_THROUGH.lost_event_text(204, "/events") == ""
    assert "404 to POST /events" in PASS_THROUGH.lost_event_text(404, "/events")
