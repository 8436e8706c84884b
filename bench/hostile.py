"""Measure the cost of hostile connections: the memory of each, and the time of an honest request meanwhile.

    python bench/hostile.py --connections 5000 --way proxy --way dev

For each way in and each kind, a new adapter gets this number of connections. Each connection sends the bytes of its
kind and stays open. Meanwhile an honest client sends a request on a new connection every 20 ms. Memory and CPU time are
those of the process that serves the clients (Linux only). `adapter dev` accepts 1,000 connections on a port, so it gets
fewer. A pipelined or unread connection is also a request to the app. If more connections are opened in a second
(`--rate`) than the CPU can serve, new clients must wait. No server withstands such a denial of service by volume.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import re
import resource
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median, quantiles
from time import monotonic

KIB = 1024
GET = b"GET /%b HTTP/1.1\r\nHost: localhost\r\n\r\n"
UPLOAD = b"POST /hold HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
# The bytes that a connection of each kind sends. It sends further pieces as long as the server reads them.
KINDS = {
    "pipelined": GET % b"hold" + GET % b"" * 6500,
    "many fields": b"GET / HTTP/1.1\r\nHost: localhost\r\n" + b"x-name-000: v\r\n" * 990,
    "slow": b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ",
    "tiny chunks": UPLOAD + b"1\r\nx\r\n" * 10_000,
    "unread": GET % b"large",
}
# The maximum number of connections to a port of `adapter dev`, minus a reserve for the honest client.
DEV_CONNECTIONS = 900
# Each unanswered request needs a slot, so there must be 1,000 slots.
DEV_FLAGS = ["--port", "0", "--warm", "--environments", "1", "--max-concurrency", "1000"]
PERIOD = 0.02
PATIENCE = 60.0
HEADINGS = (
    "| way | kind | connections | memory of each | CPU | p50 | p99 while they open | p99 after | slowest | status |"
)
SCRIPT = str(Path(__file__).resolve())
LARGE = bytes(KIB * KIB)
_PORT = re.compile(r"http://127\.0\.0\.1:(\d+)")


async def serve_app(port: int) -> None:
    """Run the app: it never answers ``/hold``, sends 1 MB for ``/large``, and ``ok`` for any other path."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            while line := (await reader.readuntil(b"\r\n\r\n")).partition(b"\r\n")[0]:
                if b"/hold" in line:
                    while await reader.read(64 * KIB):
                        pass
                    break
                body = LARGE if b"/large" in line else b"ok"
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", port, backlog=4096)
    await server.serve_forever()


async def attack(port: int, kind: str, count: int, rate: float) -> None:
    """Open ``count`` connections, and send the bytes of ``kind`` on each. Then write a line, and keep them open."""
    loop = asyncio.get_running_loop()
    opened: list[socket.socket] = []
    for _ in range(count):
        client = socket.socket()
        if kind == "unread":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 * KIB)
        client.setblocking(False)
        await loop.sock_connect(client, ("127.0.0.1", port))
        opened.append(client)
        with contextlib.suppress(BlockingIOError, ConnectionError):
            client.send(KINDS[kind])
        await asyncio.sleep(1 / rate)
    print("open", flush=True)  # noqa: T201
    await loop.run_in_executor(None, sys.stdin.read)


@contextmanager
def adapter(way: str) -> Iterator[tuple[int, int]]:
    """Run the adapter in front of the app. Yield its port and its process id."""
    flags = ["--listen", "127.0.0.1:0"] if way == "proxy" else DEV_FLAGS
    command = [sys.executable, "-m", "adapter", "run" if way == "proxy" else "dev", *flags, "--readiness-path", "/"]
    app = ["--", sys.executable, SCRIPT, "--app", "{port}"]
    process = subprocess.Popen([*command, *app], stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    port = 0
    last = "the app is ready" if way == "proxy" else "try        curl"
    try:
        for line in process.stderr:
            port = port or int(found[1] if (found := _PORT.search(line)) else 0)
            if last in line:
                break
        # Empty the pipe, so that the adapter never waits for it.
        subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
        yield port, process.pid
    finally:
        process.kill() if way == "proxy" else process.terminate()
        process.wait(PATIENCE)


def cpu_seconds(pid: int) -> float:
    """Return the CPU time of a process, in seconds."""
    return sum(map(int, Path(f"/proc/{pid}/stat").read_text().split()[13:15])) / os.sysconf("SC_CLK_TCK")


def memory(pid: int) -> int:
    """Return the resident memory of a process, in bytes."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmRSS:")[2].split()[0]) * KIB


async def ask(port: int, path: bytes = b"") -> int:
    """Send one honest request on a new connection, and return its status."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(GET % path)
        return int((await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), PATIENCE))[9:12])
    finally:
        writer.close()


async def honest(port: int, times: list[float], statuses: set[int], done: asyncio.Event) -> None:
    while not done.is_set():
        began = monotonic()
        statuses.add(await ask(port))
        times.append((monotonic() - began) * 1000)
        await asyncio.sleep(max(0.0, began + PERIOD - monotonic()))


async def measure(way: str, kind: str, count: int, seconds: float, rate: float) -> str:
    with adapter(way) as (port, pid):
        for _ in range(200):
            await ask(port)
        before, began = memory(pid), cpu_seconds(pid)
        arguments = [SCRIPT, "--attack", kind, str(port), str(count), str(rate)]
        attacker = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert attacker.stdout is not None
        times: list[float] = []
        statuses: set[int] = set()
        done = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(honest(port, times, statuses, done))
            await attacker.stdout.readline()
            opening = len(times)
            await asyncio.sleep(seconds)
            done.set()
        each, cpu = (memory(pid) - before) / count / KIB, cpu_seconds(pid) - began
        attacker.kill()
        await attacker.wait()
    p99 = [quantiles(part, n=100)[98] if len(part) > 1 else 0.0 for part in (times[:opening], times[opening:])]
    cells = [way, kind, str(count), f"{each:.1f} KB", f"{cpu:.1f} s", f"{median(times):.1f} ms"]
    cells += [f"{p99[0]:.1f} ms", f"{p99[1]:.1f} ms", f"{max(times):.0f} ms", ", ".join(map(str, sorted(statuses)))]
    return f"| {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=5000)
    parser.add_argument("--seconds", type=float, default=5.0, help="the seconds for which all connections stay open")
    parser.add_argument("--rate", type=float, default=100.0, help="the number of connections to open in a second")
    parser.add_argument("--way", action="append", choices=("proxy", "dev"))
    parser.add_argument("--kind", action="append", choices=KINDS)
    parser.add_argument("--app", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--attack", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if options.app is not None:
        asyncio.run(serve_app(options.app))
    elif options.attack is not None:
        kind, port, count, rate = options.attack
        asyncio.run(attack(int(port), kind, int(count), float(rate)))
    else:
        print(HEADINGS)  # noqa: T201
        print("| --- |" + " --- |" * 9)  # noqa: T201
        for way in options.way or ["proxy", "dev"]:
            for kind in options.kind or KINDS:
                count = options.connections if way == "proxy" else min(options.connections, DEV_CONNECTIONS)
                print(asyncio.run(measure(way, kind, count, options.seconds, options.rate)), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
