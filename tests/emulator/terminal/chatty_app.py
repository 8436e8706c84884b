"""An app that says a lot when it is ended: ``python chatty_app.py PORT``. ``/slow`` takes its time for a body."""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import FrameType

GO_ON = threading.Event()


class Handler(BaseHTTPRequestHandler):
    """Answers every GET; ``/slow`` ends its body when ``/go`` is asked for."""

    def do_GET(self) -> None:
        if self.path == "/go":
            GO_ON.set()
        self.send_response(200)
        self.send_header("content-length", "4")
        self.end_headers()
        self.wfile.write(b"ab")
        self.wfile.flush()
        if self.path == "/slow":
            GO_ON.wait()
        with contextlib.suppress(BrokenPipeError):
            self.wfile.write(b"cd")

    def log_message(self, *_arguments: object) -> None:
        """Say nothing about requests."""


def end(_number: int, _frame: FrameType | None) -> None:
    for number in range(50):
        sys.stderr.write(f"shutting down, step {number}\n")
    sys.stderr.flush()
    raise SystemExit


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, end)
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler).serve_forever()
