"""A default gunicorn, which trusts 127.0.0.1, and Flask's ProxyFix: they believe nothing that a client has sent."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hardening.dev_process import DOORS, DevProcess
from tests.hardening.recorder import PROBE
from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import get
from tests.raw_client import ask
from tests.unused_port import unused_port

APP = Path(__file__).resolve().parent / "proxied_app"
HONEST = {"script": "", "path": "/x/events", "link": "/login", "user": None}
# Each of them is believed by this server or this app if it arrives.
FORGED = [
    pytest.param(["SCRIPT_NAME: /x"], id="script-name"),
    pytest.param(["script_name: /x", "PATH_INFO: /events"], id="cgi-variables"),
    pytest.param(["X-Forwarded-Prefix: //evil.example"], id="prefix"),
    pytest.param(["X_Forwarded_Prefix: //evil.example", "X.Forwarded.Prefix: //evil.example"], id="twins"),
    pytest.param(["X-Forwarded-Ssl: on", "X-Forwarded-Protocol: ssl"], id="scheme"),
    pytest.param(["Remote-User: root", "REMOTE_USER: root"], id="user"),
]


@pytest.fixture(scope="module")
def app_port() -> int:
    return unused_port()


@pytest.fixture(scope="module")
def proxy(app_port: int) -> Iterator[ProxyProcess]:
    server = ("gunicorn", "main:app", "--bind", f"127.0.0.1:{app_port}", "--chdir", str(APP), "--no-control-socket")
    flags = ("--readiness-path", PROBE, "--guard-pass-through")
    with ProxyProcess(*flags, app_port=app_port, command=(sys.executable, "-m", *server)) as process:
        yield process


@pytest.fixture(scope="module")
def dev(app_port: int, proxy: ProxyProcess) -> Iterator[DevProcess]:
    """Yield the local Lambda in front of the server that the proxy has started."""
    with DevProcess(app_port, "--guard-pass-through") as process:
        yield process


@pytest.mark.parametrize("lines", FORGED)
async def test_the_proxy_passes_nothing_that_its_app_would_believe(proxy: ProxyProcess, lines: list[str]) -> None:
    answer = await ask(proxy.port, get("/x/events", *lines))
    assert answer.status == 200
    assert json.loads(answer.body) == HONEST | {"scheme": "http", "cookies": {}}


# What a front door passes, as on AWS, and the app must not believe on Lambda without being configured to.
@pytest.mark.parametrize("door", DOORS)
@pytest.mark.parametrize("lines", [param for param in FORGED if param.id not in ("prefix", "scheme")])
async def test_no_front_door_passes_what_the_app_would_believe(dev: DevProcess, door: str, lines: list[str]) -> None:
    answer = await ask(dev.ports[door], get("/x/events", *lines))
    assert answer.status == 200
    assert json.loads(answer.body) == HONEST | {"scheme": "http", "cookies": {}}


@pytest.mark.parametrize("door", [None, *DOORS])
async def test_a_script_name_does_not_lead_around_a_closed_path(
    proxy: ProxyProcess, dev: DevProcess, door: str | None
) -> None:
    port = proxy.port if door is None else dev.ports[door]
    assert (await ask(port, get("/events"))).status == 403
    assert json.loads((await ask(port, get("/x/events", "SCRIPT_NAME: /x"))).body)["path"] == "/x/events"


@pytest.mark.parametrize("door", [None, *DOORS])
async def test_all_cookies_arrive(proxy: ProxyProcess, dev: DevProcess, door: str | None) -> None:
    port = proxy.port if door is None else dev.ports[door]
    answer = await ask(port, get("/", "Cookie: a=1; b=2", "Cookie: c=3"))
    # A load balancer without multi-value headers sends the last line.
    expected = {"c": "3"} if door == "alb" else {"a": "1", "b": "2", "c": "3"}
    assert json.loads(answer.body)["cookies"] == expected


async def test_headers_about_the_origin_can_be_removed_on_lambda(app_port: int, proxy: ProxyProcess) -> None:
    claims = get("/x/events", "X-Forwarded-Prefix: //evil.example", "X-Forwarded-Ssl: on")
    with DevProcess(app_port, "--strip-forwarded", doors=("function-url",)) as stripping:
        answer = await ask(stripping.ports["function-url"], claims)
    assert json.loads(answer.body) == HONEST | {"scheme": "http", "cookies": {}}
