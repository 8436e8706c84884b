"""Ids as Lambda and X-Ray make them."""

from __future__ import annotations

import re

from adapter.emulator.environment.invocation import new_request_id, new_trace_id


def test_request_ids_are_uuids_and_never_the_same() -> None:
    ids = {new_request_id() for _ in range(100)}
    assert len(ids) == 100
    assert all(re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", each) for each in ids)


def test_a_trace_id_starts_with_the_time() -> None:
    trace = new_trace_id(0x5F000000 + 0.9)
    assert re.fullmatch(r"Root=1-5f000000-[0-9a-f]{24};Parent=[0-9a-f]{16};Sampled=0", trace)
