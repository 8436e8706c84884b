"""The function URL: any method and any path, HTTP in, an invocation, HTTP out.

aiohttp serves the HTTP; here it is told to leave alone what Lambda leaves alone: encoded bodies, paths, headers. A
request is served to its end whether or not its client waits for it, because on Lambda the function is not told.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.http import SERVER_SOFTWARE, HttpProcessingError
from aiohttp.typedefs import Handler, Middleware

from adapter.emulator.call import Call, new_request_id, new_trace_id
from adapter.emulator.client_side import ClientSide
from adapter.emulator.report import Visit
from adapter.emulator.request_event import RefusedError, request_event
from adapter.emulator.url_response import UrlResponse
from adapter.pacing import Pacer
from adapter.throttle import MIB

if TYPE_CHECKING:
    from adapter.emulator.function import LocalFunction
    from adapter.emulator.url_settings import UrlSettings

# Request line and headers together, in bytes (Lambda quotas).
_HEAD_LIMIT = MIB
# aiohttp counts fields as well; this many do not fit in the limit above.
_MAX_FIELDS = _HEAD_LIMIT // len("a:\r\n")
# How long responses may take to end once the environment is gone, in seconds.
_CLOSE_GRACE = 0.5

# aiohttp reports what goes wrong in it here.
_LOG = logging.getLogger(__name__)


class FrontDoor:
    """The function URL of ``function``; ``report`` is given every visit that is over."""

    def __init__(self, function: LocalFunction, settings: UrlSettings, report: Callable[[Visit], None]) -> None:
        self._function = function
        self._settings = settings
        self._report = report

    async def serve(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        clock = asyncio.get_running_loop().time
        visit = Visit(method=request.method, target=request.raw_path)
        request_id, trace_id = new_request_id(), new_trace_id(time.time())
        marks = [("x-amzn-RequestId", request_id), ("X-Amzn-Trace-Id", trace_id)]
        client = ClientSide(request, visit, clock, marks)
        try:
            event = await request_event(request, request_id, trace_id)
        except RefusedError as refusal:
            visit.error_type = str(refusal)
            await client.begin(refusal.status, [("content-type", "application/json")], len(refusal.body))
            await client.write(refusal.body.encode())
            await client.end()
        except (ConnectionError, web.RequestPayloadError) as error:
            visit.error_type = f"no invocation, the request broke off: {error}"
            visit.client_left = True
        else:
            call = Call(
                label=f"{request.method} {request.raw_path}", event=event, request_id=request_id, trace_id=trace_id
            )
            self._function.submit(call)
            pacer = Pacer(self._settings.bandwidth, clock, asyncio.sleep)
            response = UrlResponse(client, visit, pacer, stream_limit=self._settings.stream_limit)
            await response.send(
                await call.reply.answer(), streaming=self._settings.url_invoke_mode == "response_stream"
            )
            visit.init = call.init_seconds
        self._report(visit)
        return client.response


@asynccontextmanager
async def listening(door: FrontDoor, host: str, port: int) -> AsyncIterator[int]:
    """Serve ``door`` on ``host`` and ``port`` (0: any free one); the value is the port. Raises OSError."""
    app = web.Application(middlewares=[_everything_to(door)])
    app.on_response_prepare.append(_without_our_name)
    runner = web.AppRunner(
        app,
        logger=_LOG,
        access_log=None,
        auto_decompress=False,
        max_line_size=_HEAD_LIMIT,
        max_field_size=_HEAD_LIMIT,
        max_headers=_MAX_FIELDS,
        shutdown_timeout=_CLOSE_GRACE,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _everything_to(door: FrontDoor) -> Middleware:
    """A middleware in the place of a router, which would have opinions about paths."""

    @web.middleware
    async def serve(request: web.Request, handler: Handler) -> web.StreamResponse:
        return await door.serve(request)

    return serve


async def _without_our_name(_request: web.Request, response: web.StreamResponse) -> None:
    if response.headers.get("Server") == SERVER_SOFTWARE:
        del response.headers["Server"]


def _is_our_fault(record: logging.LogRecord) -> bool:
    """A client that does not speak HTTP is told so, and needs no traceback."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


_LOG.addFilter(_is_our_fault)
