"""Converts a client's request to the request for the app: headers, target and data about the client. Does no I/O."""

from __future__ import annotations

import os
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING, Final

from adapter.errors import RefusedRequest
from adapter.net.http1 import encode_text, is_repeatable
from adapter.payload.headers import app_filter, forwardable, is_token, with_authorization
from adapter.payload.request_target import origin_form, strip_base_path
from adapter.payload.reserved_paths import ReservedPaths

if TYPE_CHECKING:
    from ipaddress import IPv4Network, IPv6Network

    from adapter.config.load import Config
    from adapter.net.server import Exchange

    Headers = list[tuple[str, str]]

REQUEST_ID: Final = "x-request-id"
# The longest request id that is accepted from a client, in characters; a trace id has 35, three UUIDs have 110.
MAX_REQUEST_ID: Final = 128
# Headers that the proxy writes itself.
_REPLACED: Final = frozenset({"host", REQUEST_ID})
# Headers about the origin. If a trusted client has sent them, they are moved to the end; the proxy extends some of
# them.
_EXTENDED: Final = frozenset(
    {"forwarded", "x-forwarded-for", "x-forwarded-host", "x-forwarded-port", "x-forwarded-proto", "x-real-ip"}
)
# Some servers merge trailers into headers, after all checks of the headers. So two kinds of trailers are dropped: those
# about the origin or the user, and those that are needed before the content is read, for example for routing,
# authentication or caching (RFC 9110, 6.5.1).
_TRAILERS: Final = app_filter(
    origin=False,
    identity=False,
    dropped=_REPLACED
    | {
        *("age", "authorization", "cache-control", "content-disposition", "content-encoding", "content-language"),
        *("content-location", "content-range", "content-type", "cookie", "date", "expires", "if", "if-match"),
        *("if-modified-since", "if-none-match", "if-range", "if-unmodified-since", "location", "max-forwards"),
        *("pragma", "range", "realm", "retry-after", "set-cookie", "set-cookie2", "vary", "warning"),
        "www-authenticate",
    },
)
# Cleartext HTTP/2 is never offered to the app: after the switch the client's next requests would bypass all rules here.
_NEVER_OFFERED: Final = "h2c"
# Random request ids that are not used yet, and how many are made with one system call.
_unused_ids: Final[list[str]] = []
_IDS_AT_ONCE: Final = 64


class TrustedProxies:
    """The addresses and networks of clients whose headers about origin and user are trusted; ``*`` means all."""

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
    """The user's settings for the requests that the app gets. ``default_host`` replaces a missing Host header."""

    def __init__(self, config: Config, *, default_host: str) -> None:
        self.base_path = config.base_path
        self.authorization_source = source = config.authorization_source
        self.from_clients = app_filter(
            origin=False, identity=False, dropped=_REPLACED, kept=source, failure=RefusedRequest
        )
        self.from_trusted = app_filter(
            origin=True, identity=True, dropped=_REPLACED, kept=source, failure=RefusedRequest
        )
        self.trusted = TrustedProxies(config.trusted_proxies)
        self.reserved = ReservedPaths(config.reserved_paths)
        self.default_host = default_host


