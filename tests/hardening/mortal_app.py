"""An app whose processes are killed at random bytes, determined by a seed, and replaced at once.

    python mortal_app.py SEED RECORD PORT

One process keeps the listening socket and starts a new worker after each kill, so that a later connection is served by
the new worker. A worker serves a few requests and is then killed by SIGKILL at a random point: when it accepts a
connection, while it reads a request, before or after it records the execution, at any byte of its response, or after
the response. The lines in RECORD are ``execute ID``, written before an answer, and ``killed``, written after a kill.
"""

from __future__ import annotations

import os
import random
import signal
import socket
import sys
import threading
from typing import Any, NoReturn

# The maximum number of requests that a worker serves before its last one.
MOST_SERVED = 3


class Fate:
    """The end of a worker: during the request after ``served`` others, at ``point``."""

    POINTS = ("accept", "head", "body", "execute", "response", "response", "response", "after")

    def __init__(self, lots: random.Random) -> None:
        self.served = lots.randint(0, MOST_SERVED)
        self.point = lots.choice(self.POINTS)
        self.share = lots.random()

    def meet(self, point: str) -> None:
        """Kill this process if ``point`` is reached."""
        if self.served <= 0 and self.point == point:
            os.kill(os.getpid(), signal.SIGKILL)


class Worker:
    """Serves each connection in a thread, one request at a time."""

    def __init__(self, listener: socket.socket, record: int, fate: Fate) -> None:
        self._listener = listener
        self._record = record
        self._fate = fate
        self._lock = threading.Lock()

    def run(self) -> NoReturn:
        while True:
            accepted, _ = self._listener.accept()
            accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self._serve, args=(accepted,), daemon=True).start()

    def _serve(self, accepted: socket.socket) -> None:
        with accepted, accepted.makefile("rb") as stream:
            try:
                while self._serve_request(accepted, stream):
                    pass
            except OSError:
                return

    def _serve_request(self, accepted: socket.socket, stream: Any) -> bool:
        line = stream.readline()
        if not line:
            return False
        with self._lock:
            self._fate.meet("accept")
            length = 0
            while (header := stream.readline()) not in (b"\r\n", b""):
                name, _, value = header.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            self._fate.meet("head")
            identifier = stream.read(length)
            self._fate.meet("body")
            os.write(self._record, b"execute %b\n" % identifier)
            self._fate.meet("execute")
            self._answer(accepted, line, identifier)
            self._fate.meet("after")
            self._fate.served -= 1
        return True

    def _answer(self, accepted: socket.socket, line: bytes, identifier: bytes) -> None:
        body = b"did " + identifier
        if b"chunked" in line:
            head = b"Transfer-Encoding: chunked\r\n\r\n"
            body = b"4\r\n%b\r\n%x\r\n%b\r\n0\r\n\r\n" % (body[:4], len(body) - 4, body[4:])
        else:
            head = b"Content-Length: %d\r\n\r\n" % len(body)
        response = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n" + head + body
        end = round(self._fate.share * len(response))
        accepted.sendall(response[:end])
        self._fate.meet("response")
        accepted.sendall(response[end:])


def main(seed: str, path: str, port: str) -> NoReturn:
    listener = socket.create_server(("127.0.0.1", int(port)), backlog=128)
    record = os.open(path, os.O_WRONLY | os.O_APPEND)
    os.write(record, b"listening %d\n" % listener.getsockname()[1])
    lots = random.Random(seed)
    while True:
        fate = Fate(lots)
        worker = os.fork()
        if worker == 0:
            Worker(listener, record, fate).run()
        _, status = os.waitpid(worker, 0)
        if os.WIFSIGNALED(status):
            os.write(record, b"killed\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
