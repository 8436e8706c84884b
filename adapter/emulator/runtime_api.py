"""The server of Lambda's Runtime API (2018-06-01), and of the Extensions API (2020-01-01) as far as a runtime needs it.

What a call may do is the environment's to say; here are the paths, the bodies and the answers, which are those of the
official emulator. Extensions may register for no events yet: the runtime does so to be told of the shutdown.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import orjson

from adapter.emulator.http_server import BodyTruncatedError, Request
from adapter.emulator.lifecycle import Event, State
from adapter.emulator.reply import RESPONSE_TOO_LARGE, UNKNOWN_ERROR, Failure, Payload, Stream, too_large, truncated
from adapter.throttle import BUFFERED_RESPONSE_LIMIT

if TYPE_CHECKING:
    from adapter.emulator.call import Call
    from adapter.emulator.environment import Environment
    from adapter.payload.messages import Invocation

FUNCTION_NAME = "local"
FUNCTION_VERSION = "$LATEST"
HANDLER = "adapter"

_JSON = {"Content-Type": "application/json"}
_TEXT = {"Content-Type": "text/plain; charset=utf-8"}
# The types that the sandbox passes on; it rewrites all others (the official emulator's source, fatalerror).
_ERROR_TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")
# An error is shown to people; the sandbox takes no more of it than of a response.
_ERROR_LIMIT = BUFFERED_RESPONSE_LIMIT

_INVOCATION = "/2018-06-01/runtime/invocation/"

Refusal: TypeAlias = tuple[int, str, str]
UNKNOWN_REQUEST_ID: Refusal = (400, "InvalidRequestID", "Invalid request ID")
UNKNOWN_MODE: Refusal = (400, "InvalidFunctionResponseMode", "Invalid function response mode")
TRUNCATED: Refusal = (400, "TruncatedHTTPRequest", "HTTP request detected as truncated")
WRONG_STATE: Refusal = (403, "InvalidStateTransition", "The environment is in no state for this call")
TOO_LARGE: Refusal = (
    413,
    "RequestEntityTooLarge",
    f"Exceeded maximum allowed payload size ({BUFFERED_RESPONSE_LIMIT} bytes).",
)


class RuntimeApi:
    """Serves the runtime of one environment."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self._resources: dict[str, dict[str, Callable[[Request], Awaitable[None]]]] = {
            "/2018-06-01/ping": {"GET": self._ping},
            "/2018-06-01/runtime/init/error": {"POST": self._init_error},
            "/2018-06-01/runtime/invocation/next": {"GET": self._next},
            "/2018-06-01/runtime/invocation/*/response": {"POST": self._response},
            "/2018-06-01/runtime/invocation/*/error": {"POST": self._error},
            "/2020-01-01/extension/register": {"POST": self._register},
            "/2020-01-01/extension/event/next": {"GET": self._extension_next},
        }

    async def serve(self, request: Request) -> None:
        """Answer one request."""
        methods = self._resources.get(_resource(request.target))
        if methods is None:
            request.respond(404, b"404 page not found\n", _TEXT)
        elif request.method not in methods:
            request.respond(405, b"", {"Allow": ", ".join(methods)})
        else:
            try:
                await methods[request.method](request)
            except BodyTruncatedError:
                _refuse(request, TRUNCATED)

    async def _ping(self, request: Request) -> None:
        request.respond(200, b"pong", _TEXT)

    async def _next(self, request: Request) -> None:
        if self._environment.lifecycle.state is State.SHUTDOWN:
            # The process has been told to end; a refusal would only make it complain.
            await request.gone
            return
        coming = self._environment.next()
        if coming is None:
            _refuse(request, WRONG_STATE)
            return
        either: tuple[asyncio.Future[Invocation] | asyncio.Future[None], ...] = (coming, request.gone)
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            self._environment.lost()
            return
        invocation = coming.result()
        request.respond(200, invocation.event, _JSON | _invocation_headers(invocation))

    async def _init_error(self, request: Request) -> None:
        failure = await _reported_failure(request)
        if self._environment.init_failed(failure):
            _accept(request)
        else:
            _refuse(request, WRONG_STATE)

    async def _response(self, request: Request) -> None:
        call = self._current_call(request)
        mode = request.headers.get("lambda-runtime-function-response-mode", "")
        if call is None:
            _refuse(request, UNKNOWN_REQUEST_ID)
        elif mode not in ("", "streaming"):
            _refuse(request, UNKNOWN_MODE)
        elif not self._environment.advance(Event.RESPONSE):
            _refuse(request, WRONG_STATE)
        else:
            refusal = await (_stream(request, call) if mode else _buffer(request, call))
            # First the state, then the answer: the runtime asks for the next invocation as soon as it has that.
            self._environment.advance(Event.RESPONSE_ENDED)
            if refusal is None:
                _accept(request)
            else:
                _refuse(request, refusal)

    async def _error(self, request: Request) -> None:
        call = self._current_call(request)
        if call is None:
            _refuse(request, UNKNOWN_REQUEST_ID)
            return
        failure = await _reported_failure(request)
        if self._environment.advance(Event.ERROR):
            call.reply.settle(failure)
            _accept(request)
        else:
            _refuse(request, WRONG_STATE)

    def _current_call(self, request: Request) -> Call | None:
        call = self._environment.call
        named = request.target.removeprefix(_INVOCATION).partition("/")[0]
        return call if call is not None and call.request_id == named else None

    async def _register(self, request: Request) -> None:
        name = request.headers.get("lambda-extension-name", "")
        try:
            registration = orjson.loads(await _whole_body(request) or b"")
        except orjson.JSONDecodeError:
            registration = None
        if not name:
            _refuse(request, (403, "Extension.InvalidExtensionName", "Empty extension name"))
        elif not isinstance(registration, dict):
            _refuse(request, (403, "InvalidRequestFormat", "The body is not a JSON object"))
        elif events := registration.get("events"):
            _refuse(request, (403, "Extension.InvalidEventType", f"{events}: no event can be registered for"))
        else:
            identifier = self._environment.register_extension()
            function = {"functionName": FUNCTION_NAME, "functionVersion": FUNCTION_VERSION, "handler": HANDLER}
            request.respond(200, orjson.dumps(function), _JSON | {"Lambda-Extension-Identifier": identifier})

    async def _extension_next(self, request: Request) -> None:
        identifier = request.headers.get("lambda-extension-identifier", "")
        if not identifier:
            _refuse(
                request, (403, "Extension.MissingExtensionIdentifier", "Missing Lambda-Extension-Identifier header")
            )
        elif not self._environment.extension_waits(identifier):
            _refuse(request, (403, "Extension.UnknownExtensionIdentifier", f"Unknown extension {identifier}"))
        else:
            # Nobody can register for an event, so none ever comes.
            await request.gone


