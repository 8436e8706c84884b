"""Who listens on a port."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from adapter.app.command import port_mistake
from adapter.config.load import load
from adapter.config.ports import app_address
from adapter.net.port_owner import listening_hosts, listening_process, port_owner
from tests.unused_port import unused_port


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_listener_is_named_with_its_pid_and_command(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, unused_port()), family=family) as listener:
        owner = port_owner(listener.getsockname()[1])

    if sys.platform == "linux":
        assert owner is not None
        assert owner.startswith(f"pid {os.getpid()} (")
    else:
        assert owner is None


@pytest.mark.skipif(sys.platform != "linux", reason="owners are found in /proc")
def test_a_long_command_is_cut_short() -> None:
    code = "import socket, sys; s = socket.create_server(('127.0.0.1', 0)); print(s.getsockname()[1]); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-uc", code, "x" * 300], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        port = int(process.stdout.readline())
        owner, found = port_owner(port), listening_process(port)
        process.communicate("")
    assert owner is not None
    assert found is not None
    assert owner.endswith("…)")
    assert len(owner) < 100
    assert found[0] == process.pid
    assert found[1].endswith("x" * 300)


def test_a_free_port_has_no_owner() -> None:
    assert port_owner(unused_port()) is None


def test_a_client_of_a_port_is_not_its_owner() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener, socket.create_connection(listener.getsockname()) as client:
        assert port_owner(client.getsockname()[1]) is None


@pytest.mark.parametrize(
    ("host", "text", "remedy"),
    [
        pytest.param("127.0.0.1", "127.0.0.1", "so CMD cannot listen there", id="first"),
        pytest.param(
            "::1",
            "[::1]",
            "which could be mistaken for the app; --app-host 127.0.0.1 excludes this address",
            id="other",
        ),
    ],
)
def test_an_apps_port_may_not_be_taken(host: str, text: str, remedy: str) -> None:
    assert port_mistake(app_address(load({}), unused_port())) is None
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, unused_port()), family=family) as listener:
        port = listener.getsockname()[1]
        mistake = port_mistake(app_address(load({}), port))
        if host == "::1":
            assert port_mistake(app_address(load({"AWS_LWA_HOST": "127.0.0.1"}), port)) is None
    assert mistake is not None
    assert mistake.startswith(f"{text}:{port} is taken by pid {os.getpid()} (")
    assert mistake.endswith(f"{remedy}; write {{port}} in CMD to give the app a free port")


@pytest.mark.skipif(sys.platform != "linux", reason="listeners are found in /proc")
@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "::"])
def test_the_address_of_a_listener_is_found(host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # A port that no other test takes at another address.
    port = unused_port()
    with socket.create_server((host, port), family=family):
        assert listening_hosts(port) == [host]
    assert listening_hosts(unused_port()) == []
