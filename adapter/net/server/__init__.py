"""A strict HTTP/1.1 server on asyncio and httptools that hides nothing a proxy needs.

Interim responses, trailers both ways, raw targets, repeated headers in order, upgrades and cut-off responses are all in
its interface, which general servers keep from their applications. Each connection is a protocol that parses and one
task that serves its requests in order. A body is handed on in the pieces it arrives in; while nobody reads them the
socket is left unread, and a writer waits while its client does not keep up. So memory is bounded by buffers.
"""

from adapter.net.server.errors import BodyTruncatedError, ClientStalledError
from adapter.net.server.exchange import Exchange, RequestBody, Tunnel
from adapter.net.server.server import HttpServer, Limits

__all__ = [
    "BodyTruncatedError",
    "ClientStalledError",
    "Exchange",
    "HttpServer",
    "Limits",
    "RequestBody",
    "Tunnel",
]
