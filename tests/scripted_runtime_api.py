"""A scripted Runtime API. It sends the invocations of a test to the runtime, and records every call byte by byte.

It uses plain sockets, one thread for each connection, and no code under test. It does not check the calls: the tests
do.
"""

from __future__ import annotations

import json
import socket
import threading
from base64 import b64decode
from collections import deque
from contextlib import suppress
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Self

# The time limit of all waits, in seconds.
PATIENCE = 20.0
RUNTIME = "/2018-06-01/runtime"
EXTENSION = "/2020-01-01/extension"
ACCEPTED = (202, b'{"status":"OK"}\n')


class Call:
    """One request of the runtime. It grows while it arrives. ``wait`` returns when it is complete."""

    def __init__(self, head: bytes) -> None:
        self.raw = bytearray(head)
        request_line, *lines = head.decode("latin-1").removesuffix("\r\n\r\n").split("\r\n")
        self.method, self.path, self.version = request_line.split(" ")
        self.pairs = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in lines)]
        self.headers = dict(self.pairs)
        self.body = bytearray()
        self.trailers: dict[str, str] = {}
        self.truncated = False
        self._chunks: SimpleQueue[bytes | None] = SimpleQueue()
        self._done = threading.Event()

    def wait(self) -> Call:
        assert self._done.wait(PATIENCE), f"{self.method} {self.path} never ended; so far {bytes(self.raw[-500:])!r}"
        return self

    def next_chunk(self) -> bytes | None:
        """Return the next chunk of the body as soon as it has arrived, or None after the last one."""
        try:
            return self._chunks.get(timeout=PATIENCE)
        except Empty:
            raise AssertionError(f"no further chunk of {self.path} came") from None

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def trailing_error(self) -> Any:
        return json.loads(b64decode(self.trailers["lambda-runtime-function-error-body"]))

    def add_chunk(self, chunk: bytes) -> None:
        self.body += chunk
        self._chunks.put(chunk)

    def finish(self) -> None:
        self._chunks.put(None)
        self._done.set()


class Invoked:
    """An invocation of the test. The test can wait for the calls about it."""

    def __init__(self, api: ScriptedRuntimeApi, request_id: str, event: bytes, headers: dict[str, str]) -> None:
        self._api = api
        self.request_id = request_id
        self.event = event
        self.headers = {"Lambda-Runtime-Aws-Request-Id": request_id, "Lambda-Runtime-Deadline-Ms": "0", **headers}

    def begun(self) -> Call:
        """Return the call that ends this invocation as soon as its head has arrived."""
        return self._api.wait_for(f"/invocation/{self.request_id}/")

    def answer(self) -> Call:
        """Return the complete response. There must be one call, and it must not be an error."""
        call = self.begun().wait()
        assert call.path.endswith("/response"), f"{call.path}: {bytes(call.body)!r}"
        return call

    def error(self) -> Call:
        """Return the complete error. There must be one call, and it must be an error."""
        call = self.begun().wait()
        assert call.path.endswith("/error"), f"{call.path}: {bytes(call.body[:500])!r}"
        return call

    @property
    def ends(self) -> list[Call]:
        """Return all calls so far that end this invocation."""
        return [call for call in self._api.calls if f"/invocation/{self.request_id}/" in call.path]


