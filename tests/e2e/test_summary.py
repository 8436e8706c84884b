"""The summary at the exit of a real run: its cost is computed by hand from Lambda's own REPORT lines."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import sys
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from tests.e2e.output import PATIENCE
from tests.e2e.test_verdicts import APP

MIB = 1024 * 1024
REPORT = re.compile(r"REPORT .*\tBilled Duration: (\d+) ms\tMemory Size: (\d+) MB")


@pytest.mark.parametrize(
    ("memory", "sizes"),
    [
        pytest.param(128, (10,), id="a-cold-start"),
        pytest.param(512, (10, 2000, 10), id="three-requests"),
        pytest.param(1024, (10, 8 * MIB, 7 * MIB), id="streams-beyond-the-free-6-mb"),
    ],
)
def test_the_cost_equals_a_calculation_by_hand(memory: int, sizes: tuple[int, ...]) -> None:
    flags = ["--port", "0", "--memory", str(memory), "--bandwidth", "unlimited", "--region", "us-east-1"]
    flags += ["--log-format", "json", "--invocation-log", "cloudwatch"]
    command = [sys.executable, "-I", "-m", "adapter", "dev", *flags, "--", sys.executable, str(APP), "{port}"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as process:
        assert process.stderr is not None
        # Other lines are the app's.
        lines = (json.loads(line) for line in process.stderr if line.startswith(b"{"))
        serving = next(line for line in lines if line["message"] == "serving")
        with closing(
            http.client.HTTPConnection("127.0.0.1", urlsplit(serving["doors"][0]["url"]).port, timeout=PATIENCE)
        ) as client:
            reports = []
            for size in sizes:
                client.request("GET", f"/text/{size}/0")
                assert len(client.getresponse().read()) == size
                reports.append(next(found for line in lines if (found := REPORT.match(line["message"]))))
        process.send_signal(signal.SIGINT)
        summary = next(line for line in lines if line["message"] == "summary")
        process.wait(PATIENCE)
    # Prices of us-east-1: a GB-second 0.0000166667, a million requests 0.20, a GB of 1,024 MB 0.008.
    gb_seconds = sum(int(report[1]) / 1000 * int(report[2]) / 1024 for report in reports)
    streamed = sum(max(0, size - 6 * MIB) for size in sizes) / 1024**3
    by_hand = gb_seconds * 0.0000166667 + len(sizes) * 0.2 / 1_000_000 + streamed * 0.008
    assert summary["cost"]["total"] == pytest.approx(by_hand, rel=1e-9)
    assert summary["gbSeconds"] == pytest.approx(gb_seconds, abs=1e-6)
    assert (summary["invocations"], summary["coldStarts"], summary["bytes"]) == (len(sizes), 1, sum(sizes))