def _resource(target: str) -> str:
    """The path, with ``*`` in the place of a request id."""
    path = target.partition("?")[0]
    rest = path.removeprefix(_INVOCATION)
    request_id, slash, action = rest.partition("/")
    return f"{_INVOCATION}*/{action}" if rest != path and request_id and slash else path


def _invocation_headers(invocation: Invocation) -> dict[str, str]:
    """What Lambda says about an invocation; what it has nothing to say about is left out."""
    headers = {
        "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
        "Lambda-Runtime-Deadline-Ms": str(invocation.deadline_ms),
        "Lambda-Runtime-Invoked-Function-Arn": invocation.invoked_function_arn,
        "Lambda-Runtime-Trace-Id": invocation.trace_id,
        "Lambda-Runtime-Client-Context": invocation.client_context,
        "Lambda-Runtime-Cognito-Identity": invocation.cognito_identity,
        "Lambda-Runtime-Aws-Tenant-Id": invocation.tenant_id,
    }
    return {name: value for name, value in headers.items() if value}


async def _stream(request: Request, call: Call) -> Refusal | None:
    """Let the front door read the upload; returns when that is over."""
    stream = Stream(request)
    call.reply.settle(stream)
    # A front door may still be reading what a client that is gone has left.
    await asyncio.wait((stream.ended, request.gone), return_when=asyncio.FIRST_COMPLETED)
    if stream.failure is not None and stream.failure.error_type == RESPONSE_TOO_LARGE:
        return TOO_LARGE
    if not request.body.ended:
        # A timeout: the environment is about to end, and nothing of it is told anything.
        await request.gone
    return TRUNCATED if request.body.truncated else None


async def _buffer(request: Request, call: Call) -> Refusal | None:
    """Collect a payload, up to the limit."""
    try:
        payload = await _whole_body(request, limit=BUFFERED_RESPONSE_LIMIT)
    except BodyTruncatedError:
        call.reply.settle(truncated())
        return TRUNCATED
    if payload is None:
        call.reply.settle(too_large())
        return TOO_LARGE
    call.reply.settle(Payload(payload))
    return None


async def _whole_body(request: Request, limit: int = _ERROR_LIMIT) -> bytes | None:
    """The body; None if it is over the limit. Raises BodyTruncatedError."""
    pieces = []
    size = 0
    while piece := await request.body.read():
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            return None
    return b"".join(pieces)


async def _reported_failure(request: Request) -> Failure:
    """The failure that an ``/error`` call reports. Raises BodyTruncatedError."""
    named = request.headers.get("lambda-runtime-function-error-type", "")
    body = await _whole_body(request)
    return Failure(named if _ERROR_TYPE.search(named) else UNKNOWN_ERROR, body or b"")


def _accept(request: Request) -> None:
    request.respond(202, b'{"status":"OK"}\n', _JSON)


def _refuse(request: Request, refusal: Refusal) -> None:
    status, error_type, message = refusal
    request.respond(status, orjson.dumps({"errorMessage": message, "errorType": error_type}), _JSON)
