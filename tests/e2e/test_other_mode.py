"""The inspector's "run it the other way": the same request in the other invoke mode, in environments of their own."""

from __future__ import annotations

import http.client
import json
import time
from contextlib import closing
from typing import Any

from tests.e2e.output import PATIENCE
from tests.e2e.test_verdicts import Dev, dev


def post(local: Dev, path: str, **fields: Any) -> Any:
    with closing(http.client.HTTPConnection("127.0.0.1", local.inspector.port, timeout=PATIENCE)) as client:
        body = json.dumps(fields).encode()
        client.request("POST", f"{local.inspector.path}{path}", body, {"Content-Type": "application/json"})
        return json.loads(client.getresponse().read())


def concluded(local: Dev, number: int) -> Any:
    """Return the record, once its environment is done with it."""
    deadline = time.monotonic() + PATIENCE
    while not (record := local.record(number))["concluded"] or not record["ended"]:
        assert time.monotonic() < deadline
    return record


def test_a_streamed_request_runs_buffered_and_the_other_way_round() -> None:
    with dev("response_stream", "function-url") as local:
        assert local.get("function-url", "/text/300000/0") == (200, 300_000)
        streamed = concluded(local, 1)
        other = concluded(local, post(local, "records/1/replay", mode="buffered")["id"])
        again = concluded(local, post(local, f"records/{other['id']}/replay", mode="streaming")["id"])
    assert (streamed["mode"], other["mode"], again["mode"]) == ("streaming", "buffered", "streaming")
    # The runtime itself was in the other mode: it sent a payload, and no prelude.
    assert streamed["response"]["prelude"]["statusCode"] == again["response"]["prelude"]["statusCode"] == 200
    assert other["response"]["prelude"] is None
    assert [each["response"]["bodyBytes"] for each in (streamed, other, again)] == [300_000] * 3
    assert not other["mismatch"]
    # Environments of one mode never serve the other.
    assert other["cold"]
    assert streamed["environment"] == again["environment"] != other["environment"]
    assert (other["replayOf"], again["replayOf"]) == (1, other["id"])
