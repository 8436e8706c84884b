"""A strict HTTP/1.1 server on asyncio and httptools that shows a proxy everything it needs.

Its interface has what general servers hide from their applications: interim responses, trailers both ways, raw targets,
repeated headers in order, upgrades, and responses that are cut off. A body is passed on in the pieces in which it
arrives. The socket is left unread while the body is not read, and a writer waits while its client does not keep up, so
memory is bounded by buffers.

The way of a request: ``server`` accepts the connection · ``connection`` gets the bytes and serves one request after the
other, in the order of the table in ``connection_state`` · ``request_parser`` makes requests of the bytes · ``exchange``
is what is served: the request, and the way to answer it.
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
