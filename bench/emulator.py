"""Invocations a second of ``adapter dev`` and of the official emulator, the same function in both, in the same run.

    python bench/emulator.py [SECONDS]

Both are asked for 1 KB by the Invoke API: first of ``adapter run`` in front of a small app, then of a runtime that does
nothing but echo. The official emulator serves one invocation at a time, so that it has one client; the local Lambda has
one client and one environment, then 20 clients and 4 environments. Then what an idle ``adapter dev`` has in memory, and
how soon it answers once its app is ready.
"""

from __future__ import annotations

import http.client
import json
import os
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from tests.samples import rie_binary  # noqa: E402  (found by the line above)

RUNTIME = [sys.executable, "-I", "-S", str(HERE / "echo_runtime.py")]
APP = [sys.executable, "-I", "-S", str(HERE / "echo_app.py"), "{port}"]
_HTTP = {"http": {"method": "GET", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1"}}
#: An event of a function URL, of 1 KB.
PAYLOAD = json.dumps(
    {"version": "2.0", "rawPath": "/", "rawQueryString": "", "headers": {"x": "x" * 800}, "requestContext": _HTTP}
).encode()
PATIENCE = 30.0
_PATH = "/2015-03-31/functions/function/invocations"
_HEAD = f"POST {_PATH} HTTP/1.1\r\nHost: localhost:{{port}}\r\nContent-Length: {{length}}\r\n\r\n"


def load(port: int, clients: int, seconds: float) -> float:
    """Invocations a second, with as many ``clients`` that ask again as soon as they are answered."""
    request = _HEAD.format(port=port, length=len(PAYLOAD)).encode() + PAYLOAD
    answered, waiting = 0, clients
    with selectors.DefaultSelector() as selector:
        for _ in range(clients):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            connection.sendall(request)
            selector.register(connection, selectors.EVENT_READ, bytearray())
        begun = time.perf_counter()
        # What was asked is waited for: the official emulator does not get over a client that leaves.
        while waiting:
            for key, _ in selector.select(PATIENCE):
                assert isinstance(key.fileobj, socket.socket)
                connection, received = key.fileobj, key.data
                piece = connection.recv(65536)
                assert piece, "the emulator has closed a connection"
                received += piece
                if not _is_whole(received):
                    continue
                answered += 1
                received.clear()
                if time.perf_counter() - begun < seconds:
                    connection.sendall(request)
                else:
                    waiting -= 1
                    selector.unregister(connection)
                    connection.close()
        return answered / (time.perf_counter() - begun)


def _is_whole(received: bytearray) -> bool:
    head, end, body = bytes(received).partition(b"\r\n\r\n")
    length = head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0]
    assert not end or b" 200 " in head[:20], head
    return bool(end) and len(body) >= int(length)


def cpu_seconds(pid: int) -> float:
    """How much processor time a process has used, its threads included."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(command: list[str], port: int) -> Iterator[subprocess.Popen[bytes]]:
    """A process that answers on ``port``."""
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        try:
            _invoke_once(port)
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(PATIENCE)


def _invoke_once(port: int) -> None:
    give_up = time.monotonic() + PATIENCE
    while True:
        with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)) as connection:
            try:
                connection.request("POST", _PATH, PAYLOAD)
                response = connection.getresponse()
                assert response.status == 200, response.read()
                return
            except ConnectionRefusedError:
                if time.monotonic() > give_up:
                    raise
                time.sleep(0.02)


def free_port() -> int:
    """A port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def dev(port: int, environments: int, function: list[str]) -> list[str]:
    """``adapter dev`` whose Invoke APIs are on ``port``, with CMD or ``--runtime`` as ``function`` says."""
    own = [sys.executable, "-I", "-m", "adapter", "dev", "--port", "0", "--invoke-port", str(port)]
    return [*own, "--invoke-mode", "buffered", "--environments", str(environments), *function]


def official(port: int, api: int, bootstrap: list[str]) -> list[str]:
    """AWS's own emulator, which starts ``bootstrap``."""
    own = [str(rie_binary()), "--runtime-interface-emulator-address", f"127.0.0.1:{port}"]
    return [*own, "--runtime-api-address", f"127.0.0.1:{api}", *bootstrap]


def measure(name: str, command: list[str], port: int, clients: int, seconds: float) -> float:
    """Print and give the invocations a second."""
    with running(command, port) as process:
        load(port, clients, min(1.0, seconds))
        before = cpu_seconds(process.pid)
        rate = load(port, clients, seconds)
        spent = (cpu_seconds(process.pid) - before) / (rate * seconds)
        memory = next(line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if "VmRSS" in line)
        say(f"  {name:<42}{rate:8.0f} /s {spent * 1e6:8.0f} µs of CPU each, {int(memory.split()[1]) / 1024:6.1f} MB")
    return rate


def idle() -> None:
    """Print what an ``adapter dev`` with an app has in memory when nobody asks, and how soon it answers."""
    port, front = free_port(), free_port()
    app = HERE.parent / "examples" / "fastapi_app"
    own = [sys.executable, "-I", "-m", "adapter", "dev", "--port", str(front), "--invoke-port", str(port)]
    command = [*own, "--app-dir", str(app), "--", sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}"]
    begun = time.monotonic()
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        try:
            for line in process.stderr:
                if "curl -N" in line:
                    break
            listening = time.monotonic() - begun
            ready = answered = 0.0
            with closing(socket.create_connection(("127.0.0.1", front))) as client:
                client.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
                for line in process.stderr:
                    if "startup complete" in line:
                        ready = time.monotonic()
                        break
                client.recv(65536)
                answered = time.monotonic()
            status = Path(f"/proc/{process.pid}/status").read_text().splitlines()
            memory = next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmRSS"))
            say(f"adapter dev listens after {listening:.2f} s, answers {answered - ready:.3f} s after its app is ready")
            say(f"adapter dev, idle: {memory:.1f} MB")
        finally:
            process.send_signal(signal.SIGINT)
            process.stderr.read()
            process.wait(PATIENCE)


def say(text: str) -> None:
    """Write a line of the result."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def main() -> None:
    """Measure everything."""
    seconds = float(sys.argv[1]) if sys.argv[1:] else 5.0
    app_port = str(free_port())
    run = [sys.executable, "-I", "-m", "adapter", "run", "--", *APP[:-1], app_port]
    for name, bootstrap, function in (
        ("adapter run", ["env", f"AWS_LWA_PORT={app_port}", *run], ["--", *APP]),
        ("an echo", RUNTIME, ["--runtime", " ".join(RUNTIME)]),
    ):
        say(f"{name}:")
        port, api = free_port(), free_port()
        theirs = measure("official emulator, 1 client", official(port, api, bootstrap), port, 1, seconds)
        port = free_port()
        measure("adapter dev, 1 client, 1 environment", dev(port, 1, function), port, 1, seconds)
        port = free_port()
        ours = measure("adapter dev, 20 clients, 4 environments", dev(port, 4, function), port, 20, seconds)
        say(f"  {ours / theirs:.2f} times the official emulator's")
    idle()


if __name__ == "__main__":
    main()
