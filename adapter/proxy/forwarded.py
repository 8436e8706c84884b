"""What the proxy tells the app about the client, and what it believes of what others said. No I/O."""

from __future__ import annotations

import os
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from adapter.payload.headers import all_spellings, first

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    Headers = list[tuple[str, str]]

REQUEST_ID = "x-request-id"
# The longest id that is taken from a client, in characters; a trace id has 35, three UUIDs have 110.
MAX_REQUEST_ID = 128
# Headers that say where a request came from; from a client that is not trusted they say nothing.
# WSGI and CGI give the underscore twin of a header the same name.
CLAIMS = all_spellings(
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip"]
)


class TrustedProxies:
    """Who may say where a request came from: addresses and networks, or ``*`` for everybody."""

    def __init__(self, networks: tuple[str, ...]) -> None:
        self._all = "*" in networks
        self._networks: list[IPv4Network | IPv6Network] = [
            ip_network(network, strict=False) for network in networks if network != "*"
        ]

    def __contains__(self, address: str) -> bool:
        if self._all:
            return True
        if not self._networks:
            return False
        try:
            parsed = ip_address(address)
        except ValueError:
            # A Unix socket, or a name: not an address of any network.
            return False
        return any(parsed in network for network in self._networks)


def forwarded_headers(headers: Headers, *, client: str, host: str, trusted: bool) -> Headers:
    """``headers`` with X-Forwarded-* and Forwarded.

    ``client`` is the address of whoever is connected. What a trusted one claims is kept and extended; what anybody else
    claims is replaced.
    """
    claims: dict[str, list[str]] = {}
    kept: Headers = []
    for name, value in headers:
        lower = name.lower()
        if lower in CLAIMS:
            if trusted:
                claims.setdefault(lower, []).append(value)
            continue
        kept.append((name, value))
    protocol = ", ".join(claims.get("x-forwarded-proto", ["http"]))
    kept += [
        ("x-forwarded-for", ", ".join([*claims.get("x-forwarded-for", []), client])),
        ("x-forwarded-proto", protocol),
        ("x-forwarded-host", ", ".join(claims.get("x-forwarded-host", [host]))),
        ("forwarded", ", ".join([*claims.get("forwarded", []), _element(client, host)])),
    ]
    kept += [(name, value) for name in ("x-forwarded-port", "x-real-ip") for value in claims.get(name, [])]
    return kept


def request_id_of(headers: Headers) -> str:
    """The client's X-Request-Id where it is one to put into logs and answers, else 128 random bits in hexadecimal."""
    named = first(headers, REQUEST_ID)
    is_fit = 0 < len(named) <= MAX_REQUEST_ID and named.isascii() and named.isprintable()
    return named if is_fit else os.urandom(16).hex()


def _element(client: str, host: str) -> str:
    """One hop in the syntax of RFC 7239: IPv6 addresses, and anything with a colon, are quoted."""
    node = f'"[{client}]"' if ":" in client else client or "unknown"
    quoted = host.replace("\\", "\\\\").replace('"', '\\"')
    return f'for={node};host="{quoted}";proto=http'
