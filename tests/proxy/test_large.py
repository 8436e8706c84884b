"""Large bodies and slow readers: the proxy's memory is bounded by its buffers, not by the size of the bodies."""

from __future__ import annotations

import asyncio
import json
import subprocess
from contextlib import AsyncExitStack
from pathlib import Path
from queue import SimpleQueue

from adapter.aws.limits import MIB
from tests.proxy.process import ProxyProcess
from tests.raw_client import RawClient, raw_client
from tests.scripted_app import PATIENCE, Received, ScriptedApp, response

UPLOAD = 1024 * MIB
CURL_SECONDS = 40
READERS = 50
# How long the app tries to send 64 MiB to each of them.
PUSH_SECONDS = 1.0
# The interpreter with everything imported is 32 MB of it; the rest is for buffers.
UPLOAD_MEMORY = 48 * MIB
READERS_MEMORY = 160 * MIB
# Streams that a cap holds back, and what each of them may take: 16 KB of it are read ahead.
HELD = 60
HELD_MEMORY = 100 * 1024


def counts(received: Received) -> None:
    """Read the whole body, discard it, and answer with its length."""
    left = int(received.headers["content-length"])
    total = left
    while left:
        left -= len(received.receive())
    received.send(response(json.dumps({"length": total}).encode()))


def test_an_upload_of_a_gigabyte_takes_no_memory(tmp_path: Path) -> None:
    body = tmp_path / "body"
    with body.open("wb") as file:
        file.truncate(UPLOAD)
    with ScriptedApp() as app, ProxyProcess(app_port=app.port) as proxy:
        app.replies["/upload"] = counts
        done = subprocess.run(
            ["curl", "-sS", "--max-time", str(CURL_SECONDS), "-T", str(body), f"http://127.0.0.1:{proxy.port}/upload"],
            capture_output=True,
            check=True,
            timeout=CURL_SECONDS + 5,
        )
        assert json.loads(done.stdout) == {"length": UPLOAD}
        assert proxy.peak_memory() < UPLOAD_MEMORY


async def read_a_little(client: RawClient) -> None:
    """Begin to read, so that all buffers fill, and stop."""
    await client.send(b"GET /download HTTP/1.1\r\nHost: a\r\n\r\n")
    await client.head()
    await client.exactly(MIB // 2)


async def test_fifty_slow_readers_take_bounded_memory() -> None:
    body = response(b"x" * 64 * MIB)
    taken: SimpleQueue[bool] = SimpleQueue()

    def pushes(received: Received) -> None:
        taken.put(received.push(body, PUSH_SECONDS))

    with ScriptedApp() as app, ProxyProcess("--bandwidth", "unlimited", app_port=app.port) as proxy:
        app.replies["/download"] = pushes
        async with AsyncExitStack() as stack:
            clients = [
                await stack.enter_async_context(raw_client(proxy.port, receive_buffer=16384)) for _ in range(READERS)
            ]
            await asyncio.gather(*map(read_a_little, clients))
            for _ in clients:
                # The client does not read, so the app cannot send all of its response.
                assert not await asyncio.to_thread(taken.get, timeout=PATIENCE)
            assert proxy.peak_memory() < READERS_MEMORY


async def test_streams_that_a_cap_holds_back_take_little_memory() -> None:
    body = response(b"x" * MIB)
    # 64 KiB at once, then 32 KiB a second.
    with ScriptedApp(default=body) as app, ProxyProcess("--bandwidth", "65536+32768", app_port=app.port) as proxy:
        before = proxy.peak_memory()
        async with AsyncExitStack() as stack:
            for _ in range(HELD):
                client = await stack.enter_async_context(raw_client(proxy.port))
                await client.send(b"GET /held HTTP/1.1\r\nHost: a\r\n\r\n")
                await client.head()
                await client.exactly(65536)
            assert (proxy.peak_memory() - before) / HELD < HELD_MEMORY