class ScriptedRuntimeApi:
    """Serves on a loopback port. ``answers`` maps the end of a path to the (status, body) to answer instead of 202.

    ``refuse_early`` maps the end of a path to an answer that is sent as soon as the head has arrived, without reading
    the body. ``keeps_alive`` is True if connections stay open after an answer.
    """

    def __init__(self, *, keeps_alive: bool = True) -> None:
        self.calls: list[Call] = []
        self.answers: dict[str, tuple[int, bytes]] = {}
        self.refuse_early: dict[str, tuple[int, bytes]] = {}
        self.restored = threading.Event()
        self.waiting = 0
        # The number of invocations that are being written to a connection.
        self._under_way = 0
        self._keeps_alive = keeps_alive
        self._changed = threading.Condition()
        self._invocations: deque[Invoked] = deque()
        self._closed = False
        self._number = 0
        self._ended = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.connections: list[socket.socket] = []
        self.port: int = self._listener.getsockname()[1]
        self.address = f"127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        self.restored.set()
        self.stop_listening()
        for connection in self.connections:
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        for thread in self._threads:
            thread.join(PATIENCE)

    def stop_listening(self) -> None:
        """Refuse all later connections. Can be called more than once."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def invoke(self, event: Any, *, request_id: str | None = None, **headers: str) -> Invoked:
        """Queue an event, JSON or bytes; ``headers`` are Runtime API headers such as ``Trace_Id``."""
        with self._changed:
            self._number += 1
            invoked = Invoked(
                self,
                request_id or f"request-{self._number}",
                event if isinstance(event, bytes) else json.dumps(event).encode(),
                {f"Lambda-Runtime-{name.replace('_', '-')}": value for name, value in headers.items()},
            )
            self._invocations.append(invoked)
            self._changed.notify_all()
        return invoked

    def wait_for(self, part: str, count: int = 1) -> Call:
        """Return the ``count``-th call whose path contains ``part`` as soon as its head has arrived."""

        def found() -> Call | None:
            calls = [call for call in self.calls if part in call.path]
            return calls[count - 1] if len(calls) >= count else None

        with self._changed:
            call = self._changed.wait_for(found, PATIENCE)
        assert call, f"call {count} of {part} never came, only {[call.path for call in self.calls]}"
        return call

    def wait_until_waiting(self, slots: int = 1) -> None:
        """Return once ``slots`` connections wait for an invocation."""
        with self._changed:
            assert self._changed.wait_for(lambda: self.waiting >= slots, PATIENCE), f"only {self.waiting} wait"

    def wait_until_empty(self) -> None:
        """Return once all invocations have been sent to the runtime."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._invocations and not self._under_way, PATIENCE)

    def wait_until_closed(self, connections: int) -> None:
        """Return once ``connections`` connections have ended."""
        with self._changed:
            assert self._changed.wait_for(lambda: self._ended >= connections, PATIENCE)

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections.append(connection)
            thread = threading.Thread(target=self._serve, args=(connection,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, connection.makefile("rb") as stream:
            try:
                while self._serve_call(connection, stream) and self._keeps_alive:
                    pass
            except OSError:
                return
            finally:
                stream.close()
                connection.close()
                with self._changed:
                    self._ended += 1
                    self._changed.notify_all()

    def _serve_call(self, connection: socket.socket, stream: Any) -> bool:
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = stream.readline()
            if not line:
                return False
            head += line
        call = Call(head)
        self._record(call)
        for end, (status, body) in self.refuse_early.items():
            if call.path.endswith(end):
                self._answer(connection, status, body)
                # The rest is not read; the client must notice by itself.
                connection.shutdown(socket.SHUT_WR)
                call.finish()
                return False
        _read_body(call, stream)
        call.finish()
        return self._reply(call, connection)

    def _record(self, call: Call) -> None:
        with self._changed:
            self.calls.append(call)
            self._changed.notify_all()

    def _reply(self, call: Call, connection: socket.socket) -> bool:
        for end, (status, body) in self.answers.items():
            if call.path.endswith(end):
                self._answer(connection, status, body)
                return True
        if call.path == f"{RUNTIME}/invocation/next":
            return self._hand_out(connection)
        if call.path == f"{RUNTIME}/restore/next":
            self.restored.wait(PATIENCE)
        if call.path == f"{EXTENSION}/register":
            self._answer(connection, 200, b"{}", {"Lambda-Extension-Identifier": "extension-1"})
        elif call.path == f"{EXTENSION}/event/next":
            return connection.recv(1) != b""
        elif call.method == "GET":
            self._answer(connection, 200, b"")
        else:
            self._answer(connection, *ACCEPTED)
        return call.headers.get("connection") != "close"

    def _hand_out(self, connection: socket.socket) -> bool:
        with self._changed:
            self.waiting += 1
            self._changed.notify_all()
            self._changed.wait_for(lambda: self._invocations or self._closed)
            self.waiting -= 1
            if self._closed:
                return False
            invoked = self._invocations.popleft()
            self._under_way += 1
        self._answer(connection, 200, invoked.event, {**invoked.headers, "Content-Type": "application/json"})
        with self._changed:
            self._under_way -= 1
            self._changed.notify_all()
        return True

    def _answer(
        self, connection: socket.socket, status: int, body: bytes, headers: dict[str, str] | None = None
    ) -> None:
        lines = [f"HTTP/1.1 {status} Whatever", f"Content-Length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)


def _read_body(call: Call, stream: Any) -> None:
    if call.headers.get("transfer-encoding") == "chunked":
        while size := int(_read(call, stream.readline()).split(b";")[0] or b"0", 16):
            call.add_chunk(_read(call, stream.read(size)))
            _read(call, stream.readline())
        while (line := _read(call, stream.readline())) not in (b"\r\n", b""):
            name, _, value = line.decode().partition(":")
            call.trailers[name.lower()] = value.strip()
        call.truncated = not call.raw.endswith(b"\r\n\r\n")
    else:
        length = int(call.headers.get("content-length", "0"))
        call.add_chunk(_read(call, stream.read(length)))
        call.truncated = len(call.body) < length


def _read(call: Call, data: bytes) -> bytes:
    call.raw += data
    return data
