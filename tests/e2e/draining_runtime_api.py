"""A Runtime API that hands out one event after the other and keeps nothing of the answers but their sizes.

For responses too large to be recorded. It serves one runtime with a single slot.
"""

from __future__ import annotations

import json
import socket
import threading
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import IO, Any

# How long a test waits for something that must come, in seconds.
PATIENCE = 30.0


class DrainingRuntimeApi:
    """Serves on a loopback port. ``address`` is what a runtime wants to know."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._events: SimpleQueue[bytes | None] = SimpleQueue()
        self._sizes: SimpleQueue[int] = SimpleQueue()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> DrainingRuntimeApi:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._events.put(None)
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(PATIENCE)

    def invoke(self, event: dict[str, Any]) -> int:
        """Hand out ``event``; the number of bytes in the answer's body, which ended as it should."""
        self._events.put(json.dumps(event).encode())
        try:
            return self._sizes.get(timeout=PATIENCE)
        except Empty:
            raise AssertionError("the answer never ended") from None

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while request_line := stream.readline():
                    self._serve_call(connection, stream, request_line.decode().split(" ")[1])
            except OSError:
                return

    def _serve_call(self, connection: socket.socket, stream: IO[bytes], path: str) -> None:
        headers = {}
        while (line := stream.readline()) != b"\r\n":
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if path.endswith("/invocation/next"):
            event = self._events.get()
            if event is not None:
                _answer(connection, "200 OK", event, "Lambda-Runtime-Aws-Request-Id: 1\r\n")
        elif path.endswith("/extension/event/next"):
            stream.read(1)
        else:
            size = _drain(stream, headers)
            if path.endswith("/response"):
                self._sizes.put(size)
            _answer(connection, "200 OK", b"{}", "Lambda-Extension-Identifier: 1\r\n")


def _drain(stream: IO[bytes], headers: dict[str, str]) -> int:
    """Read a body to its end; its size."""
    if headers.get("transfer-encoding") != "chunked":
        return len(stream.read(int(headers.get("content-length", "0"))))
    total = 0
    while size := int(stream.readline(), 16):
        total += size
        # Piece by piece, so that nothing here grows with the chunks.
        while size:
            size -= len(stream.read(min(size, 65536)))
        assert stream.readline() == b"\r\n"
    assert stream.readline() == b"\r\n", "error trailers"
    return total


def _answer(connection: socket.socket, status: str, body: bytes, header: str) -> None:
    head = f"HTTP/1.1 {status}\r\n{header}Content-Length: {len(body)}\r\n\r\n"
    connection.sendall(head.encode() + body)
