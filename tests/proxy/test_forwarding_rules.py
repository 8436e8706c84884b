"""The rules of forwarding without a proxy: trusted proxies, X-Forwarded-*, Forwarded, and request ids."""

from __future__ import annotations

import pytest

from adapter.payload.headers import app_filter, forwardable
from adapter.proxy.forwarded_request import MAX_REQUEST_ID, TrustedProxies, choose_request_id, with_origin

CLAIMED = [
    ("Accept", "*/*"),
    ("X-Forwarded-For", "1.1.1.1"),
    ("x_forwarded_for", "6.6.6.6"),
    ("X-Forwarded-Proto", "https"),
    ("X-Forwarded-Host", "shop.example"),
    ("X-Forwarded-Port", "443"),
    ("X-Real-IP", "1.1.1.1"),
    ("Forwarded", "for=1.1.1.1"),
]


@pytest.mark.parametrize(
    ("networks", "address", "trusted"),
    [
        pytest.param((), "127.0.0.1", False, id="nobody"),
        pytest.param(("10.0.0.0/8",), "10.2.3.4", True, id="network"),
        pytest.param(("10.0.0.0/8",), "11.2.3.4", False, id="other-network"),
        pytest.param(("10.0.0.1", "::1"), "::1", True, id="ipv6"),
        pytest.param(("10.0.0.1",), "::1", False, id="other-family"),
        pytest.param(("10.1.2.3/8",), "10.9.9.9", True, id="host-bits"),
        pytest.param(("*",), "anything", True, id="everybody"),
        pytest.param(("10.0.0.1",), "", False, id="unix-socket"),
    ],
)
def test_trust_depends_on_the_address(networks: tuple[str, ...], address: str, trusted: bool) -> None:
    assert (address in TrustedProxies(networks)) is trusted


def filtered(*, trusted: bool) -> list[tuple[str, str]]:
    return forwardable([*CLAIMED], app_filter(origin=trusted, identity=trusted))


def test_origin_headers_of_other_clients_are_replaced() -> None:
    headers = dict(with_origin(filtered(trusted=False), client="9.9.9.9", host="a:80", trusted=False))
    assert headers == {
        "Accept": "*/*",
        "x-forwarded-for": "9.9.9.9",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "a:80",
        "forwarded": 'for=9.9.9.9;host="a:80";proto=http',
    }


def test_origin_headers_of_trusted_proxies_are_kept_and_extended() -> None:
    headers = dict(with_origin(filtered(trusted=True), client="9.9.9.9", host="a", trusted=True))
    assert headers == {
        "Accept": "*/*",
        "x-forwarded-for": "1.1.1.1, 9.9.9.9",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "shop.example",
        "forwarded": 'for=1.1.1.1, for=9.9.9.9;host="a";proto=http',
        "x-forwarded-port": "443",
        "x-real-ip": "1.1.1.1",
    }


@pytest.mark.parametrize(
    ("client", "host", "element"),
    [
        pytest.param("::1", "a", 'for="[::1]";host="a";proto=http', id="ipv6"),
        pytest.param("", "a", 'for=unknown;host="a";proto=http', id="unknown"),
        pytest.param("1.1.1.1", 'a";for="\\6', r'for=1.1.1.1;host="a\";for=\"\\6";proto=http', id="quotes"),
    ],
)
def test_a_hop_is_written_in_the_syntax_of_rfc_7239(client: str, host: str, element: str) -> None:
    assert dict(with_origin([], client=client, host=host, trusted=False))["forwarded"] == element


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        pytest.param("mine-1", True, id="fit"),
        pytest.param("x" * MAX_REQUEST_ID, True, id="longest"),
        pytest.param("x" * (MAX_REQUEST_ID + 1), False, id="too-long"),
        pytest.param("gr\u00fcn", False, id="not-ascii"),
        pytest.param("a\tb", False, id="not-printable"),
        pytest.param("", False, id="empty"),
    ],
)
def test_a_client_id_is_kept_if_it_is_fit_for_a_log(given: str, kept: bool) -> None:
    assert (choose_request_id(given) == given) is kept


def test_request_ids_differ() -> None:
    ids = {choose_request_id("") for _ in range(100)}
    assert len(ids) == 100
    assert all(len(each) == 32 for each in ids)
