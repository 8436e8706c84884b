"""A Flask app that produces a piece of its stream only when it is permitted to: one byte on a socket, one piece.

``PERMISSIONS`` is the port of the socket. The end of the connection ends the stream.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator

from flask import Flask, Response

app = Flask(__name__)


@app.get("/")
def index() -> str:
    return "ready"


@app.get("/stream")
def stream() -> Response:
    def pieces() -> Iterator[str]:
        with socket.create_connection(("127.0.0.1", int(os.environ["PERMISSIONS"]))) as permissions:
            number = 0
            while permissions.recv(1):
                number += 1
                yield f"piece {number}\n"

    return Response(pieces(), mimetype="text/plain")
