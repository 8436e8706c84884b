"""What the tests share: requests, scripted responses that continue step by step, and the proxy's own errors."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable

from tests.answer import Answer
from tests.scripted_app import PATIENCE, Received

GET = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"


def get(target: str, *lines: str, method: str = "GET") -> bytes:
    """Return a request head with the additional header ``lines``."""
    return "\r\n".join([f"{method} {target} HTTP/1.1", "Host: a", *lines, "", ""]).encode()


class Permission:
    """Lets a scripted app continue step by step."""

    def __init__(self) -> None:
        self._steps = threading.Semaphore(0)

    def give(self) -> None:
        self._steps.release()

    def wait(self) -> None:
        assert self._steps.acquire(timeout=PATIENCE), "the test never let the app go on"


def pieces_on(permission: Permission, *pieces: bytes, end: bytes = b"0\r\n\r\n") -> Callable[[Received], None]:
    """Return a chunked response that waits for permission before each piece."""

    def reply(received: Received) -> None:
        received.send(CHUNKED)
        for piece in pieces:
            permission.wait()
            received.send(b"%x\r\n%b\r\n" % (len(piece), piece))
        received.send(end)

    return reply


def error_of(answer: Answer) -> str:
    """Check the shape of the proxy's own error response; return the name of the error."""
    shown = json.loads(answer.body)
    assert set(shown) == {"message", "error", "requestId"}
    assert answer.headers["content-type"] == "application/json"
    name: str = shown["error"]
    return name
