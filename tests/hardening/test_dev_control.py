"""The ports of the local Lambda that are for programs: nothing that a web page could send is done there."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.hardening import figures
from tests.hardening.dev_process import DevProcess
from tests.hardening.recorder import Recorder
from tests.raw_client import RawAnswer, ask

INVOKE = "/2015-03-31/functions/function/invocations"
STREAM = "/2021-11-15/functions/function/response-streaming-invocations"
EVENT = json.dumps({"version": "2.0", "rawPath": "/invoked", "requestContext": {"http": {"method": "GET"}}}).encode()
CONTROL = [
    pytest.param("POST", INVOKE, id="invoke"),
    pytest.param("POST", STREAM, id="invoke-with-response-stream"),
    pytest.param("GET", "/_adapter/status", id="status"),
    pytest.param("POST", "/_adapter/idle?seconds=1", id="idle"),
    pytest.param("GET", "/_adapter/nothing", id="no-such-path"),
]
RUNTIME_API = [
    pytest.param("GET", "/2018-06-01/runtime/invocation/next", id="next"),
    pytest.param("POST", "/2018-06-01/runtime/invocation/x/response", id="response"),
    pytest.param("POST", "/2018-06-01/runtime/init/error", id="init-error"),
    pytest.param("POST", "/2020-01-01/extension/register", id="register"),
]
# What a page's request looks like; {port} is that of the server.
FOREIGN = [
    "Host: evil.example:{port}",
    "Host: evil.example",
    "Host: 127.0.0.1.evil.example:{port}",
    "Host: localhost.evil.example:{port}",
    "Host: 127.0.0.1@evil.example:{port}",
    "Host: [::1].evil.example",
    "Host: [evil",
    "Host: .",
    "Host: 127.0.0.1:{port}\r\nOrigin: http://evil.example",
    "Host: 127.0.0.1:{port}\r\nOrigin: http://127.0.0.1:5173",
    "Host: 127.0.0.1:{port}\r\nOrigin: null",
    "Host: localhost:{port}\r\nORIGIN: https://evil.example",
    "Host: 127.0.0.1:{port}\r\nSec-Fetch-Site: cross-site",
    "Host: 127.0.0.1:{port}\r\nSec-Fetch-Site: same-site",
]
OWN = ["Host: 127.0.0.1:{port}", "Host: localhost:{port}", "Host: [::1]:{port}", "Host: LOCALHOST"]


async def knock(port: int, method: str, path: str, headers: str) -> RawAnswer:
    head = f"{method} {path} HTTP/1.1\r\n{headers.format(port=port)}\r\nContent-Length: {len(EVENT)}\r\n\r\n"
    return await ask(port, head.encode() + EVENT)


@pytest.mark.parametrize(("method", "path"), CONTROL)
async def test_no_page_controls_the_local_lambda(app: Recorder, dev: DevProcess, method: str, path: str) -> None:
    for headers in FOREIGN:
        answer = await knock(dev.invoke_port, method, path, headers)
        # 400 if it is not a Host at all.
        assert answer.status in (400, 403), headers
        assert not any(name.startswith("access-control") for name, _ in answer.pairs)
    assert app.requests == []
    figures.show(f"{method} {path} with a foreign Host or Origin", f"0 of {len(FOREIGN)} done")


@pytest.mark.parametrize(("method", "path"), RUNTIME_API)
async def test_no_page_takes_or_answers_an_invocation(app: Recorder, dev: DevProcess, method: str, path: str) -> None:
    port = runtime_api_port(dev)
    for headers in FOREIGN:
        assert (await knock(port, method, path, headers)).status in (400, 403), headers
    # The runtime has lost nothing by it.
    assert (await knock(dev.invoke_port, "POST", INVOKE, OWN[0])).status == 200
    assert [each.target for each in app.requests] == ["/invoked"]


async def test_no_page_may_ask_whether_it_may(dev: DevProcess) -> None:
    preflight = "Host: 127.0.0.1:{port}\r\nOrigin: http://evil.example\r\nAccess-Control-Request-Method: POST"
    answer = await knock(dev.invoke_port, "OPTIONS", INVOKE, preflight)
    assert answer.status == 403
    assert not any(name.startswith("access-control") for name, _ in answer.pairs)


@pytest.mark.parametrize("headers", OWN)
async def test_programs_on_this_machine_are_served(app: Recorder, dev: DevProcess, headers: str) -> None:
    assert (await knock(dev.invoke_port, "POST", INVOKE, headers)).status == 200
    assert (await knock(dev.invoke_port, "GET", "/_adapter/status", headers)).status == 200
    assert [each.target for each in app.requests] == ["/invoked"]


@pytest.mark.parametrize("host", ["lambda:3001", "host.docker.internal:3001", "192.168.1.7", "app.localhost"])
async def test_a_container_may_invoke_under_the_name_that_it_knows(app: Recorder, dev: DevProcess, host: str) -> None:
    assert (await knock(dev.invoke_port, "POST", INVOKE, f"Host: {host}")).status == 200
    assert len(app.requests) == 1


def runtime_api_port(dev: DevProcess) -> int:
    """Where the runtime of ``dev`` finds its Runtime API: Linux only, as its environment is read from /proc."""
    for environ in Path("/proc").glob("[0-9]*/environ"):
        try:
            variables = environ.read_bytes()
        except OSError:
            continue
        found = re.search(rb"(?:^|\0)AWS_LAMBDA_RUNTIME_API=127\.0\.0\.1:(\d+)\0", variables)
        if found and dev.mark.encode() in variables:
            return int(found[1])
    raise AssertionError("no runtime is running")
