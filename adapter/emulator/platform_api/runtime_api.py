"""Lambda's Runtime API (2018-06-01): its paths, bodies and answers, which are those of the official emulator.

What a call may do is the environment's to say.
"""

from __future__ import annotations

import asyncio
import re
from typing import TYPE_CHECKING

from adapter.emulator.environment.lifecycle import Event, Phase, Step
from adapter.emulator.environment.result import (
    INVALID_MODE,
    RESPONSE_TOO_LARGE,
    UNKNOWN_ERROR,
    Failure,
    Payload,
    Stream,
    failure,
    too_large,
    truncated,
)
from adapter.emulator.platform_api.answers import (
    JSON,
    TEXT,
    TOO_LARGE,
    TRUNCATED,
    Refusal,
    Resources,
    accept,
    refuse,
    whole_body,
)
from adapter.net.server import BodyTruncatedError
from adapter.payload.headers import first

if TYPE_CHECKING:
    from adapter.emulator.environment.environment import Environment
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.net.server import Exchange
    from adapter.payload.messages import Invocation

# The types that the sandbox passes on; it rewrites all others (the official emulator's source, fatalerror).
_ERROR_TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")

_RUNTIME = "/2018-06-01/runtime"
INVOCATION = f"{_RUNTIME}/invocation/"

UNKNOWN_REQUEST_ID: Refusal = (400, "InvalidRequestID", "Invalid request ID")
UNKNOWN_MODE: Refusal = (400, "InvalidFunctionResponseMode", "Invalid function response mode")

# The names of the runtime's states in refusals (the official emulator's source, core/runtime_state_names).
_STATES = {
    Phase.INIT: "Started",
    Phase.SNAPSHOT: "RestoreReady",
    Phase.RESTORING: "Restoring",
    Phase.SERVING: "Running",
    Phase.SHUTDOWN: "InitError",
}


