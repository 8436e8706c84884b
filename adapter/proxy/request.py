"""From a client's request to the app's: the rules of forwarding, without I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.errors import RefusedRequest
from adapter.payload.context import authorized
from adapter.payload.headers import NOT_FOR_APP, first, forwardable
from adapter.payload.request_line import strip_base_path
from adapter.proxy.forwarded import REQUEST_ID, TrustedProxies, forwarded_headers

if TYPE_CHECKING:
    from adapter.config import Config
    from adapter.http_server import Exchange

    Headers = list[tuple[str, str]]


# What the proxy writes itself.
_REPLACED = NOT_FOR_APP | {"host", REQUEST_ID}


class ForwardingRules:
    """The user's say in the requests that the app gets."""

    def __init__(self, config: Config) -> None:
        self.base_path = config.base_path
        self.authorization_source = config.authorization_source
        self.trusted = TrustedProxies(config.trusted_proxies)


class ForwardedRequest:
    """A request for the app: its head as bytes, and whether a body follows and in which framing."""

    __slots__ = ("chunked", "has_body", "head")

    def __init__(self, *, head: bytes, has_body: bool, chunked: bool) -> None:
        self.head = head
        self.has_body = has_body
        self.chunked = chunked


def forwarded_request(
    exchange: Exchange, rules: ForwardingRules, *, request_id: str, default_host: str
) -> ForwardedRequest:
    """The request that the app gets, under ``request_id``. Raises RefusedRequest for one that cannot be forwarded."""
    target, authority = origin_form(exchange)
    target = strip_base_path(target, rules.base_path)
    host = authority or first(exchange.headers, "host") or default_host
    headers = forwardable(exchange.headers, _REPLACED)
    headers = forwarded_headers(headers, client=exchange.client, host=host, trusted=exchange.client in rules.trusted)
    if rules.authorization_source:
        headers = authorized(headers, rules.authorization_source)
    length = first(exchange.headers, "content-length")
    chunked = bool(first(exchange.headers, "transfer-encoding"))
    lines = [f"{exchange.method} {target} HTTP/1.1", f"host: {host}", f"{REQUEST_ID}: {request_id}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if chunked:
        lines.append("transfer-encoding: chunked")
    elif length:
        lines.append(f"content-length: {length}")
    if exchange.upgrade:
        lines += ["connection: upgrade", f"upgrade: {exchange.upgrade}"]
    return ForwardedRequest(
        head=("\r\n".join(lines) + "\r\n\r\n").encode(),
        has_body=chunked or length not in ("", "0"),
        chunked=chunked,
    )


def origin_form(exchange: Exchange) -> tuple[str, str]:
    """The target as path and query, and the authority if the target named one (RFC 9112, section 3.2)."""
    target = exchange.target
    if exchange.method == "CONNECT":
        raise RefusedRequest("CONNECT: this proxy leads to one app, not to where a client would like", status=405)
    if target.startswith("/") or (target == "*" and exchange.method == "OPTIONS"):
        return target, ""
    scheme, separator, rest = target.partition("://")
    if not separator or scheme.lower() not in ("http", "https"):
        raise RefusedRequest(f"not a request target: {target[:100]!r}", status=400)
    authority, slash, path = rest.partition("/")
    authority, question, query = authority.partition("?")
    return (f"/{path}" if slash else "/") + question + query, authority
