"""A runtime that does nothing but answer with what it was sent, over one raw connection: it is not what is measured."""

from __future__ import annotations

import os
import socket

# What reads one message may take at once, in bytes; events here are far smaller.
_PIECE = 65536


def main() -> None:
    """Answer invocations for ever."""
    host, _, port = os.environ["AWS_LAMBDA_RUNTIME_API"].rpartition(":")  # noqa: TID251 (it is no part of the adapter)
    api = socket.create_connection((host, int(port)))
    api.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    root = "/2018-06-01/runtime/invocation"
    ask = f"GET {root}/next HTTP/1.1\r\nHost: {host}:{port}\r\n\r\n".encode()
    while True:
        api.sendall(ask)
        head, event = _message(api)
        request_id = head.partition(b"lambda-runtime-aws-request-id: ")[2].partition(b"\r\n")[0].decode()
        answer = f"POST {root}/{request_id}/response HTTP/1.1\r\nHost: {host}:{port}\r\n"
        api.sendall(f"{answer}Content-Length: {len(event)}\r\n\r\n".encode() + event)
        _message(api)


def _message(connection: socket.socket) -> tuple[bytes, bytes]:
    """The head in lower case, and the body."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(_PIECE)
    head, _, body = received.partition(b"\r\n\r\n")
    head = head.lower()
    length = int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0])
    while len(body) < length:
        body += connection.recv(_PIECE)
    return head, body


if __name__ == "__main__":
    main()
