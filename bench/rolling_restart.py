"""Restart two replicas one by one behind nginx or HAProxy, under open-loop load, and count failed requests.

    python bench/rolling_restart.py nginx
    python bench/rolling_restart.py haproxy --restarts 3

Requests begin at fixed times, whether or not earlier requests have been answered. Every second some of them are streams
that last longer than the drain delay. This prints one line, and exits with 1 if a request has failed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from time import monotonic

import aiohttp

REPOSITORY = Path(__file__).resolve().parent.parent
CONFIGURATIONS = {"nginx": "nginx.conf", "haproxy": "haproxy.cfg"}
#: nginx has no health checks, so a replica must refuse connections until its app is ready.
FLAGS = {"nginx": ["--listen-when-ready"], "haproxy": []}
DRAIN_SECONDS, GRACE_SECONDS = 5, 20
REQUESTS_PER_SECOND, STREAMS_PER_SECOND = 20, 2
STREAM_CHUNKS, STREAM_INTERVAL = 8, 0.5
#: The time that the app takes to start, in seconds. A replica must get no request in this time.
START_SECONDS = 3
#: The time limit of a start, an exit and an answer, in seconds.
PATIENCE = 120


class Replica:
    """One ``adapter run`` with the FastAPI example. It can be started again on the same ports."""

    def __init__(self, port: int, admin: int, *flags: str) -> None:
        self._command = [
            *(sys.executable, "-m", "adapter", "run", "--listen", f"127.0.0.1:{port}", "--admin", f"127.0.0.1:{admin}"),
            *("--drain-delay", str(DRAIN_SECONDS), "--grace", str(GRACE_SECONDS), "--bandwidth", "unlimited"),
            *(*flags, "--", "sh", "-c", f'sleep {START_SECONDS}; exec "$@"', "sh"),
            *(sys.executable, "-m", "uvicorn", "main:app", "--port", "{port}", "--log-level", "warning"),
        ]
        self._ready_url = f"http://127.0.0.1:{admin}/readyz"
        self._process: asyncio.subprocess.Process | None = None

    async def start(self, client: aiohttp.ClientSession) -> None:
        """Start the replica, and wait until it is ready."""
        folder = REPOSITORY / "examples/fastapi_app"
        self._process = await asyncio.create_subprocess_exec(*self._command, cwd=folder, stderr=subprocess.DEVNULL)
        await wait_until_ok(client, self._ready_url)

    async def stop(self) -> int:
        """Send SIGTERM, and wait for the end of the replica. Return the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(self._process.wait(), PATIENCE)

    def kill(self) -> None:
        """Kill the replica if it is still running."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()


class Load:
    """Sends requests at a constant rate, and counts their results."""

    def __init__(self, client: aiohttp.ClientSession, url: str) -> None:
        self._client = client
        self._url = url
        self.sent: Counter[str] = Counter()
        self.failures: list[str] = []
        self.slowest = 0.0

    async def run(self, until: asyncio.Event) -> None:
        """Send requests until ``until`` is set, and wait for their answers."""
        start = monotonic()
        # The order of methods is random. Otherwise each regular retry of the balancer could meet the same method.
        chance = random.Random(1)
        async with asyncio.TaskGroup() as tasks:
            number = 0
            while not until.is_set():
                number += 1
                is_stream = number % (REQUESTS_PER_SECOND // STREAMS_PER_SECOND) == 0
                method = "GET" if is_stream else chance.choice(("GET", "POST"))
                tasks.create_task(self._stream() if is_stream else self._request(method, number))
                with suppress(TimeoutError):
                    await asyncio.wait_for(until.wait(), max(0.0, start + number / REQUESTS_PER_SECOND - monotonic()))

    async def _request(self, method: str, number: int) -> None:
        body = f"request {number}".encode()
        await self._ask(method, f"/echo/{number}", body, lambda text: f"/echo/{number}" in text.decode())

    async def _stream(self) -> None:
        last = f"chunk {STREAM_CHUNKS} of {STREAM_CHUNKS}\n".encode()
        path = f"/stream?chunks={STREAM_CHUNKS}&interval={STREAM_INTERVAL}"
        await self._ask("STREAM", path, b"", lambda text: text.endswith(last))

    async def _ask(self, kind: str, path: str, body: bytes, is_right: Callable[[bytes], bool]) -> None:
        self.sent[kind] += 1
        began = monotonic()
        method = "GET" if kind == "STREAM" else kind
        try:
            async with self._client.request(method, self._url + path, data=body or None) as answer:
                text = await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failures.append(f"{kind} {path}: {error!r}")
            return
        if answer.status != 200 or not is_right(text):
            self.failures.append(f"{kind} {path}: {answer.status} {text[-200:]!r}")
        elif kind != "STREAM":
            self.slowest = max(self.slowest, monotonic() - began)


@asynccontextmanager
async def balancer(name: str, ports: dict[int, int]) -> AsyncIterator[None]:
    """Run a balancer with its configuration in deploy/balancers, but on other ports."""
    program = shutil.which(name, path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None:
        raise SystemExit(f"rolling_restart needs {name}; on Debian: apt-get install {name}")
    text = (REPOSITORY / "deploy/balancers" / CONFIGURATIONS[name]).read_text("utf-8")
    for given, port in ports.items():
        text = text.replace(str(given), str(port))
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / CONFIGURATIONS[name]
        if name == "nginx":
            text = f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/log;\n{text}"
            for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"):
                text = text.replace("http {", f"http {{\n    {kind}_temp_path {folder}/{kind};", 1)
        file.write_text(text, "utf-8")
        flags = ("-p", folder, "-c", str(file)) if name == "nginx" else ("-db", "-f", str(file))
        process = await asyncio.create_subprocess_exec(program, *flags, stderr=subprocess.DEVNULL)
        try:
            yield
        finally:
            process.terminate()
            await process.wait()


def free_ports(count: int) -> list[int]:
    """Return free ports below the ephemeral range, so that no client gets one of them during a restart."""
    ports: list[int] = []
    first = 20000 + os.getpid() * count % 10000
    for port in range(first, 32000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            ports.append(port)
        if len(ports) == count:
            break
    return ports


async def roll(name: str, restarts: int) -> Load:
    """Restart each of two replicas ``restarts`` times behind the balancer. Return the load of this time."""
    front, one, two, admin_one, admin_two = free_ports(5)
    ports = {8100: front, 8101: one, 8102: two, 8201: admin_one, 8202: admin_two}
    replicas = [Replica(one, admin_one, *FLAGS[name]), Replica(two, admin_two, *FLAGS[name])]
    limits = aiohttp.TCPConnector(limit=0)
    patience = aiohttp.ClientTimeout(total=PATIENCE)
    async with aiohttp.ClientSession(connector=limits, timeout=patience) as client:
        load = Load(client, f"http://127.0.0.1:{front}")
        try:
            await asyncio.gather(*(replica.start(client) for replica in replicas))
            async with balancer(name, ports), asyncio.TaskGroup() as tasks:
                await wait_until_ok(client, f"http://127.0.0.1:{front}/")
                is_over = asyncio.Event()
                tasks.create_task(load.run(is_over))
                for replica in replicas * restarts:
                    await asyncio.sleep(1)
                    # The app's exit code: 0, or that of SIGTERM, which ends uvicorn.
                    if (code := await replica.stop()) not in (0, 128 + signal.SIGTERM):
                        load.failures.append(f"a replica ended with exit code {code}")
                    await replica.start(client)
                await asyncio.sleep(1)
                is_over.set()
        finally:
            for replica in replicas:
                replica.kill()
    return load


async def wait_until_ok(client: aiohttp.ClientSession, url: str) -> None:
    """Send requests until the status is 200. Raises TimeoutError after PATIENCE seconds."""
    async with asyncio.timeout(PATIENCE):
        while True:
            with suppress(aiohttp.ClientError):
                async with client.get(url) as answer:
                    if answer.status == 200:
                        return
            await asyncio.sleep(0.05)


def main() -> int:
    """Run the test, and print the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("balancer", choices=CONFIGURATIONS)
    parser.add_argument("--restarts", type=int, default=3, help="the number of restarts of each replica (3)")
    given = parser.parse_args()
    load = asyncio.run(roll(given.balancer, given.restarts))
    kinds = ", ".join(f"{count} {kind}" for kind, count in sorted(load.sent.items()))
    sys.stdout.write(
        f"{given.balancer}: {given.restarts} restarts of each replica, {load.sent.total()} requests sent ({kinds}), "
        f"{len(load.failures)} failed, slowest answer {load.slowest:.2f} s\n"
    )
    for failure in load.failures[:20]:
        sys.stdout.write(f"  {failure}\n")
    return 1 if load.failures else 0


if __name__ == "__main__":
    sys.exit(main())
