"""The app of the soak test. It is killed at random and replaced at once, and records every POST that it executes.

    python soak_app.py PORT RECORD

One process keeps the listening socket, starts a worker, kills it with SIGKILL after a random time, and starts the next.
A path is ``/KIND/ID``, and every answer begins with the ID. ``small`` is answered at once, ``stream`` in pieces,
``large`` with a body of known length, ``upload`` with the length of the received body, and ``fail`` with 500. After
every second ``fail`` the connection is closed without notice, as uvicorn does after an unhandled exception. The ID of
every POST is written to RECORD before it is answered, and ``killed`` after every kill.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
import socket
import sys
import time
from contextlib import suppress
from typing import NoReturn

# The mean time after which a worker is killed, in seconds.
MEAN_LIFE = 3.0
PIECES, PIECE_INTERVAL, PIECE = 5, 0.02, b"x" * 1024
LARGE = b"x" * 256 * 1024


class Worker:
    """Serves any number of connections until it is killed."""

    def __init__(self, record: int) -> None:
        self._record = record
        self._failures = 0

    async def run(self, listener: socket.socket) -> None:
        server = await asyncio.start_server(self._serve, sock=listener, limit=2**20)
        await server.serve_forever()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                await self._serve_request(reader, writer)
        writer.close()

    async def _serve_request(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        _, kind, identifier = [*head.split(" ", 2)[1].split("/", 2), "", ""][:3]
        length = next((int(line[15:]) for line in head.split("\r\n") if line.lower().startswith("content-length:")), 0)
        body = await reader.readexactly(length)
        answer = f"{identifier}\n".encode()
        if kind == "stream":
            await self._stream(writer, answer)
        elif kind == "upload":
            os.write(self._record, answer)
            self._respond(writer, answer + b"%d" % len(body))
        elif kind == "fail":
            self._respond(writer, answer, b"500 Internal Server Error")
            await writer.drain()
            self._failures += 1
            if self._failures % 2:
                raise ConnectionError("the connection is closed")
        else:
            self._respond(writer, answer + LARGE if kind == "large" else answer)
        await writer.drain()

    @staticmethod
    def _respond(writer: asyncio.StreamWriter, body: bytes, status: bytes = b"200 OK") -> None:
        headers = b"Content-Type: text/plain\r\nContent-Length: %d" % len(body)
        writer.write(b"HTTP/1.1 %b\r\n%b\r\n\r\n%b" % (status, headers, body))

    @staticmethod
    async def _stream(writer: asyncio.StreamWriter, first: bytes) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
        for piece in (first, *[PIECE] * PIECES):
            writer.write(b"%x\r\n%b\r\n" % (len(piece), piece))
            await writer.drain()
            await asyncio.sleep(PIECE_INTERVAL)
        writer.write(b"0\r\n\r\n")


def main(port: str, record_path: str) -> NoReturn:
    # Exit at once. The adapter sends SIGTERM to the app's whole group, so the worker ends as well.
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=1024)
    record = os.open(record_path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    lots = random.Random(os.getpid())
    while True:
        worker = os.fork()
        if worker == 0:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            asyncio.run(Worker(record).run(listener))
        time.sleep(lots.expovariate(1 / MEAN_LIFE))
        os.kill(worker, signal.SIGKILL)
        os.waitpid(worker, 0)
        os.write(record, b"killed\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
