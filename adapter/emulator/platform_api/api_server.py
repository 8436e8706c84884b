"""The HTTP server of an environment's APIs, and helpers that these APIs share.

``AWS_LAMBDA_RUNTIME_API`` is the address of such a server. The runtime has one server and the external extensions
have another, both with the same APIs. So after the runtime's end the emulator can wait until all requests of the
runtime are served, while extensions continue to send requests.
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
from adapter.errors import bounded
from adapter.net.address import listen
from adapter.net.server import BodyTruncatedError, HttpServer, Limits

if TYPE_CHECKING:
    from adapter.net.server import Exchange

#: Each path, with ``*`` for a request id → each method → the function that serves it.
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

#: The prefix of all paths of one invocation. The request id follows.
INVOCATION_PATH = "/2018-06-01/runtime/invocation/"
# A day, in seconds. The limits must be long because a runtime sends nothing while the app handles an invocation, or
# while the runtime is frozen.
_NO_LIMITS = Limits(head_timeout=86_400.0, keep_alive_timeout=86_400.0)
# The time limit for serving the last requests of a process that has ended, in seconds. They have already arrived.
_LAST_REQUESTS_TIMEOUT = 1.0


def accept(exchange: Exchange) -> None:
    """Respond with status 202: the request of the runtime or of the extension is accepted."""
    exchange.respond(202, [JSON], b'{"status":"OK"}\n')


def refuse(exchange: Exchange, refusal: Refusal) -> None:
    """Respond with ``refusal``."""
    status, error_type, message = refusal
    exchange.respond(status, [JSON], orjson.dumps({"errorMessage": bounded(message), "errorType": error_type}))


class ApiServer:
    """Serves ``resources`` on an ephemeral loopback port. The tasks of the connections run in ``group``."""

    def __init__(self, resources: Resources, group: asyncio.TaskGroup) -> None:
        self._resources = resources
        self._listener = listen("127.0.0.1", 0)
        self._server = HttpServer(self.serve, group, limits=_NO_LIMITS, cancels=False)
        self.port: int = self._listener.getsockname()[1]

    @property
    def address(self) -> str:
        """The server's address, ``HOST:PORT``."""
        return f"127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Start to accept connections."""
        await self._server.start(self._listener)

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request. If no resource matches the request, answer with an error."""
        methods = self._resources.get(_resource(exchange.target))
        if forbidden := page_refusal(exchange.headers):
            refuse(exchange, (403, "ForbiddenException", forbidden))
        elif methods is None:
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
        """Wait, for at most ``_LAST_REQUESTS_TIMEOUT`` seconds, until all requests that have arrived are served."""
        with contextlib.suppress(TimeoutError, OSError, EOFError):
            async with asyncio.timeout(_LAST_REQUESTS_TIMEOUT):
                # Connections are accepted in order. Once this one is answered, all earlier ones have been accepted.
                reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
                try:
                    writer.write(b"GET /2018-06-01/ping HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                    await reader.read()
                finally:
                    writer.close()
                await self._server.wait_until_drained()

    def close(self) -> None:
        """Stop listening and abort all connections."""
        self._server.close()
        self._server.abort()
        self._listener.close()


def _resource(target: str) -> str:
    """Return the key in Resources for ``target``: the path, with the request id (if any) replaced by ``*``."""
    path = target.partition("?")[0]
    rest = path.removeprefix(INVOCATION_PATH)
    request_id, slash, action = rest.partition("/")
    if rest != path and request_id and slash:
        return f"{INVOCATION_PATH}*/{action}"
    # Some paths in AWS's documentation end with a slash.
    return path.rstrip("/") or path
