"""An app of raw sockets that streams 200 MB from one small buffer: ``python large_app.py PORT``.

``/length`` announces how many bytes will come, ``/chunked`` sends them in chunks of 16 KiB, everything else is small.
"""

from __future__ import annotations

import socket
import sys

# Lambda's limit on a streamed response, in bytes.
SIZE = 200 * 1024 * 1024
CHUNK = 16 * 1024
# How many bytes go out in one call, a multiple of CHUNK.
WRITE = 256 * 1024

SMALL = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok"
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"


def answer(client: socket.socket, path: str) -> None:
    piece = bytes(WRITE)
    if path == "/length":
        client.sendall(HEAD + b"Content-Length: %d\r\n\r\n" % SIZE)
    elif path == "/chunked":
        client.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        piece = (b"%x\r\n%s\r\n" % (CHUNK, bytes(CHUNK))) * (WRITE // CHUNK)
    else:
        client.sendall(SMALL)
        return
    for _ in range(SIZE // WRITE):
        client.sendall(piece)
    if path == "/chunked":
        client.sendall(b"0\r\n\r\n")


def serve(client: socket.socket) -> None:
    with client, client.makefile("rb") as stream:
        while request_line := stream.readline():
            while stream.readline() != b"\r\n":
                pass
            answer(client, request_line.decode().split(" ")[1])


def main(port: int) -> None:
    with socket.create_server(("127.0.0.1", port)) as listener:
        while True:
            serve(listener.accept()[0])


if __name__ == "__main__":
    main(int(sys.argv[1]))
