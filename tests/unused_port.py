"""A port for tests that must name one before anything listens on it."""

from __future__ import annotations

import socket


def unused_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port
