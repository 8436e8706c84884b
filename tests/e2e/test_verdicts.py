"""The inspector's "would it work behind …?": for responses around each limit, the app really runs behind each door.

One ``adapter dev`` streams; the inspector computes the verdicts from what it recorded there. A second one is buffered.
"""

from __future__ import annotations

import http.client
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT, KIB, MIB
from adapter.emulator.front_doors.registry import DOORS
from adapter.payload.body import BodyRules
from adapter.payload.function_response import encode_prelude
from adapter.payload.messages import ResponseHead
from tests.e2e.output import PATIENCE
from tests.e2e.sized_app import BODIES

APP = Path(__file__).parent / "sized_app.py"
BUFFERED_DOORS = ("function-url", "rest-api", "http-api", "alb", "lattice")
STREAMING_DOORS = ("function-url", "rest-api")


class Dev:
    """A running ``adapter dev``, by its start message."""

    def __init__(self, start: dict[str, Any]) -> None:
        self.ports = {door["door"]: urlsplit(door["url"]).port for door in start["doors"]}
        self.inspector = urlsplit(start["inspectorUrl"])

    def get(self, door: str, path: str) -> tuple[int, int]:
        """Return the status and the number of body bytes; an incomplete body counts as none."""
        with closing(http.client.HTTPConnection("127.0.0.1", self.ports[door], timeout=PATIENCE)) as client:
            client.request("GET", path)
            answer = client.getresponse()
            try:
                return answer.status, len(answer.read())
            except http.client.IncompleteRead:
                return answer.status, 0

    def record(self, number: int) -> Any:
        with closing(http.client.HTTPConnection("127.0.0.1", self.inspector.port, timeout=PATIENCE)) as client:
            client.request("GET", f"{self.inspector.path}records/{number}")
            return json.loads(client.getresponse().read())


@contextmanager
def dev(mode: str, *doors: str) -> Iterator[Dev]:
    flags = [word for door in doors for word in ("--front-door", door)]
    command = [sys.executable, "-I", "-m", "adapter", "dev", "--port", "0", "--invoke-mode", mode, *flags]
    command += ["--bandwidth", "unlimited", "--environments", "1", "--log-format", "json", "--no-access-log"]
    command += ["--", sys.executable, str(APP), "{port}"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        try:
            assert process.stderr is not None
            yield Dev(next(line for line in map(json.loads, process.stderr) if line["message"] == "serving"))
        finally:
            process.send_signal(signal.SIGTERM)
            process.communicate(timeout=PATIENCE)


def head(kind: str, pad: int = 0) -> ResponseHead:
    headers = [("content-type", BODIES[kind][0].decode()), ("x-pad", "p" * pad)]
    return ResponseHead(status=200, headers=headers)


def largest(door: str, kind: str, limit: int) -> int:
    """Return the size of the largest body whose payload at ``door`` has at most ``limit`` bytes."""

    def payload(size: int) -> int:
        return sum(map(len, DOORS[door].codec.encode_response(head(kind), BODIES[kind][1] * size, BodyRules())))

    low, high = 0, limit
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if payload(middle) <= limit else (low, middle - 1)
    return low


def largest_pad(limit: int) -> int:
    """Return the length of the largest header x-pad with which a prelude has ``limit`` bytes."""
    return limit - len(encode_prelude(head("text")))


def responses() -> Iterator[tuple[str, int, int]]:
    """12 responses: the largest that fits and the next, for each limit."""
    for kind in BODIES:
        size = largest("alb", kind, MIB)
        yield from ((kind, size, 0), (kind, size + 1, 0))
    size = largest("function-url", "text", BUFFERED_RESPONSE_LIMIT)
    yield from (("text", size, 0), ("text", size + 1, 0))
    size = largest("lattice", "text", 6 * MIB)
    yield from (("text", size, 0), ("text", size + 1, 0))
    pad = largest_pad(16 * KIB)
    yield from (("text", 100, pad), ("text", 100, pad + 1))


@pytest.mark.timeout(240)
def test_the_verdicts_agree_with_what_really_happens() -> None:
    cases = list(responses())
    assert len(cases) == 12
    outcomes: dict[tuple[int, str, str], bool] = {}
    verdicts: dict[tuple[int, str, str], tuple[bool, list[str]]] = {}
    with dev("response_stream", *STREAMING_DOORS) as local:
        for number, (kind, size, pad) in enumerate(cases):
            for position, door in enumerate(STREAMING_DOORS):
                delivered = local.get(door, f"/{kind}/{size}/{pad}") == (200, size)
                outcomes[number, door, "streaming"] = delivered
                if position == 0:
                    for verdict in local.record(number * 2 + 1)["verdicts"]:
                        key = number, verdict["door"], verdict["mode"]
                        verdicts[key] = verdict["fits"], verdict["breaks"]
    with dev("buffered", *BUFFERED_DOORS) as local:
        for number, (kind, size, pad) in enumerate(cases):
            for door in BUFFERED_DOORS:
                outcomes[number, door, "buffered"] = local.get(door, f"/{kind}/{size}/{pad}") == (200, size)
    wrong = {
        (cases[key[0]], *key[1:]): (verdicts[key], delivered)
        for key, delivered in outcomes.items()
        if verdicts[key][0] is not delivered
    }
    assert not wrong
    # Each limit was met from both sides.
    assert len(outcomes) == 12 * 7
    assert 20 < sum(outcomes.values()) < 80
    assert all(bool(breaks) is not fits for fits, breaks in verdicts.values())
