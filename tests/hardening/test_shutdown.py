"""How long the end takes: the proxy's is within 1.5 s and its grace, the runtime's within its share of Lambda's."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from signal import SIGTERM
from time import monotonic

import pytest

from tests.events import function_url
from tests.hardening import figures
from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import CHUNKED, Permission, get
from tests.raw_client import raw_client
from tests.runtime_process import RuntimeProcess, app_command
from tests.scripted_app import Received, ScriptedApp
from tests.scripted_runtime_api import ScriptedRuntimeApi
from tests.supervision.conftest import as_pid_1, pid_namespace
from tests.supervision.supervised import PATIENCE, Supervisor, children_of, status_of

__all__ = ["as_pid_1", "pid_namespace"]

IDLE_SECONDS = 1.5
# AWS: 30 % of the 2 s of the shutdown phase; the rest is for Lambda's own work.
LAMBDA_SHARE = 0.3
# One of them may meet a moment at which the machine has no time for it.
TIMES = 3
ORPHANS = 1000
# An app that answers, streams for ever on /stream, and ignores signals.
DEAF = """
import os, signal, socket, sys, threading
signal.signal(signal.SIGTERM, signal.SIG_IGN)
signal.signal(signal.SIGINT, signal.SIG_IGN)
def serve(accepted):
    if b"/stream" in accepted.recv(65536):
        accepted.sendall(b"HTTP/1.1 200 OK\\r\\nTransfer-Encoding: chunked\\r\\n\\r\\n3\\r\\none\\r\\n")
        threading.Event().wait()
    accepted.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    accepted.close()
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
"""
# Leaves children behind that end by themselves, each in a session of its own, and then waits.
ABANDONS = f"""
import os, signal, socket, sys
for _ in range({ORPHANS}):
    child = os.fork()
    if child == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        os.read(0, 1)
        os._exit(0)
    os.waitpid(child, 0)
listener = socket.create_server(("127.0.0.1", int(sys.argv[1])))
while True:
    accepted, _ = listener.accept()
    accepted.recv(65536)
    accepted.sendall(b"HTTP/1.1 200 OK\\r\\nContent-Length: 2\\r\\nConnection: close\\r\\n\\r\\nok")
    accepted.close()
"""


def python(program: str) -> list[str]:
    return [sys.executable, "-I", "-S", "-c", program, "{port}"]


@contextmanager
def timed(seconds: list[float]) -> Iterator[None]:
    began = monotonic()
    yield
    seconds.append(monotonic() - began)


def ended(runtime: RuntimeProcess) -> int:
    """Terminate ``runtime``, and return its exit code."""
    runtime.terminate()
    # Without a limit, which pytest has: with one, only every 50 ms it would be seen whether it has ended.
    return runtime.process.wait()


def test_an_idle_proxy_ends_at_once() -> None:
    seconds: list[float] = []
    for _ in range(TIMES):
        with ProxyProcess(command=tuple(app_command())) as proxy, timed(seconds):
            proxy.process.terminate()
            assert proxy.process.wait(PATIENCE) == 7
    assert max(seconds) < IDLE_SECONDS
    figures.show("shutdown, proxy idle", f"exit {max(seconds) * 1000:.0f} ms after SIGTERM")


async def test_a_proxy_in_mid_stream_drains_within_its_grace() -> None:
    go = Permission()
    seconds: list[float] = []

    def streams(received: Received) -> None:
        received.send(CHUNKED + b"3\r\none\r\n")
        go.wait()
        received.send(b"3\r\ntwo\r\n0\r\n\r\n")

    with ScriptedApp() as app, ProxyProcess("--grace", "5", app_port=app.port) as proxy:
        app.replies["/stream"] = streams
        async with raw_client(proxy.port) as client:
            await client.send(get("/stream"))
            await client.head()
            assert await client.chunk() == b"one"
            with timed(seconds):
                proxy.process.terminate()
                proxy.wait_for_line("no new connections")
                go.give()
                assert await client.chunk() == b"two"
                assert await client.chunk() == b""
                assert proxy.process.wait(PATIENCE) == 0
    assert seconds[0] < IDLE_SECONDS
    figures.show("shutdown, proxy mid-stream", "the stream whole, then the exit")


@pytest.mark.parametrize(
    ("command", "code"),
    [
        pytest.param(app_command(), 7, id="an-app-that-ends"),
        pytest.param(python(DEAF), 128 + 9, id="an-app-deaf-to-signals"),
    ],
)
def test_an_idle_runtime_ends_within_its_share(command: list[str], code: int) -> None:
    seconds: list[float] = []
    for _ in range(TIMES):
        with ScriptedRuntimeApi() as api, RuntimeProcess(api, *command) as runtime:
            api.wait_until_waiting()
            with timed(seconds):
                assert ended(runtime) == code
    assert statistics.median(seconds) < LAMBDA_SHARE
    app = "an app that ends" if code == 7 else "an app deaf to it"
    figures.show("shutdown, runtime idle", f"exit {statistics.median(seconds) * 1000:.0f} ms after SIGTERM, with {app}")


@pytest.mark.parametrize(
    ("slots", "causes"),
    [
        pytest.param(1, {"Adapter.TruncatedResponse"}, id="1"),
        # None of many slots waits for the app's death, which a busy machine may delay: they say then that it was late.
        pytest.param(8, {"Adapter.TruncatedResponse", "Adapter.AppTimeout"}, id="8"),
    ],
)
def test_a_runtime_in_mid_stream_ends_its_streams_with_error_trailers_within_its_share(
    slots: int, causes: set[str]
) -> None:
    environ = {"AWS_LWA_INVOKE_MODE": "response_stream", "AWS_LAMBDA_MAX_CONCURRENCY": str(slots)}
    seconds: list[float] = []
    for _ in range(TIMES):
        with ScriptedRuntimeApi() as api, RuntimeProcess(api, *python(DEAF), environ=environ) as runtime:
            invoked = [api.invoke(function_url("/stream")) for _ in range(slots)]
            for each in invoked:
                call = each.begun()
                while b"one" not in (call.next_chunk() or b"one"):
                    pass
            with timed(seconds):
                assert ended(runtime) == 128 + 9
            for each in invoked:
                [call] = each.ends
                assert call.wait().trailing_error["errorType"] in causes
                assert not call.truncated
    assert statistics.median(seconds) < LAMBDA_SHARE
    figures.show(
        f"shutdown, runtime mid-stream in {slots} slot{'s' if slots > 1 else ''}",
        f"error trailers and exit {statistics.median(seconds) * 1000:.0f} ms after SIGTERM, with an app deaf to it",
    )


def test_no_zombie_is_left_of_a_thousand_orphans(as_pid_1: bool) -> None:
    # Their stdin is at its end, so that they end as soon as they have lost their parent.
    with Supervisor(command=python(ABANDONS), as_pid_1=as_pid_1) as supervisor:
        supervisor.wait_until_ready()
        port = supervisor.port()
        # Each request is a turn of the loop; the app itself stays.
        give_up = monotonic() + PATIENCE
        while (left := len(children_of(supervisor.pid))) > 1:
            assert monotonic() < give_up, f"{left} children are left"
            assert status_of(port) == 200
        supervisor.signal(SIGTERM)
        assert supervisor.exit_code() == 128 + SIGTERM
    how = "as PID 1" if as_pid_1 else "as a subreaper"
    figures.show("zombies", f"0 after {ORPHANS} orphans, {how}")
