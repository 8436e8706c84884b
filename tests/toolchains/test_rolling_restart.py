"""Two replicas behind a balancer, restarted one by one under load: bench/rolling_restart.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "rolling_restart.py"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("balancer", ["haproxy", "nginx"])
def test_no_request_fails(balancer: str) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), balancer], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{balancer}: 3 restarts of each replica, " in done.stdout
    assert ", 0 failed, " in done.stdout