class ForwardedRequest:
    """A request for the app: the bytes of its head, and the properties of its body.

    ``chunked`` is True if the body is sent in chunks. ``offers_upgrade`` is True if the head offers an upgrade.
    ``repeatable`` is True if the request may be sent a second time (see ``is_repeatable``).
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
    return proposed if is_fit else _new_request_id()


def _new_request_id() -> str:
    if not _unused_ids:
        digits = os.urandom(16 * _IDS_AT_ONCE).hex()
        _unused_ids.extend([digits[start : start + 32] for start in range(0, len(digits), 32)])
    return _unused_ids.pop()


def forwarded_request(
    exchange: Exchange, rules: ForwardingRules, *, first_values: dict[str, str], request_id: str
) -> ForwardedRequest:
    """Return the request that the app gets, with ``request_id`` as its id.

    ``first_values`` maps the names of the client's headers, in lower case, to their first values.
    Raises RefusedRequest for a request that cannot be forwarded.
    """
    target = strip_base_path(_target_of(exchange), rules.base_path)
    if rules.reserved and target in rules.reserved:
        raise RefusedRequest("only Lambda may request this path", status=403)
    # An empty Host is forwarded as it is. Only HTTP/1.0 permits a request without a Host.
    host = first_values.get("host", rules.default_host)
    client = exchange.client
    trusted = client in rules.trusted
    headers = forwardable(exchange.headers, rules.from_trusted if trusted else rules.from_clients)
    headers = with_origin(headers, client=client, host=host, trusted=trusted)
    if rules.authorization_source:
        headers = with_authorization(headers, rules.authorization_source)
    length = first_values.get("content-length", "")
    chunked = bool(first_values.get("transfer-encoding"))
    lines = [f"{exchange.method} {target} HTTP/1.1", f"host: {host}", f"{REQUEST_ID}: {request_id}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if chunked:
        lines.append("transfer-encoding: chunked")
        if announced := announced_trailers(exchange.headers):
            lines.append(f"trailer: {announced}")
    elif length:
        lines.append(f"content-length: {length}")
    takes_trailers = "te" in first_values and _takes_trailers(exchange.headers)
    upgrade = _offered(exchange.upgrade) if exchange.upgrade else ""
    if upgrade:
        lines += [f"connection: {'te, ' if takes_trailers else ''}upgrade", f"upgrade: {upgrade}"]
    elif takes_trailers:
        lines.append("connection: te")
    if takes_trailers:
        lines.append("te: trailers")
    return ForwardedRequest(
        head=encode_text("\r\n".join(lines) + "\r\n\r\n"),
        has_body=chunked or length not in ("", "0"),
        chunked=chunked,
        offers_upgrade=bool(upgrade),
        repeatable=not chunked and is_repeatable(exchange.method, int(length or 0)),
    )


def with_origin(headers: Headers, *, client: str, host: str, trusted: bool) -> Headers:
    """Return ``headers`` with X-Forwarded-* and Forwarded added for a client at the address ``client``.

    If ``trusted`` is True, the client's own values are kept and extended. If it is False, ``headers`` contains no such
    values, since ``ForwardingRules.from_clients`` has removed them.
    """
    if not trusted:
        return [
            *headers,
            ("x-forwarded-for", client),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", host),
            ("forwarded", _forwarded_element(client, host)),
        ]
    stated: dict[str, list[str]] = {}
    kept = []
    for name, value in headers:
        lower = name.lower()
        if lower in _EXTENDED:
            stated.setdefault(lower, []).append(value)
        else:
            kept.append((name, value))
    kept += [
        ("x-forwarded-for", ", ".join([*stated.get("x-forwarded-for", []), client])),
        ("x-forwarded-proto", ", ".join(stated.get("x-forwarded-proto", ["http"]))),
        ("x-forwarded-host", ", ".join(stated.get("x-forwarded-host", [host]))),
        ("forwarded", ", ".join([*stated.get("forwarded", []), _forwarded_element(client, host)])),
    ]
    kept += [(name, value) for name in ("x-forwarded-port", "x-real-ip") for value in stated.get(name, [])]
    return kept


def forwarded_trailers(trailers: Headers, headers: Headers) -> Headers:
    """Return the ``trailers`` that may be forwarded. ``headers`` are the headers of the message with these trailers."""
    if not trailers:
        return trailers
    # Names in the message's Connection header are not forwarded as trailers either.
    nominations = [header for header in headers if header[0].lower() == "connection"]
    return forwardable([*nominations, *trailers], _TRAILERS)


def announced_trailers(headers: Headers) -> str:
    """Return the value for the forwarded Trailer header: the announced names that may be forwarded, or ""."""
    names = [name.strip() for field, value in headers if field.lower() == "trailer" for name in value.split(",")]
    kept = forwarded_trailers([(name, "") for name in names if is_token(name)], headers)
    return ", ".join([name for name, _ in kept])


def _takes_trailers(headers: Headers) -> bool:
    """Return whether the client accepts trailers, according to its TE headers (RFC 9110 section 10.1.4)."""
    codings = [coding.strip().lower() for name, value in headers if name.lower() == "te" for coding in value.split(",")]
    return "trailers" in codings


def _forwarded_element(client: str, host: str) -> str:
    """Return one element of the Forwarded header. RFC 7239 requires quotes around any value with a colon."""
    node = f'"[{client}]"' if ":" in client else client or "unknown"
    quoted = host.replace("\\", "\\\\").replace('"', '\\"')
    return f'for={node};host="{quoted}";proto=http'


def _offered(upgrade: str) -> str:
    """Return the protocols that an Upgrade header may offer to the app: all protocols in ``upgrade`` except h2c."""
    protocols = [protocol.strip() for protocol in upgrade.split(",")]
    return ", ".join([protocol for protocol in protocols if protocol and protocol != _NEVER_OFFERED])


def _target_of(exchange: Exchange) -> str:
    """Return the path of the request target with its query, or ``*`` for ``OPTIONS *``.

    Raises RefusedRequest if the method is CONNECT, or if the target is neither a path nor a valid http or https URL.
    """
    target = exchange.target
    if exchange.method == "CONNECT":
        raise RefusedRequest(
            "CONNECT is not possible: this proxy has one app behind it and opens no tunnels", status=405
        )
    if target == "*" and exchange.method == "OPTIONS":
        return target
    found = origin_form(target)
    if found is None:
        raise RefusedRequest("the request target must be a path or an http URL without a user name", status=400)
    return found[0]
