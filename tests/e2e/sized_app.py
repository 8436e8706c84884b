"""An app of raw sockets whose responses have exact sizes: ``python sized_app.py PORT``.

``/KIND/SIZE/PAD`` has a body of SIZE bytes in chunks, and a header x-pad of PAD bytes. KIND is ``text``, ``escaped``
(characters that JSON escapes), or ``binary``.
"""

from __future__ import annotations

import socket
import sys
import threading

BODIES = {"text": (b"text/plain", b"x"), "escaped": (b"text/plain", b'"'), "binary": (b"image/png", b"\xff")}


def serve(client: socket.socket) -> None:
    # Three writes make a response. Without this, each waits up to 40 ms for the acknowledgement of the one before it.
    client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    with client, client.makefile("rb") as stream:
        while request_line := stream.readline():
            while stream.readline() != b"\r\n":
                pass
            parts = request_line.decode().split(" ")[1].strip("/").split("/")
            kind, size, pad = (parts[0], int(parts[1]), int(parts[2])) if len(parts) == 3 else ("text", 2, 0)
            content_type, byte = BODIES[kind]
            head = b"HTTP/1.1 200 OK\r\nContent-Type: %s\r\nTransfer-Encoding: chunked\r\n" % content_type
            client.sendall(head + b"X-Pad: %s\r\n\r\n" % (b"p" * pad))
            if size:
                client.sendall(b"%x\r\n%s\r\n" % (size, byte * size))
            client.sendall(b"0\r\n\r\n")


def main(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()


if __name__ == "__main__":
    main(int(sys.argv[1]))
