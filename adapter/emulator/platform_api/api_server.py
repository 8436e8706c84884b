"""The HTTP server within an environment, whose address is ``AWS_LAMBDA_RUNTIME_API``.

The runtime and the external extensions have a server each, with the same APIs, so that it can be told when everything
that the runtime had sent before its end has been dealt with, while extensions live on.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

from adapter.emulator.page_guard import page_refusal
from adapter.emulator.platform_api.answers import TEXT, TRUNCATED, Resources, refuse
from adapter.emulator.platform_api.runtime_api import INVOCATION
from adapter.net.address import listen
from adapter.net.server import BodyTruncatedError, HttpServer, Limits

if TYPE_CHECKING:
    from adapter.net.server import Exchange

# A runtime may be silent between two calls for as long as an invocation takes, or for as long as it is frozen.
_NO_LIMITS = Limits(head_timeout=86_400.0, keep_alive_timeout=86_400.0)
# How long the last words of a process that has ended may take to be read, in seconds: they are in the kernel already.
_LAST_WORDS = 1.0


class ApiServer:
    """Serves ``resources`` on an ephemeral loopback port. The connections' tasks live in ``group``."""

    def __init__(self, resources: Resources, group: asyncio.TaskGroup) -> None:
        self._resources = resources
        self._listener = listen("127.0.0.1", 0)
        self._server = HttpServer(self.serve, group, limits=_NO_LIMITS, cancels=False)
        self.port: int = self._listener.getsockname()[1]

    @property
    def address(self) -> str:
        """``HOST:PORT``."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Accept connections."""
        await self._server.start(self._listener)

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        if forbidden := page_refusal(exchange.headers):
            refuse(exchange, (403, "ForbiddenException", forbidden))
            return
        methods = self._resources.get(_resource(exchange.target))
        if methods is None:
            exchange.respond(404, [TEXT], b"404 page not found\n")
        elif exchange.method not in methods:
            exchange.respond(405, [("allow", ", ".join(methods))], b"")
        else:
            try:
                await methods[exchange.method](exchange)
            except BodyTruncatedError:
                refuse(exchange, TRUNCATED)

    async def all_read(self) -> None:
        """Wait until everything has been dealt with that clients which have ended meanwhile had sent."""
        with contextlib.suppress(TimeoutError, OSError, EOFError):
            async with asyncio.timeout(_LAST_WORDS):
                # Connections are accepted in order: once this one is, all that were made before it are.
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(b"GET /2018-06-01/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    await reader.read()
                finally:
                    writer.close()
                await self._server.wait_until_drained()

    def close(self) -> None:
        """Stop listening and end every connection at once."""
        self._server.close()
        self._server.abort()
        self._listener.close()


def _resource(target: str) -> str:
    """The path, with ``*`` in the place of a request id."""
    path = target.partition("?")[0]
    rest = path.removeprefix(INVOCATION)
    request_id, slash, action = rest.partition("/")
    if rest != path and request_id and slash:
        return f"{INVOCATION}*/{action}"
    # As AWS's documentation writes some of them.
    return path.rstrip("/") or path
