"""Measure the cost of a front door for a buffered request, and the cost of two HTTP servers: ours and aiohttp's.

    python bench/front_door.py [--requests 5000]

The function answers at once, so the figures contain only the work of the front door: the request, the event, the
decoded answer, the response. The two servers send a constant response of the same size, written as a front door writes
it: the head, then the body in the pieces of a stream. One client uses one connection. CPU is that of the server.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from http.client import HTTPConnection
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from aiohttp import web

from adapter.config.load import load
from adapter.emulator.environment.invocation import LocalInvocation
from adapter.emulator.environment.result import Payload
from adapter.emulator.front_doors.door_settings import UrlSettings
from adapter.emulator.front_doors.front_door import FrontDoor
from adapter.emulator.requests import InvocationPipeline
from adapter.emulator.service.listening import serving
from adapter.net.address import listen
from adapter.net.server import Exchange

BODY = b"x" * 1000
PAYLOAD = b'{"statusCode":200,"headers":{"content-type":"text/plain"},"body":"' + BODY + b'"}'
WARM_UP = 500


class InstantFunction:
    """Answers every invocation at once."""

    def submit(self, call: LocalInvocation) -> None:
        call.reply.settle(Payload(PAYLOAD))
        call.finish()


def ask(port: int, count: int) -> None:
    """Send ``count`` requests on one connection."""
    connection = HTTPConnection("127.0.0.1", port)
    for _ in range(count):
        connection.request("GET", "/x?y=1", headers={"cookie": "a=1", "user-agent": "bench", "accept": "*/*"})
        response = connection.getresponse()
        if response.status != 200 or response.read() != BODY:
            raise SystemExit(f"an answer was {response.status}")
    connection.close()


async def measured(name: str, port: int, count: int) -> str:
    """Return a line with the wall-clock time and the server's CPU time of a request."""
    figures = []
    for requests in (WARM_UP, count):
        cpu, wall = time.process_time(), time.perf_counter()
        client = await asyncio.create_subprocess_exec(sys.executable, __file__, "--ask", str(port), str(requests))
        if await client.wait():
            raise SystemExit("the client failed")
        figures = [(time.perf_counter() - wall) / requests * 1e6, (time.process_time() - cpu) / requests * 1e6]
    return f"{name:<24} {figures[0]:>6.0f} µs a request, {figures[1]:>6.0f} µs of the server's CPU"


async def with_front_door(count: int) -> str:
    settings = UrlSettings(load({}, {"invoke_mode": "buffered"}))
    listener = listen("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    door = FrontDoor(InvocationPipeline(InstantFunction()), settings.doors[0], _ignore)  # type: ignore[arg-type]  # submit() only
    async with serving([(listener, door.serve)]):
        return await measured("a function URL", port, count)


def _ignore(_line: str) -> None:
    """Drop the record: a measurement needs no log lines."""


async def with_our_server(count: int) -> str:
    async def answer(exchange: Exchange) -> None:
        exchange.begin(200, [("content-type", "text/plain")], length=len(BODY))
        await exchange.write((BODY,))
        exchange.end()

    listener = listen("127.0.0.1", 0)
    port: int = listener.getsockname()[1]
    async with serving([(listener, answer)]):
        return await measured("our server, a constant", port, count)


async def with_aiohttp(count: int) -> str:
    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        response = web.StreamResponse(headers={"content-type": "text/plain"})
        response.content_length = len(BODY)
        await response.prepare(request)
        await response.write(BODY)
        await response.write_eof()
        return response

    runner = web.ServerRunner(web.Server(answer, access_log=None))
    await runner.setup()
    listener = listen("127.0.0.1", 0)
    await web.SockSite(runner, listener).start()
    try:
        return await measured("aiohttp, a constant", listener.getsockname()[1], count)
    finally:
        await runner.cleanup()


async def main(count: int) -> None:
    subjects: tuple[Callable[[int], Awaitable[str]], ...] = (with_front_door, with_our_server, with_aiohttp)
    for subject in subjects:
        sys.stdout.write(await subject(count) + "\n")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--ask"]:
        ask(int(sys.argv[2]), int(sys.argv[3]))
    else:
        parser = argparse.ArgumentParser(description="The cost of a front door.")
        parser.add_argument("--requests", type=int, default=5000, help="the number of requests (default: %(default)s)")
        asyncio.run(main(parser.parse_args().requests))
