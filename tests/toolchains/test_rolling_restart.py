"""Two replicas behind a balancer: restarted one by one under load, and with forged headers."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.proxy.process import ProxyProcess
from tests.scripted_app import ScriptedApp
from tests.unused_port import unused_port

# A script, so mypy knows no module of this name.
bench: Any = import_module("bench.rolling_restart")
SCRIPT = Path(__file__).resolve().parents[2] / "bench" / "rolling_restart.py"


@pytest.mark.timeout(600)
@pytest.mark.parametrize("balancer", ["haproxy", "nginx"])
def test_no_request_fails(balancer: str) -> None:
    done = subprocess.run([sys.executable, str(SCRIPT), balancer], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{balancer}: 3 restarts of each replica, " in done.stdout
    assert ", 0 failed, " in done.stdout


FORGED = {
    "X-Forwarded-For": "6.6.6.6",
    "X-Forwarded-Proto": "forged",
    "X-Forwarded-Host": "forged",
    "X-Forwarded-Port": "666",
    "X-Forwarded-Prefix": "/forged",
    "X-Forwarded-Protocol": "forged",
    "X-Forwarded-Ssl": "forged",
    "X-Real-IP": "6.6.6.6",
    "Forwarded": "for=6.6.6.6;proto=forged;host=forged",
    "Remote-User": "forged",
}


@pytest.mark.parametrize("balancer", ["haproxy", "nginx"])
def test_a_client_cannot_forge_its_origin_at_replicas_that_trust_the_balancer(balancer: str) -> None:
    front, admin = unused_port(), unused_port()
    trusting = ("--trusted-proxies", "127.0.0.1", "--admin", f"127.0.0.1:{admin}")
    with ScriptedApp() as app, ProxyProcess(*trusting, app_port=app.port) as replica:
        ports = {8100: front, 8101: replica.port, 8102: replica.port, 8201: admin, 8202: admin}
        asyncio.run(send_forged_headers(balancer, ports))
        received = app.requests[-1].headers

    assert [pair for pair in received.items() if "forged" in pair[1] or "6.6.6.6" in pair[1]] == []
    assert received["x-forwarded-for"] == "127.0.0.1, 127.0.0.1"
    assert received["x-forwarded-proto"] == "http"
    assert received["x-forwarded-host"] == received["host"] == f"127.0.0.1:{front}"
    assert received["x-real-ip"] == "127.0.0.1"
    assert received["x-forwarded-port"] == str(front)
    assert "remote-user" not in received


async def send_forged_headers(balancer: str, ports: dict[int, int]) -> None:
    async with aiohttp.ClientSession() as client, bench.balancer(balancer, ports):
        await bench.wait_until_ok(client, f"http://127.0.0.1:{ports[8100]}/up")
        async with client.get(f"http://127.0.0.1:{ports[8100]}/forged", headers=FORGED) as answer:
            assert answer.status == 200
