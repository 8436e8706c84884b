"""Log lines of real processes: bounds, levels, and no tracebacks, whatever clients, the app and the runtime send."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.events import function_url
from tests.hardening.dev_process import DevProcess
from tests.hardening.recorder import PROBE
from tests.logging_process import LoggingProcess
from tests.proxy.process import ProxyProcess
from tests.raw_client import raw_client
from tests.runtime_process import RuntimeProcess
from tests.scripted_app import OK, Received, ScriptedApp, response
from tests.scripted_runtime_api import ScriptedRuntimeApi
from tests.unused_port import unused_port

RESET_ON_CLOSE = b"\1\0\0\0\0\0\0\0"
GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
MALFORMED = [
    b"BAD",
    b"BAD\r\n\r\n",
    b"\x16\x03\x01",
    GET + b"BAD",
    GET * 30 + b"BAD",
    b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\nBAD",
    b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\nBAD",
    b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
    b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab",
]

# It writes a part of a line for each request, and answers /slow after a minute.
APP = (
    "import http.server as h, sys, time\n"
    "class H(h.BaseHTTPRequestHandler):\n"
    "    def do_GET(self):\n"
    "        if self.path == '/slow': time.sleep(60)\n"
    "        sys.stderr.write('half'); sys.stderr.flush(); self.send_response(200); self.end_headers()\n"
    "    def log_message(self, *_): pass\n"
    "h.HTTPServer(('127.0.0.1', int(sys.argv[1])), H).serve_forever()"
)

COMMAND = (sys.executable, "-c", APP, "{port}")


def hang_up(received: Received) -> None:
    received.hang_up()


def failing_app() -> ScriptedApp:
    app = ScriptedApp()
    app.replies |= {PROBE: OK, "/broken": hang_up, "/500": response(b"", status=500)}
    return app


def send_and_leave(port: int, data: bytes, *, how: str) -> None:
    with socket.create_connection(("127.0.0.1", port)) as client:
        client.sendall(data)
        if how == "end":
            client.shutdown(socket.SHUT_WR)
        elif how == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)


async def status_of(port: int, head: str) -> int:
    async with raw_client(port) as client:
        await client.send(f"{head}\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        return (await client.head()).status


async def shower(process: LoggingProcess, ports: list[int]) -> None:
    """Send all malformed messages to all ``ports``, several times, since the order of the events varies."""
    for port in ports:
        for data in MALFORMED * 3:
            for how in ("close", "end", "reset"):
                send_and_leave(port, data, how=how)
        assert await status_of(port, "GET /the-end HTTP/1.1") in (200, 403, 404)


async def test_malformed_input_makes_no_traceback_in_the_proxy() -> None:
    admin = unused_port()
    with failing_app() as app, ProxyProcess("--admin", f"127.0.0.1:{admin}", app_port=app.port) as proxy:
        await shower(proxy, [proxy.port, admin])
        log = proxy.lines()
    assert [line for line in log if not line.startswith(("adapter INFO ", "adapter WARN "))] == []


async def test_malformed_input_makes_no_traceback_in_dev() -> None:
    with failing_app() as app, DevProcess(app.port, "--invoke-mode", "buffered", doors=("function-url", "alb")) as dev:
        await shower(dev, [*dev.ports.values(), dev.invoke_port])
        log = dev.output()
    assert "Traceback" not in log
    assert "raised" not in log


@pytest.mark.parametrize("format", ["text", "json"])
async def test_a_long_path_makes_no_long_line(format: str) -> None:
    path = "/" + "a" * 900_000
    with failing_app() as app, ProxyProcess("--log-format", format, app_port=app.port) as proxy:
        assert await status_of(proxy.port, f"GET {path} HTTP/1.1") == 200
        assert len(proxy.wait_for_line("status", "/aaa")) < 2000


async def test_what_the_app_fails_is_an_error_and_always_written() -> None:
    with failing_app() as app, ProxyProcess("--no-access-log", app_port=app.port) as proxy:
        for path, status in (("/", 200), ("/broken", 502), ("/500", 500)):
            assert await status_of(proxy.port, f"GET {path} HTTP/1.1") == status
        assert await status_of(proxy.port, "CONNECT me:1 HTTP/1.1") == 405
        proxy.wait_for_line("adapter ERROR request", "path=/500", "status=500")
        proxy.terminate()
        lines = [line for line in proxy.stderr().splitlines() if " request " in line]
    assert ["ERROR" in line for line in lines] == [True, True]
    assert "error=Adapter.AppUnreachable" in lines[0]


async def test_a_clients_fault_is_a_warning_of_the_access_log() -> None:
    with failing_app() as app, ProxyProcess(app_port=app.port) as proxy:
        await status_of(proxy.port, "GET / HTTP/1.1")
        assert await status_of(proxy.port, "CONNECT me:1 HTTP/1.1") == 405
        assert "error=Adapter.RefusedRequest" in proxy.wait_for_line("adapter WARN request", "status=405")
        assert "status=200" in proxy.wait_for_line("adapter INFO request")


# --- the runtime ----------------------------------------------------------------------------------------------------


@contextmanager
def runtime_with(app: ScriptedApp, **environ: str) -> Iterator[tuple[ScriptedRuntimeApi, RuntimeProcess]]:
    with ScriptedRuntimeApi() as api, app, RuntimeProcess(api, app=app, environ=environ) as runtime:
        yield api, runtime


def test_a_failed_invocation_is_an_error_and_always_written() -> None:
    with runtime_with(failing_app(), ADAPTER_ACCESS_LOG="false") as (api, runtime):
        api.invoke(function_url("/")).answer()
        api.invoke(function_url("/500")).answer()
        api.invoke(function_url("/broken")).error()
        assert "path=/broken" in runtime.wait_for_line("adapter ERROR invocation", "Adapter.AppUnreachable")
        lines = [line for line in runtime.lines() if " invocation " in line]
    assert ["status=500" in line for line in lines] == [True, False]


def test_what_fails_after_the_deadline_timed_out_and_did_not_crash() -> None:
    with runtime_with(failing_app()) as (api, runtime):
        error = api.invoke(function_url("/broken"), Deadline_Ms=str(int(time.time() * 1000))).error()
        assert error.json()["errorType"] == "Adapter.AppTimeout"
        line = runtime.wait_for_line("adapter ERROR invocation")
        assert "error=Adapter.AppTimeout" in line
        assert "the invocation timed out" in line
        later = str(int(time.time() * 1000) + 60_000)
        assert api.invoke(function_url("/broken"), Deadline_Ms=later).error().json()["errorType"] == (
            "Adapter.AppUnreachable"
        )


def test_a_timeout_in_dev_is_never_called_a_crash() -> None:
    port = unused_port()
    flags = ("--port", str(port), "--invoke-port", "0", "--timeout", "1", "--no-access-log", "--warm")
    adapter = (sys.executable, "-I", "-m", "adapter", "dev")
    with LoggingProcess([*adapter, *flags, "--readiness-protocol", "tcp", "--", *COMMAND], {}) as dev:
        dev.wait_for_line("the environment is warm")
        send_and_leave(port, GET.replace(b"/", b"/slow", 1), how="")
        dev.wait_for_line("GET /slow", "Sandbox.Timeout", "timed out after 1.00 seconds")
        dev.wait_for_line("adapter ERROR invocation", "Adapter.AppTimeout")
        assert "AppUnreachable" not in dev.output()


# --- the app's output -----------------------------------------------------------------------------------------------


async def test_a_line_of_the_proxy_is_not_glued_to_the_apps_output() -> None:
    with ProxyProcess("--readiness-protocol", "tcp", command=COMMAND) as proxy:
        for _ in range(3):
            assert await status_of(proxy.port, "GET / HTTP/1.1") == 200
        proxy.wait_for_line("INFO request")
        proxy.terminate()
        lines = proxy.stderr().splitlines()
    assert [line for line in lines if "half" in line and "adapter" in line] == []
    assert "".join(line for line in lines if not line.startswith("adapter ")) == "half" * 3


def test_a_line_of_the_runtime_is_not_glued_to_the_apps_output() -> None:
    environ = {"AWS_LAMBDA_LOG_FORMAT": "JSON", "AWS_LWA_READINESS_CHECK_PROTOCOL": "TCP"}
    with ScriptedRuntimeApi() as api, RuntimeProcess(api, *COMMAND, environ=environ) as runtime:
        for _ in range(3):
            api.invoke(function_url("/")).answer()
        runtime.wait_for_line('"invocation"')
        runtime.terminate()
        lines = runtime.stderr().splitlines()
    others = [line for line in lines if not line.startswith("{")]
    assert "".join(others) == "half" * 3
    assert all(json.loads(line) for line in lines if line.startswith("{"))


# --- with a JSON log --------------------------------------------------------------------------------------------------

NO_PORT = ("--listen", "127.0.0.1")
JSON_FLAG = ("--log-format", "json")


@pytest.mark.parametrize(
    ("arguments", "environ", "part"),
    [
        pytest.param(("run", *JSON_FLAG, "--no-such-flag"), {}, "No such option --no-such-flag", id="usage"),
        pytest.param(("run", "--no-such-flag"), {"ADAPTER_LOG_FORMAT": "json"}, "No such option", id="variable"),
        pytest.param(("run", "--log-format=json", *NO_PORT), {}, "is not an address", id="mistake"),
        pytest.param(("run", "--", "/no/such"), {"AWS_LAMBDA_LOG_FORMAT": "JSON"}, "is not a program", id="command"),
        pytest.param(("dev", *JSON_FLAG, "--memory", "1", "--", "true"), {}, "--memory: '1' is not", id="dev"),
        pytest.param(("dev", *JSON_FLAG), {}, "CMD: is missing", id="dev-without-cmd"),
        pytest.param(("health",), {"ADAPTER_LOG_FORMAT": "json", "ADAPTER_LISTEN": "x:1"}, "unhealthy: ", id="health"),
        pytest.param(("event", "no-kind"), {"ADAPTER_LOG_FORMAT": "json"}, "is not a source", id="event"),
    ],
)
def test_a_mistake_is_an_object_too(arguments: tuple[str, ...], environ: dict[str, str], part: str) -> None:
    command = [sys.executable, "-I", "-m", "adapter", *arguments]
    done = subprocess.run(command, env=environ, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    records = [json.loads(line) for line in done.stderr.splitlines()]
    assert records
    assert {record["level"] for record in records} == {"ERROR"}
    assert part in records[0]["message"]
