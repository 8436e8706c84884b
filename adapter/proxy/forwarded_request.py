"""Converts a client's request to the request for the app: its headers and target, and data about the client. No I/O."""

from __future__ import annotations

import os
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from adapter.errors import RefusedRequest
from adapter.net.http1 import is_repeatable
from adapter.payload.headers import NOT_FOR_APP, all_spellings, forwardable, with_authorization
from adapter.payload.request_target import origin_form, strip_base_path

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from adapter.config.load import Config
    from adapter.net.server import Exchange

    Headers = list[tuple[str, str]]

REQUEST_ID = "x-request-id"
# The longest request id that is accepted from a client, in characters; a trace id has 35, three UUIDs have 110.
MAX_REQUEST_ID = 128
# Headers with the origin of a request, in every spelling: WSGI and CGI do not distinguish "_" from "-". They are
# accepted from trusted clients only.
ORIGIN_HEADERS = all_spellings(
    ["forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip"]
)
# Headers that the proxy writes itself.
_REPLACED = NOT_FOR_APP | all_spellings(["host", REQUEST_ID])
# These must not be trailers, since servers merge trailers into headers.
_NOT_IN_TRAILERS = _REPLACED | ORIGIN_HEADERS
# Cleartext HTTP/2 is never offered to the app: after the switch the client's next requests would bypass all rules here.
_NEVER_OFFERED = "h2c"


class TrustedProxies:
    """The addresses and networks whose X-Forwarded-* and Forwarded headers are trusted; ``*`` means all."""

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
            # The client is connected over a Unix socket.
            return False
        return any(parsed in network for network in self._networks)


class ForwardingRules:
    """The user's settings for the requests that the app gets. ``default_host`` is used for requests without a Host."""

    def __init__(self, config: Config, *, default_host: str) -> None:
        self.base_path = config.base_path
        self.authorization_source = config.authorization_source
        self.trusted = TrustedProxies(config.trusted_proxies)
        self.default_host = default_host


class ForwardedRequest:
    """A request for the app: the bytes of its head, and the properties of its body.

    ``chunked`` is True if the body is sent in chunks. ``offers_upgrade`` is True if the head offers an upgrade.
    ``repeatable`` is True if the request may be sent again, as ``is_repeatable`` says.
    """

    __slots__ = ("chunked", "has_body", "head", "offers_upgrade", "repeatable")

    def __init__(self, *, head: bytes, has_body: bool, chunked: bool, offers_upgrade: bool, repeatable: bool) -> None:
        self.head = head
        self.repeatable = repeatable
        self.has_body = has_body
        self.chunked = chunked
        self.offers_upgrade = offers_upgrade


def choose_request_id(proposed: str) -> str:
    """Return ``proposed`` if it is a safe value for logs and headers, else 128 new random bits in hexadecimal."""
    is_fit = 0 < len(proposed) <= MAX_REQUEST_ID and proposed.isascii() and proposed.isprintable()
    return proposed if is_fit else os.urandom(16).hex()


def forwarded_request(
    exchange: Exchange, rules: ForwardingRules, *, first_values: dict[str, str], request_id: str
) -> ForwardedRequest:
    """Return the request that the app gets, with ``request_id`` as its id.

    ``first_values`` has the first value of each header of the client's request, by the name in lower case.
    Raises RefusedRequest for a request that cannot be forwarded.
    """
    target, authority = _target_of(exchange)
    target = strip_base_path(target, rules.base_path)
    host = authority or first_values.get("host") or rules.default_host
    client = exchange.client
    headers = forwardable(exchange.headers, _REPLACED)
    headers = forwarded_headers(headers, client=client, host=host, trusted=client in rules.trusted)
    if rules.authorization_source:
        headers = with_authorization(headers, rules.authorization_source)
    length = first_values.get("content-length", "")
    chunked = bool(first_values.get("transfer-encoding"))
    lines = [f"{exchange.method} {target} HTTP/1.1", f"host: {host}", f"{REQUEST_ID}: {request_id}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if chunked:
        lines.append("transfer-encoding: chunked")
    elif length:
        lines.append(f"content-length: {length}")
    upgrade = _offered(exchange.upgrade) if exchange.upgrade else ""
    if upgrade:
        lines += ["connection: upgrade", f"upgrade: {upgrade}"]
    return ForwardedRequest(
        head=("\r\n".join(lines) + "\r\n\r\n").encode(),
        has_body=chunked or length not in ("", "0"),
        chunked=chunked,
        offers_upgrade=bool(upgrade),
        repeatable=not chunked and is_repeatable(exchange.method, int(length or 0)),
    )


def forwarded_headers(headers: Headers, *, client: str, host: str, trusted: bool) -> Headers:
    """Return ``headers`` with X-Forwarded-* and Forwarded for a client at the address ``client``.

    Values from a ``trusted`` client are kept and extended; those from any other client are replaced.
    """
    stated: dict[str, list[str]] = {}
    kept: Headers = []
    for name, value in headers:
        lower = name.lower()
        if lower not in ORIGIN_HEADERS:
            kept.append((name, value))
        elif trusted:
            stated.setdefault(lower, []).append(value)
    kept += [
        ("x-forwarded-for", ", ".join([*stated.get("x-forwarded-for", []), client])),
        ("x-forwarded-proto", ", ".join(stated.get("x-forwarded-proto", ["http"]))),
        ("x-forwarded-host", ", ".join(stated.get("x-forwarded-host", [host]))),
        ("forwarded", ", ".join([*stated.get("forwarded", []), _forwarded_element(client, host)])),
    ]
    kept += [(name, value) for name in ("x-forwarded-port", "x-real-ip") for value in stated.get(name, [])]
    return kept


def forwarded_trailers(trailers: Headers) -> Headers:
    """Return those of ``trailers`` that may be forwarded to the app."""
    return forwardable(trailers, _NOT_IN_TRAILERS)


def _forwarded_element(client: str, host: str) -> str:
    """Return one hop in the syntax of RFC 7239, which requires quotes around IPv6 addresses and values with a colon."""
    node = f'"[{client}]"' if ":" in client else client or "unknown"
    quoted = host.replace("\\", "\\\\").replace('"', '\\"')
    return f'for={node};host="{quoted}";proto=http'


def _offered(upgrade: str) -> str:
    """Return the protocols of an Upgrade header that may be offered to the app: all except h2c."""
    protocols = [protocol.strip() for protocol in upgrade.split(",")]
    return ", ".join([protocol for protocol in protocols if protocol and protocol != _NEVER_OFFERED])


def _target_of(exchange: Exchange) -> tuple[str, str]:
    """Return the target's path with its query, and its authority or an empty text. Raises RefusedRequest."""
    target = exchange.target
    if exchange.method == "CONNECT":
        raise RefusedRequest(
            "CONNECT is not possible: this proxy has one app behind it and opens no tunnels", status=405
        )
    if target == "*" and exchange.method == "OPTIONS":
        return target, ""
    found = origin_form(target)
    if found is None:
        raise RefusedRequest("the request target must be a path or an http URL without a user name", status=400)
    return found
