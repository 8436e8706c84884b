"""Addresses as texts, and ports that are free."""

from __future__ import annotations

import socket

import pytest

from adapter.net.address import Address, address_of, listen, next_free_port

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
