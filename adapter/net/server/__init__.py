"""A strict HTTP/1.1 server for proxies, built on asyncio and httptools.

Its interface offers what general servers hide from their applications: interim responses, trailers in both directions,
raw targets, repeated headers in order, upgrades, and responses that are cut off. A body is passed on in the pieces in
which it arrives. Memory is bounded: while the application is not reading the body, the socket is not read either; while
the client is not keeping up, writing waits.

The main modules, in the order in which they handle a request: ``server`` accepts the connection · ``connection``
receives the bytes and serves the requests one after the other · ``connection_state`` contains the table of connection
states · ``request_parser`` parses the bytes into requests · ``exchange`` contains the request and the methods to answer
it.
"""

from adapter.net.server.errors import BodyTruncatedError, ClientStalledError
from adapter.net.server.exchange import Exchange, RequestBody, Tunnel
from adapter.net.server.server import HttpServer
from adapter.net.server.server_limits import Limits

__all__ = [
    "BodyTruncatedError",
    "ClientStalledError",
    "Exchange",
    "HttpServer",
    "Limits",
    "RequestBody",
    "Tunnel",
]
