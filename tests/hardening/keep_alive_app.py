"""An app that closes a connection exactly after KEEP_ALIVE idle seconds, as real servers do.

    python keep_alive_app.py KEEP_ALIVE

It writes its port to stdout. Each answer contains the number of executions of the request's body, which must be one.
"""

from __future__ import annotations

import select
import socket
import sys
import threading
from collections import Counter
from typing import Any

executed: Counter[bytes] = Counter()


def serve(accepted: socket.socket, keep_alive: float) -> None:
    poll = select.poll()
    poll.register(accepted, select.POLLIN)
    with accepted, accepted.makefile("rb") as stream:
        try:
            # Nothing is ever left in the stream's buffer: a request follows its predecessor's answer.
            while serve_request(accepted, stream) and poll.poll(keep_alive * 1000):
                pass
        except OSError:
            return


def serve_request(accepted: socket.socket, stream: Any) -> bool:
    if not stream.readline():
        return False
    length = 0
    while (header := stream.readline()) not in (b"\r\n", b""):
        name, _, value = header.partition(b":")
        length = int(value) if name.lower() == b"content-length" else length
    body = stream.read(length)
    executed[body] += 1
    answer = b"%b: %d" % (body, executed[body])
    accepted.sendall(
        b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n\r\n%b" % (len(answer), answer)
    )
    return True


def main(keep_alive: str) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listener.getsockname()[1]}\n")
    sys.stdout.flush()
    while True:
        accepted, _ = listener.accept()
        accepted.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve, args=(accepted, float(keep_alive)), daemon=True).start()


if __name__ == "__main__":
    main(sys.argv[1])
