"""A web app with raw sockets. It answers with exactly the bytes that a test sets, and records its requests.

A test uses ``ScriptedApp``, whose replies are bytes, or functions that send when the test allows it. A runtime can
start it as a program (``python scripted_app.py PORT``). The program serves the reply in its environment. At SIGTERM or
SIGINT, it writes ``bye`` to stderr and exits with code 7.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from select import POLLRDHUP, poll
from types import FrameType, TracebackType
from typing import Any, Self

PATIENCE = 20.0
OK = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"


class Received:
    """A received request. ``connection`` is the number of its connection, which shows whether it was reused."""

    def __init__(self, head: bytes, connection: int, app_socket: socket.socket, stream: Any) -> None:
        self.head = head
        self.connection = connection
        request_line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        self.method, self.target, _ = request_line.split(" ")
        self.pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        self.headers = dict(self.pairs)
        self.body = b""
        self._socket = app_socket
        self._stream = stream

    def read_body(self) -> bytes:
        self.body += self._stream.read(int(self.headers.get("content-length", "0")) - len(self.body))
        return self.body

    def read_some(self, size: int) -> bytes:
        piece: bytes = self._stream.read(size)
        self.body += piece
        return piece

    def receive(self) -> bytes:
        """Return the next bytes, of any length; empty at the end."""
        piece: bytes = self._stream.read1(65536)
        return piece

    def send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def push(self, data: bytes, seconds: float) -> bool:
        """Send for at most ``seconds``. Return whether the other end accepted all of ``data``."""
        self._socket.settimeout(seconds)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            return False
        return True

    def half_close(self) -> None:
        """Close the sending side."""
        self._socket.shutdown(socket.SHUT_WR)

    def hang_up(self) -> None:
        """End the connection as soon as the reply returns."""
        self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket at once, as at the end of a process. Later bytes of the other end cause a reset."""
        self._stream.close()
        self._socket.close()

    def reset_on_close(self) -> None:
        """Make the connection end with a reset when it is closed."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def wait_for_reset(self) -> None:
        """Wait until the other end has closed or reset the connection, without reading its bytes."""
        waiting = poll()
        waiting.register(self._socket, POLLRDHUP)
        assert waiting.poll(PATIENCE * 1000), "the other end is still there"

    def is_hung_up_on(self, seconds: float) -> bool:
        """Return whether the other end closes within ``seconds``."""
        waiting = poll()
        waiting.register(self._socket, POLLRDHUP)
        return bool(waiting.poll(seconds * 1000))

    def wait_for_hang_up(self) -> None:
        """Wait until the other end has closed."""
        self._socket.settimeout(PATIENCE)
        assert self._socket.recv(1) == b"", "more bytes instead of a hang-up"


Reply = bytes | Callable[[Received], None]


class ScriptedApp:
    """Serves on a port of ``host``, or on a Unix socket at ``path``. ``replies`` maps paths to replies.

    ``default`` is the reply for all other paths. If a reply is a function, it must read the body itself. ``requests``
    contains all requests except readiness probes.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = "127.0.0.1",
        path: str | None = None,
        default: Reply = OK,
        records_probes: bool = False,
    ) -> None:
        self.replies: dict[str, Reply] = {}
        self.default = default
        self.requests: list[Received] = []
        self._records_probes = records_probes
        self._changed = threading.Condition()
        self._sockets: list[socket.socket] = []
        if path is None:
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            self._listener = socket.create_server((host, port), family=family)
            self.port: int = self._listener.getsockname()[1]
        else:
            self._listener = socket.socket(socket.AF_UNIX)
            self._listener.bind(path)
            self._listener.listen()
            self.port = 0
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def close(self) -> None:
        """Stop listening, and close all connections."""
        _shut(self._listener)
        # Wait for the listening thread, which may be accepting another connection.
        self._threads[0].join(PATIENCE)
        for accepted in self._sockets:
            _shut(accepted)
        self._listener.close()

    def wait_for_request(self, count: int = 1) -> Received:
        """Return the ``count``-th request as soon as its head has arrived."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.requests) >= count, PATIENCE), f"request {count} never came"
            return self.requests[count - 1]

    def join(self) -> None:
        self._threads[0].join()

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(accepted)
            thread = threading.Thread(target=self._serve, args=(accepted, len(self._sockets)), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, accepted: socket.socket, number: int) -> None:
        with accepted, accepted.makefile("rb") as stream:
            try:
                while self._serve_request(accepted, number, stream):
                    pass
            except OSError:
                return

    def _serve_request(self, accepted: socket.socket, number: int, stream: Any) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            if not line:
                return False
            head += line
        received = Received(head, number, accepted, stream)
        is_probe = received.target == "/" and received.headers.get("connection") == "close"
        if not is_probe or self._records_probes:
            with self._changed:
                self.requests.append(received)
                self._changed.notify_all()
        reply = self.replies.get(received.target.partition("?")[0], self.default)
        if isinstance(reply, bytes):
            received.read_body()
            received.send(reply)
        else:
            reply(received)
        return not stream.closed and received.headers.get("connection") != "close"


def _shut(open_socket: socket.socket) -> None:
    with suppress(OSError):
        open_socket.shutdown(socket.SHUT_RDWR)


def response(body: bytes, *headers: str, status: int = 200) -> bytes:
    """Return a whole response with a Content-Length."""
    lines = [f"HTTP/1.1 {status} Whatever", *headers, f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def main(port: str) -> None:
    reply = os.environ.get("SCRIPTED_REPLY", "").encode("latin-1") or OK

    def end(number: int, frame: FrameType | None) -> None:
        os.write(2, f"bye on {signal.Signals(number).name}\n".encode())
        os._exit(7)

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    app = ScriptedApp(port=int(port), default=reply) if port.isdigit() else ScriptedApp(path=port, default=reply)
    os.write(2, f"PORT is {os.environ.get('PORT')}\n".encode())
    app.join()


if __name__ == "__main__":
    main(sys.argv[1])
