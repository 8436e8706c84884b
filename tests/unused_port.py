"""A port for tests that must name one before anything listens on it."""

from __future__ import annotations

import os
import random
import socket

# Each worker of pytest-xdist has ports of its own, below those that Linux assigns by itself (32768 and above). So
# neither another worker nor a connection takes the port meanwhile.
_PORTS_OF_A_WORKER = 4000
_WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
_PORTS = random.sample(range(_PORTS_OF_A_WORKER), _PORTS_OF_A_WORKER)


def unused_port() -> int:
    """Return a loopback port that is free, and that this process has not returned before."""
    while True:
        port = 12000 + _WORKER % 4 * _PORTS_OF_A_WORKER + _PORTS.pop()
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
