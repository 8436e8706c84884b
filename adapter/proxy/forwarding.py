"""From a client's request to the app's: the rules of forwarding, without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.errors import RefusedRequest
from adapter.payload.headers import NOT_FOR_APP, all_spellings, first, forwardable, with_authorization
from adapter.payload.request_target import origin_form, strip_base_path
from adapter.proxy.forwarded import CLAIMS, REQUEST_ID, TrustedProxies, forwarded_headers

if TYPE_CHECKING:
    from adapter.config.load import Config
    from adapter.net.server import Exchange

    Headers = list[tuple[str, str]]


# What the proxy writes itself.
_REPLACED = NOT_FOR_APP | all_spellings(["host", REQUEST_ID])
# What no trailer may add to after the fact; servers merge trailers into headers.
_NOT_IN_TRAILERS = _REPLACED | CLAIMS
# Cleartext HTTP/2: whoever lets a client switch to it lets the client's next requests past all the rules here.
_NEVER_OFFERED = "h2c"


class ForwardingRules:
    """The user's say in the requests that the app gets."""

    def __init__(self, config: Config) -> None:
        self.base_path = config.base_path
        self.authorization_source = config.authorization_source
        self.trusted = TrustedProxies(config.trusted_proxies)


class ForwardedRequest:
    """A request for the app: its head as bytes, whether a body follows and in which framing, and whether the head
    offers to switch protocols.
    """

    __slots__ = ("chunked", "has_body", "head", "offers_upgrade")

    def __init__(self, *, head: bytes, has_body: bool, chunked: bool, offers_upgrade: bool) -> None:
        self.head = head
        self.has_body = has_body
        self.chunked = chunked
        self.offers_upgrade = offers_upgrade


def forwarded_request(
    exchange: Exchange, rules: ForwardingRules, *, request_id: str, default_host: str
) -> ForwardedRequest:
    """The request that the app gets, under ``request_id``. Raises RefusedRequest for one that cannot be forwarded."""
    target, authority = _target_of(exchange)
    target = strip_base_path(target, rules.base_path)
    host = authority or first(exchange.headers, "host") or default_host
    headers = forwardable(exchange.headers, _REPLACED)
    headers = forwarded_headers(headers, client=exchange.client, host=host, trusted=exchange.client in rules.trusted)
    if rules.authorization_source:
        headers = with_authorization(headers, rules.authorization_source)
    length = first(exchange.headers, "content-length")
    chunked = bool(first(exchange.headers, "transfer-encoding"))
    lines = [f"{exchange.method} {target} HTTP/1.1", f"host: {host}", f"{REQUEST_ID}: {request_id}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if chunked:
        lines.append("transfer-encoding: chunked")
    elif length:
        lines.append(f"content-length: {length}")
    upgrade = _offered(exchange.upgrade)
    if upgrade:
        lines += ["connection: upgrade", f"upgrade: {upgrade}"]
    return ForwardedRequest(
        head=("\r\n".join(lines) + "\r\n\r\n").encode(),
        has_body=chunked or length not in ("", "0"),
        chunked=chunked,
        offers_upgrade=bool(upgrade),
    )


def forwarded_trailers(trailers: Headers) -> Headers:
    """The trailers of a request that the app gets."""
    return forwardable(trailers, _NOT_IN_TRAILERS)


def _offered(upgrade: str) -> str:
    """The protocols of an Upgrade header that the app is offered."""
    protocols = [protocol.strip() for protocol in upgrade.split(",")]
    return ", ".join(protocol for protocol in protocols if protocol and protocol != _NEVER_OFFERED)


def _target_of(exchange: Exchange) -> tuple[str, str]:
    """The target as path and query, and the authority if the target named one."""
    target = exchange.target
    if exchange.method == "CONNECT":
        raise RefusedRequest("CONNECT: this proxy leads to one app, not to where a client would like", status=405)
    if target == "*" and exchange.method == "OPTIONS":
        return target, ""
    found = origin_form(target)
    if found is None:
        raise RefusedRequest("the request target is neither a path nor an http URL that a client may send", status=400)
    return found
