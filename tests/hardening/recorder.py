"""An app that records every received byte, and checks it strictly by RFC 9112.

It shares no code with the adapter. All input that is not a sequence of well-formed HTTP/1.1 requests is a violation.
Readiness probes (``/ready``) are answered, but not recorded.
"""

from __future__ import annotations

import re
import socket
import threading
from dataclasses import dataclass, field
from types import TracebackType

PROBE = "/ready"
PATIENCE = 15.0

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-\"$-~]+ HTTP/1\.1")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+): ?([\t\x20-\x7e\x80-\xff]*)")
_SIZE = re.compile(rb"[0-9a-fA-F]{1,16}")


class Violation(Exception):
    """The bytes are not a request."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """One request. The names of its headers are in lower case."""

    method: str
    target: str
    pairs: list[tuple[str, str]]
    body: bytes
    trailers: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        return [value for each, value in self.pairs if each == name]


class Recorder:
    """Serves on a loopback port. ``replies`` maps paths to replies. Other requests are answered with their targets."""

    def __init__(self) -> None:
        self.requests: list[Recorded] = []
        self.violations: list[str] = []
        self.replies: dict[str, bytes] = {}
        self.bytes_received = 0
        self._changed = threading.Condition()
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self._acceptor = threading.Thread(target=self._accept, daemon=True)
        self._acceptor.start()

    def __enter__(self) -> Recorder:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for opened in (self._listener, *self._sockets):
            try:
                opened.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
        self._listener.close()
        for thread in (self._acceptor, *self._threads):
            thread.join(PATIENCE)

    def clear(self) -> None:
        self.requests.clear()
        self.violations.clear()
        self.replies.clear()

    def wait_for(self, target: str) -> Recorded:
        """Wait for the first request for ``target``, and return it."""

        def found() -> Recorded | None:
            return next((each for each in self.requests if each.target == target), None)

        with self._changed:
            recorded = self._changed.wait_for(found, PATIENCE)
        assert recorded, f"{target} never came"
        return recorded

    def _accept(self) -> None:
        while True:
            try:
                accepted, _ = self._listener.accept()
            except OSError:
                return
            self._sockets.append(accepted)
            thread = threading.Thread(target=self._serve, args=(accepted,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, accepted: socket.socket) -> None:
        with accepted:
            try:
                while self._serve_request(_Stream(accepted, self)):
                    pass
            except Violation as violation:
                self.violations.append(str(violation))
            except OSError:
                return

    def _serve_request(self, stream: _Stream) -> bool:
        """Answer the next request. Return False if there is none, or if it is incomplete."""
        head = stream.until(b"\r\n\r\n")
        if head is None:
            return False
        method, target, pairs = parsed_head(head)
        framing = [(name, value) for name, value in pairs if name in ("content-length", "transfer-encoding")]
        body, trailers = _body(stream, framing)
        if body is None:
            return False
        if target != PROBE:
            with self._changed:
                self.requests.append(Recorded(method, target, pairs, body, trailers))
                self._changed.notify_all()
        reply = self.replies.get(target.partition("?")[0]) or _plain(target)
        stream.socket.sendall(reply.partition(b"\r\n\r\n")[0] + b"\r\n\r\n" if method == "HEAD" else reply)
        return ("connection", "close") not in pairs


class _Stream:
    """The bytes that arrive on ``accepted``, with their count."""

    def __init__(self, accepted: socket.socket, recorder: Recorder) -> None:
        self.socket = accepted
        self._recorder = recorder
        self._buffer = b""

    def until(self, mark: bytes) -> bytes | None:
        """Return all bytes before ``mark``, or None if the stream ends before that."""
        while mark not in self._buffer:
            if not self._receive():
                return None
        found, self._buffer = self._buffer.split(mark, 1)
        return found

    def exactly(self, count: int) -> bytes | None:
        while len(self._buffer) < count:
            if not self._receive():
                return None
        found, self._buffer = self._buffer[:count], self._buffer[count:]
        return found

    def _receive(self) -> bool:
        piece = self.socket.recv(1 << 20)
        self._recorder.bytes_received += len(piece)
        self._buffer += piece
        return bool(piece)


def _plain(target: str) -> bytes:
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: {len(target)}\r\n\r\n{target}".encode()


def parsed_head(head: bytes) -> tuple[str, str, list[tuple[str, str]]]:
    """Return method, target and headers of ``head``, which must not contain the empty line. Raises Violation."""
    line, *lines = head.split(b"\r\n")
    if _REQUEST_LINE.fullmatch(line) is None:
        raise Violation(f"not a request line: {line[:200]!r}")
    method, target, _ = line.decode("ascii").split(" ")
    pairs = [_field(each) for each in lines]
    names = [name for name, _ in pairs]
    if names.count("host") != 1:
        raise Violation(f"{names.count('host')} Host headers in {head[:500]!r}")
    if not target.startswith("/") and (method, target) != ("OPTIONS", "*"):
        raise Violation(f"not in origin form: {target[:200]!r}")
    return method, target, pairs


def _field(line: bytes) -> tuple[str, str]:
    matched = _FIELD.fullmatch(line)
    if matched is None:
        raise Violation(f"not a header: {line[:200]!r}")
    return matched[1].decode("ascii").lower(), matched[2].decode("latin-1").strip()


def _body(stream: _Stream, framing: list[tuple[str, str]]) -> tuple[bytes | None, list[tuple[str, str]]]:
    """Return body and trailers. The body is None if the stream ends before it is complete."""
    if not framing:
        return b"", []
    if len(framing) > 1:
        raise Violation(f"framed twice: {framing}")
    name, value = framing[0]
    if name == "content-length":
        if not (value.isascii() and value.isdigit()):
            raise Violation(f"Content-Length {value!r}")
        return stream.exactly(int(value)), []
    if value != "chunked":
        raise Violation(f"Transfer-Encoding {value!r}")
    return _chunked(stream)


def _chunked(stream: _Stream) -> tuple[bytes | None, list[tuple[str, str]]]:
    body = b""
    while (line := stream.until(b"\r\n")) is not None:
        if _SIZE.fullmatch(line) is None:
            raise Violation(f"not a chunk size: {line[:200]!r}")
        if int(line, 16) == 0:
            return body, _trailers(stream)
        chunk = stream.exactly(int(line, 16) + 2)
        if chunk is None:
            break
        if not chunk.endswith(b"\r\n"):
            raise Violation("a chunk does not end where its size says")
        body += chunk[:-2]
    return None, []


def _trailers(stream: _Stream) -> list[tuple[str, str]]:
    trailers = []
    while line := stream.until(b"\r\n"):
        trailers.append(_field(line))
    return trailers
