"""Who listens on a port."""

from __future__ import annotations

import os
import socket
import sys

import pytest

from adapter.port_owner import port_owner
from tests.unused_port import unused_port


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_listener_is_named_with_its_pid_and_command(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as listener:
        owner = port_owner(listener.getsockname()[1])

    if sys.platform == "linux":
        assert owner is not None
        assert owner.startswith(f"pid {os.getpid()} (")
    else:
        assert owner is None


def test_nobody_owns_a_free_port() -> None:
    assert port_owner(unused_port()) is None


def test_a_client_of_a_port_is_not_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        assert port_owner(client.getsockname()[1]) is None