class RuntimeApi:
    """Serves the runtime of one environment."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.resources: Resources = {
            "/2018-06-01/ping": {"GET": self._ping},
            f"{_RUNTIME}/init/error": {"POST": self._init_error},
            f"{_RUNTIME}/invocation/next": {"GET": self._next},
            f"{INVOCATION}*/response": {"POST": self._response},
            f"{INVOCATION}*/error": {"POST": self._error},
            f"{_RUNTIME}/restore/next": {"GET": self._restore_next},
            f"{_RUNTIME}/restore/error": {"POST": self._restore_error},
        }

    async def _ping(self, exchange: Exchange) -> None:
        exchange.respond(200, [TEXT], b"pong")

    async def _next(self, exchange: Exchange) -> None:
        if self._environment.lifecycle.phase is Phase.SHUTDOWN:
            # The process has been told to end; a refusal would only make it complain.
            await asyncio.shield(exchange.disconnected)
            return
        coming = self._environment.next()
        if coming is None:
            refuse(exchange, self._wrong_state("Ready"))
            return
        invocation = await self._invocation(coming, exchange.disconnected)
        if invocation is not None:
            exchange.respond(200, [JSON, *_invocation_headers(invocation)], invocation.event)

    async def _invocation(
        self, coming: asyncio.Future[Invocation | None], disconnected: asyncio.Future[None]
    ) -> Invocation | None:
        """Wait for an invocation; None where the runtime has hung up."""

        def lose(_: asyncio.Future[None] | None = None) -> None:
            self._environment.lost(coming)

        if coming.done():
            return coming.result()
        disconnected.add_done_callback(lose)
        try:
            return await coming
        finally:
            disconnected.remove_done_callback(lose)
            lose()

    async def _init_error(self, exchange: Exchange) -> None:
        await self._fail(exchange, Event.INIT_ERROR, "InitError")

    async def _restore_error(self, exchange: Exchange) -> None:
        await self._fail(exchange, Event.RESTORE_ERROR, "RuntimeRestoreErrorState")

    async def _fail(self, exchange: Exchange, event: Event, goal: str) -> None:
        why = await _reported_failure(exchange)
        refusal = self._wrong_state(goal)
        if self._environment.failed(event, why):
            accept(exchange)
        else:
            refuse(exchange, refusal)

    async def _restore_next(self, exchange: Exchange) -> None:
        restored = self._environment.restore_next()
        if restored is None:
            refuse(exchange, self._wrong_state("Ready"))
            return
        await asyncio.wait((restored, exchange.disconnected), return_when=asyncio.FIRST_COMPLETED)
        if restored.done():
            exchange.respond(200, [JSON], b"")

    async def _response(self, exchange: Exchange) -> None:
        request_id = _request_id(exchange)
        call = self._environment.call(request_id)
        mode = first(exchange.headers, "lambda-runtime-function-response-mode")
        if call is None:
            self._dismiss(exchange)
        elif not self._environment.step(request_id, Step.RESPONSE):
            refuse(exchange, self._wrong_state("InvocationResponse"))
        else:
            refusal = await _taken(exchange, call, mode)
            # First the state, then the answer: the runtime asks for the next invocation as soon as it has that.
            self._environment.step(request_id, Step.RESPONSE_ENDED)
            if refusal is None:
                accept(exchange)
            else:
                refuse(exchange, refusal)

    async def _error(self, exchange: Exchange) -> None:
        request_id = _request_id(exchange)
        call = self._environment.call(request_id)
        if call is None:
            self._dismiss(exchange)
            return
        why = await _reported_failure(exchange)
        if self._environment.step(request_id, Step.ERROR, why):
            accept(exchange)
        else:
            refuse(exchange, self._wrong_state("InvocationErrorResponse"))

    def _dismiss(self, exchange: Exchange) -> None:
        """Answer whoever is done with an invocation that is not here."""
        if self._environment.lifecycle.phase is Phase.SHUTDOWN:
            # Its time was up, which its caller has been told; a refusal would read like a second failure.
            accept(exchange)
        else:
            refuse(exchange, UNKNOWN_REQUEST_ID)

    def _wrong_state(self, goal: str) -> Refusal:
        state = _STATES[self._environment.lifecycle.phase]
        message = f"State transition from {state} to {goal} failed for runtime. Error: State transition is not allowed"
        return 403, "InvalidStateTransition", message


def _request_id(exchange: Exchange) -> str:
    return exchange.target.removeprefix(INVOCATION).partition("/")[0]


def _invocation_headers(invocation: Invocation) -> list[tuple[str, str]]:
    """What Lambda says about an invocation; what it has nothing to say about is left out."""
    headers = [
        ("Lambda-Runtime-Aws-Request-Id", invocation.request_id),
        ("Lambda-Runtime-Deadline-Ms", str(invocation.deadline_ms)),
        ("Lambda-Runtime-Invoked-Function-Arn", invocation.invoked_function_arn),
        ("Lambda-Runtime-Trace-Id", invocation.trace_id),
        ("Lambda-Runtime-Client-Context", invocation.client_context),
        ("Lambda-Runtime-Cognito-Identity", invocation.cognito_identity),
        ("Lambda-Runtime-Aws-Tenant-Id", invocation.tenant_id),
    ]
    return [(name, value) for name, value in headers if value]


async def _taken(exchange: Exchange, call: LocalInvocation, mode: str) -> Refusal | None:
    """Take a response; None, or what is wrong with it."""
    if mode == "streaming":
        return await _stream(exchange, call)
    if mode:
        call.reply.settle(failure(INVALID_MODE, f"Lambda-Runtime-Function-Response-Mode is {mode!r}"))
        return UNKNOWN_MODE
    return await _buffer(exchange, call)


async def _stream(exchange: Exchange, call: LocalInvocation) -> Refusal | None:
    """Let the front door read the upload; returns when that is over."""
    exchange.send_continue()
    stream = Stream(exchange)
    call.reply.settle(stream)
    # A front door may still be reading what a client that is gone has left.
    await asyncio.wait((stream.ended, exchange.disconnected), return_when=asyncio.FIRST_COMPLETED)
    if stream.failure is not None and stream.failure.error_type == RESPONSE_TOO_LARGE:
        status, error_type, message = TOO_LARGE
        return status, error_type, stream.failure.message or message
    if not exchange.body.ended:
        # A timeout: the environment is about to end, and nothing of it is told anything.
        await asyncio.shield(exchange.disconnected)
    return TRUNCATED if exchange.body.truncated else None


async def _buffer(exchange: Exchange, call: LocalInvocation) -> Refusal | None:
    """Collect a payload, up to the limit."""
    try:
        payload = await whole_body(exchange)
    except BodyTruncatedError:
        call.reply.settle(truncated())
        return TRUNCATED
    if payload is None:
        call.reply.settle(too_large())
        return TOO_LARGE
    call.reply.settle(Payload(payload))
    return None


async def _reported_failure(exchange: Exchange) -> Failure:
    """The failure that an error call reports. Raises BodyTruncatedError."""
    named = first(exchange.headers, "lambda-runtime-function-error-type")
    body = await whole_body(exchange)
    return Failure(named if _ERROR_TYPE.search(named) else UNKNOWN_ERROR, body or b"")
