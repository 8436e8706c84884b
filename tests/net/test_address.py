"""Addresses as texts, and ports that are free."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path

import pytest

from adapter.net import address
from adapter.net.address import Address, AppAddress, address_of, free_port, listen, next_free_port
from tests.unused_port import unused_port

ADDRESSES = [
    pytest.param(Address(host="127.0.0.1", port=80), "127.0.0.1:80", "127.0.0.1:80", id="ipv4"),
    pytest.param(Address(host="::1", port=80), "[::1]:80", "[::1]:80", id="ipv6"),
    pytest.param(Address.parse("[::1]:9001"), "[::1]:9001", "[::1]:9001", id="parsed-ipv6"),
    pytest.param(Address.parse("runtime.internal:9001"), "runtime.internal:9001", "runtime.internal:9001", id="parsed"),
    pytest.param(Address(path="/run/app.sock"), "unix:/run/app.sock", "localhost", id="unix"),
]


@pytest.mark.parametrize(("address", "text", "host"), ADDRESSES)
def test_an_address_names_itself_and_the_host_of_its_requests(address: Address, text: str, host: str) -> None:
    assert str(address) == text
    assert address.host_header == host


@pytest.mark.parametrize("port", ["65536", "99999", "-1", "+80", " 80", "8_0", "\u0661", "9" * 5000, "http", ""])
def test_what_is_no_port_makes_no_address(port: str) -> None:
    with pytest.raises(ValueError, match=r"no port from 0 to 65535|invalid literal"):
        Address.parse(f"127.0.0.1:{port}")


@pytest.mark.parametrize(
    ("listens", "local"),
    [("0.0.0.0", "127.0.0.1"), ("::", "::1"), ("127.0.0.1", "127.0.0.1"), ("app.local", "app.local")],
)
def test_a_client_on_this_machine_reaches_a_server_on_all_addresses_over_loopback(listens: str, local: str) -> None:
    address = Address(host=listens, port=80)
    assert address.local == Address(host=local, port=80)
    assert address.is_everywhere == (listens != local)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_the_address_of_a_listener_is_one_to_connect_to(host: str) -> None:
    with listen(host, 0) as listener:
        address = address_of(listener)
        assert address.url == f"http://{address}"
        socket.create_connection((address.host, address.port)).close()


def test_the_next_free_port_is_one_that_can_be_had_and_was_not_given() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        taken = listener.getsockname()[1]
        free = next_free_port(Address(host="127.0.0.1", port=taken - 1), frozenset())
        assert free > taken
        assert next_free_port(Address(host="127.0.0.1", port=taken - 1), frozenset({free})) > free
    assert next_free_port(Address(host="127.0.0.1", port=65535), frozenset()) == 0


def test_a_free_port_is_free_on_all_hosts_that_this_machine_has(monkeypatch: pytest.MonkeyPatch) -> None:
    assert free_port("127.0.0.1", "::1", "192.0.2.1") > 0
    with listen("::1", 0) as taken, listen("127.0.0.1", 0) as busy:
        free = unused_port()
        offered = iter([address_of(taken).port, address_of(busy).port, free])
        monkeypatch.setattr(address, "_unassigned_ports", lambda: offered)
        assert free_port("127.0.0.1", "::1") == free
        assert next(offered, None) is None


def test_a_free_port_is_none_that_the_system_assigns() -> None:
    assigned_from = 32768
    if sys.platform == "linux":
        assigned_from = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    ports = [free_port("127.0.0.1", "::1") for _ in range(20)]
    assert all(1024 < port < assigned_from for port in ports)
    assert len(set(ports)) > 10


def test_the_system_is_asked_for_a_port_if_it_may_assign_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address, "_unassigned_ports", lambda: iter(()))
    assert free_port("127.0.0.1") > 0


IPV4, IPV6 = Address(host="127.0.0.1", port=80), Address(host="::1", port=80)


class Server:
    """Accepts connections at ``listens`` only, and records the attempts."""

    def __init__(self, listens: Address | None) -> None:
        self.listens = listens
        self.attempts: list[Address] = []

    def connect(self, address: Address) -> str:
        self.attempts.append(address)
        if address == self.listens:
            return "connected"
        raise ConnectionRefusedError(f"refused by {address}")

    async def connect_async(self, address: Address) -> str:
        # All attempts begin before the first of them is refused.
        await asyncio.sleep(0)
        return self.connect(address)


def test_the_address_that_answered_is_the_first_one_next_time() -> None:
    app, server = AppAddress(IPV4, IPV6), Server(IPV6)
    assert (str(app), app.host_header) == ("127.0.0.1:80 or [::1]:80", "127.0.0.1:80")
    for _ in range(2):
        assert app.connect(server.connect) == "connected"
    assert server.attempts == [IPV4, IPV6, IPV6]
    assert (str(app), app.host_header) == ("[::1]:80 or 127.0.0.1:80", "[::1]:80")
    server.listens = IPV4
    assert app.connect(server.connect) == "connected"
    assert app.current == IPV4


def test_connections_at_the_same_time_all_find_the_app() -> None:
    async def main() -> list[str]:
        return await asyncio.gather(*(app.connect_async(server.connect_async) for _ in range(4)))

    app, server = AppAddress(IPV4, IPV6), Server(IPV6)
    assert asyncio.run(main()) == ["connected"] * 4
    assert app.current == IPV6


@pytest.mark.parametrize("other", [None, IPV6])
def test_if_no_address_answers_the_error_is_that_of_the_first(other: Address | None) -> None:
    app, server = AppAddress(IPV4, other), Server(None)
    with pytest.raises(ConnectionRefusedError, match=r"refused by 127\.0\.0\.1:80"):
        app.connect(server.connect)
    with pytest.raises(ConnectionRefusedError, match=r"refused by 127\.0\.0\.1:80"):
        asyncio.run(app.connect_async(server.connect_async))
    assert app.current == IPV4
