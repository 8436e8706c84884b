"""An app that answers every request with 1 KB over raw sockets: it is not what is measured."""

from __future__ import annotations

import socket
import sys
import threading

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1024\r\n\r\n" + b"x" * 1024


def serve(connection: socket.socket) -> None:
    """Answer one client; requests have no body."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    received = b""
    while piece := connection.recv(65536):
        received += piece
        if received.endswith(b"\r\n\r\n"):
            received = b""
            connection.sendall(_ANSWER)


def main() -> None:
    """Listen on the port that is the first argument."""
    with socket.create_server(("127.0.0.1", int(sys.argv[1]))) as listener:
        while True:
            connection, _ = listener.accept()
            threading.Thread(target=serve, args=(connection,), daemon=True).start()


if __name__ == "__main__":
    main()
