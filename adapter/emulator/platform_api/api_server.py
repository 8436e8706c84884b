"""The HTTP server in an environment, whose address is ``AWS_LAMBDA_RUNTIME_API``, and what its APIs share.

The runtime and the external extensions have a server each, with the same APIs. So the emulator can wait until all that
the runtime had sent before it ended is served, while extensions go on.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import orjson

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.emulator.environment.extensions import RefusedExtension
from adapter.emulator.page_guard import page_refusal
from adapter.net.address import listen
from adapter.net.server import BodyTruncatedError, HttpServer, Limits

if TYPE_CHECKING:
    from adapter.net.server import Exchange

#: A path (``*`` for a request id) → the functions that serve its methods.
Resources: TypeAlias = dict[str, dict[str, Callable[["Exchange"], Awaitable[None]]]]
#: Status, error type, message.
Refusal: TypeAlias = tuple[int, str, str]

JSON = ("content-type", "application/json")
TEXT = ("content-type", "text/plain; charset=utf-8")

TRUNCATED: Refusal = (400, "TruncatedHTTPRequest", "HTTP request detected as truncated")
TOO_LARGE: Refusal = (
    413,
    "RequestEntityTooLarge",
    f"Exceeded maximum allowed payload size ({BUFFERED_RESPONSE_LIMIT} bytes).",
)

#: What the paths of one invocation begin with, before its request id.
INVOCATION_PATH = "/2018-06-01/runtime/invocation/"
# A runtime may be silent between two requests for as long as an invocation takes, or for as long as it is frozen.
_NO_LIMITS = Limits(head_timeout=86_400.0, keep_alive_timeout=86_400.0)
# How long reading the last requests of a process that has ended may take, in seconds: the kernel has them already.
_LAST_REQUESTS_TIMEOUT = 1.0


def accept(exchange: Exchange) -> None:
    """Respond that a report was accepted."""
    exchange.respond(202, [JSON], b'{"status":"OK"}\n')


def refuse(exchange: Exchange, refusal: Refusal) -> None:
    """Respond with an error."""
    status, error_type, message = refusal
    exchange.respond(status, [JSON], orjson.dumps({"errorMessage": message, "errorType": error_type}))


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
            except RefusedExtension as refusal:
                refuse(exchange, (403, refusal.error_type, str(refusal)))

    async def wait_until_all_is_served(self) -> None:
        """Wait until every request is served that a process which has ended had sent."""
        with contextlib.suppress(TimeoutError, OSError, EOFError):
            async with asyncio.timeout(_LAST_REQUESTS_TIMEOUT):
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
    """Return the path, with ``*`` in place of a request id."""
    path = target.partition("?")[0]
    rest = path.removeprefix(INVOCATION_PATH)
    request_id, slash, action = rest.partition("/")
    if rest != path and request_id and slash:
        return f"{INVOCATION_PATH}*/{action}"
    # AWS's documentation writes some paths with a slash at the end.
    return path.rstrip("/") or path
