"""A gigabyte on its way to a client that reads slowly: what is held is bounded by buffers, not by what is on its way.

A stream of 1 GB at 2 MB/s takes more than eight minutes, and nothing in it but the beginning is special: memory grows
while buffers fill, which they have once the client has fallen behind. So each test reads at that pace for some seconds
of a response that says it has 1 GB, looks at the peak (VmHWM), and checks that it had stopped growing long before.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from time import monotonic

from tests.hardening import figures
from tests.hardening.dev_process import DevProcess
from tests.proxy.process import ProxyProcess
from tests.raw_client import RawClient, raw_client
from tests.scripted_app import Received, ScriptedApp
from tests.supervision.supervised import children_of

MIB = 1024 * 1024
SIZE = 1024 * MIB
RATE = 2 * MIB
SECONDS = 1.5
PROXY_MEMORY = 64 * MIB
EMULATOR_MEMORY = 64 * MIB
RUNTIME_MEMORY = 24 * MIB
# What a process may still gain once every buffer is full.
DRIFT = MIB // 2


def peak_memory(pid: int) -> int:
    """Return the most memory that a process has had resident so far, in bytes."""
    return int(Path(f"/proc/{pid}/status").read_text().partition("VmHWM:")[2].split()[0]) * 1024


def sends_a_gigabyte(received: Received) -> None:
    """As fast as it is taken; the client will not wait for the end."""
    received.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: %d\r\n\r\n" % SIZE)
    piece = bytes(MIB)
    for _ in range(SIZE // MIB):
        received.send(piece)


@asynccontextmanager
async def slow_reader(port: int) -> AsyncIterator[RawClient]:
    async with raw_client(port, receive_buffer=65536) as client:
        await client.send(b"GET /download HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert (await client.head()).status == 200
        yield client


async def read_slowly(client: RawClient, seconds: float) -> None:
    """Read at RATE."""
    began, count = monotonic(), 0
    while (elapsed := monotonic() - began) < seconds:
        while count < elapsed * RATE:
            count += len(await client.reader.read(65536))
        await asyncio.sleep(0.01)


async def peaks_of(port: int, pid: int) -> list[int]:
    """The peaks of a process and of its children once buffers are full, after checking that they stay as they are."""
    async with slow_reader(port) as client:
        await read_slowly(client, SECONDS)
        pids = [pid, *children_of(pid)]
        full = [peak_memory(pid) for pid in pids]
        await read_slowly(client, SECONDS)
        later = [peak_memory(pid) for pid in pids]
    assert all(after - before <= DRIFT for before, after in zip(full, later, strict=True)), (full, later)
    return later


async def test_a_gigabyte_to_a_slow_reader_through_the_proxy() -> None:
    with ScriptedApp() as app, ProxyProcess("--bandwidth", "unlimited", app_port=app.port) as proxy:
        app.replies["/download"] = sends_a_gigabyte
        (peak,) = await peaks_of(proxy.port, proxy.process.pid)
    assert peak < PROXY_MEMORY
    figures.show("1 GB to a reader at 2 MB/s, proxy", f"peak {peak / MIB:.1f} MB of {PROXY_MEMORY / MIB:g}")


async def test_a_gigabyte_to_a_slow_reader_through_the_emulator_and_its_runtime() -> None:
    with ScriptedApp() as app:
        app.replies["/download"] = sends_a_gigabyte
        flags = ("--bandwidth", "unlimited", "--stream-limit", "none")
        with DevProcess(app.port, *flags, doors=("function-url",)) as dev:
            emulator_peak, runtime_peak = await peaks_of(dev.ports["function-url"], dev.process.pid)
    assert emulator_peak < EMULATOR_MEMORY
    assert runtime_peak < RUNTIME_MEMORY
    figures.show(
        "1 GB to a reader at 2 MB/s, emulator", f"peak {emulator_peak / MIB:.1f} MB of {EMULATOR_MEMORY / MIB:g}"
    )
    figures.show("1 GB to a reader at 2 MB/s, runtime", f"peak {runtime_peak / MIB:.1f} MB of {RUNTIME_MEMORY / MIB:g}")
