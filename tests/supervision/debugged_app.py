"""An app that stops in the debugger when it is asked for /stop, and answers with what a person has set there."""

from __future__ import annotations

import os
import pdb
from http.server import BaseHTTPRequestHandler, HTTPServer


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        answer = "untouched"
        if self.path == "/stop":
            # As breakpoint(), but Ctrl-C keeps its usual meaning afterwards.
            pdb.Pdb(nosigint=True).set_trace()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer.encode())

    def log_message(self, *arguments: object) -> None:
        """Write no access log."""


if __name__ == "__main__":
    HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Handler).serve_forever()
