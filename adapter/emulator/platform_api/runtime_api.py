"""Lambda's Runtime API (2018-06-01): paths, bodies and responses. They are the same as the official emulator's.

``ApiState`` decides which requests are legal.
"""

from __future__ import annotations

import asyncio
import re
from functools import partial
from typing import TYPE_CHECKING

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.emulator.environment.result import (
    INVALID_MODE,
    RESPONSE_MODE,
    RESPONSE_TOO_LARGE,
    UNKNOWN_ERROR,
    Failure,
    Payload,
    Stream,
    failure,
    reported_in_trailers,
    too_large,
    truncated,
)
from adapter.emulator.environment.state_tables import InvocationEvent, RuntimeEvent, RuntimeState
from adapter.emulator.platform_api.api_server import (
    INVOCATION_PATH,
    JSON,
    TEXT,
    TOO_LARGE,
    TRUNCATED,
    Refusal,
    Resources,
    accept,
    refuse,
)
from adapter.net.server import BodyTruncatedError
from adapter.payload.formats.pass_through import APP_STATUS, read_app_status
from adapter.payload.headers import first, first_values

if TYPE_CHECKING:
    from adapter.emulator.environment.api_state import ApiState
    from adapter.emulator.environment.invocation import LocalInvocation
    from adapter.net.server import Exchange

# The form of the error types that Lambda accepts. Lambda replaces all other types with Runtime.Unknown (the official
# emulator's source, fatalerror).
_ERROR_TYPE = re.compile(r"(Runtime|Function)\.[A-Z][a-zA-Z]+")

_RUNTIME = "/2018-06-01/runtime"

UNKNOWN_REQUEST_ID: Refusal = (400, "InvalidRequestID", "Invalid request ID")
UNKNOWN_MODE: Refusal = (400, "InvalidFunctionResponseMode", "Invalid function response mode")


class RuntimeApi:
    """Serves the requests of the runtime of one environment."""

    def __init__(self, state: ApiState) -> None:
        self._state = state
        self.resources: Resources = {
            "/2018-06-01/ping": {"GET": self._ping},
            f"{_RUNTIME}/init/error": {"POST": partial(self._fail, RuntimeEvent.INIT_ERROR, "InitError")},
            f"{_RUNTIME}/invocation/next": {"GET": self._next},
            f"{INVOCATION_PATH}*/response": {"POST": self._response},
            f"{INVOCATION_PATH}*/error": {"POST": self._error},
            f"{_RUNTIME}/restore/next": {"GET": self._restore_next},
            f"{_RUNTIME}/restore/error": {
                "POST": partial(self._fail, RuntimeEvent.RESTORE_ERROR, "RuntimeRestoreErrorState")
            },
        }

    async def _ping(self, exchange: Exchange) -> None:
        exchange.respond(200, [TEXT], b"pong")

    async def _next(self, exchange: Exchange) -> None:
        if self._state.runtime is RuntimeState.SHUTDOWN:
            # Leave the request unanswered: the process is about to end, and would log an error about a refusal.
            await asyncio.shield(exchange.disconnected)
            return
        poll = self._state.next()
        if poll is None:
            self._refuse_in_this_state(exchange, "Ready")
            return
        invocation = await self._invocation(poll, exchange.disconnected)
        if invocation is not None:
            exchange.respond(200, [JSON, *_invocation_headers(invocation)], invocation.event)

    async def _invocation(
        self, poll: asyncio.Future[LocalInvocation | None], disconnected: asyncio.Future[None]
    ) -> LocalInvocation | None:
        """Wait for an invocation and return it; return None if the runtime closes its connection first."""

        def disconnect(_: asyncio.Future[None]) -> None:
            self._state.disconnect(poll)

        if poll.done():
            return poll.result()
        disconnected.add_done_callback(disconnect)
        try:
            return await poll
        except asyncio.CancelledError:
            self._state.disconnect(poll)
            raise
        finally:
            disconnected.remove_done_callback(disconnect)

    async def _fail(self, event: RuntimeEvent, goal: str, exchange: Exchange) -> None:
        if self._state.fail(event, await _reported_failure(exchange)):
            accept(exchange)
        else:
            self._refuse_in_this_state(exchange, goal)

    async def _restore_next(self, exchange: Exchange) -> None:
        restored = self._state.restore_next()
        if restored is None:
            self._refuse_in_this_state(exchange, "Ready")
            return
        await asyncio.wait((restored, exchange.disconnected), return_when=asyncio.FIRST_COMPLETED)
        if restored.done():
            exchange.respond(200, [JSON], b"")

    async def _response(self, exchange: Exchange) -> None:
        invocation = self._state.find(_request_id(exchange))
        if invocation is None:
            self._dismiss(exchange)
        elif not self._state.may_report(invocation, InvocationEvent.RESPONSE):
            self._refuse_in_this_state(exchange, "InvocationResponse")
        else:
            self._state.advance_invocation(invocation, InvocationEvent.RESPONSE)
            refusal = await _receive(exchange, invocation)
            # Do this before the response is sent: a runtime that has the response asks for the next invocation.
            self._state.advance_invocation(invocation, InvocationEvent.RESPONSE_ENDED)
            if refusal is None:
                accept(exchange)
            else:
                refuse(exchange, refusal)

    async def _error(self, exchange: Exchange) -> None:
        invocation = self._state.find(_request_id(exchange))
        if invocation is None:
            self._dismiss(exchange)
            return
        why = await _reported_failure(exchange)
        if self._state.may_report(invocation, InvocationEvent.ERROR):
            invocation.reply.settle(why)
            self._state.advance_invocation(invocation, InvocationEvent.ERROR)
            accept(exchange)
        else:
            self._refuse_in_this_state(exchange, "InvocationErrorResponse")

    def _dismiss(self, exchange: Exchange) -> None:
        """Refuse a response or an error for an unknown request id. During the shutdown, accept it."""
        if self._state.runtime is RuntimeState.SHUTDOWN:
            # The invocation has already failed, usually by a timeout. If this request were refused, the runtime would
            # log a second failure.
            accept(exchange)
        else:
            refuse(exchange, UNKNOWN_REQUEST_ID)

    def _refuse_in_this_state(self, exchange: Exchange, goal: str) -> None:
        state = self._state.runtime.value
        message = f"State transition from {state} to {goal} failed for runtime. Error: State transition is not allowed"
        refuse(exchange, (403, "InvalidStateTransition", message))


def _request_id(exchange: Exchange) -> str:
    return exchange.target.removeprefix(INVOCATION_PATH).partition("/")[0]


def _invocation_headers(invocation: LocalInvocation) -> list[tuple[str, str]]:
    """Return the headers that describe an invocation, except those with an empty value."""
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


async def _receive(exchange: Exchange, invocation: LocalInvocation) -> Refusal | None:
    """Receive a response and settle the invocation's reply. Return a refusal, or None if the response is accepted."""
    fields = first_values(exchange.headers)
    if app_status := fields.get(APP_STATUS.lower()):
        invocation.record.app_status, invocation.record.app_path = read_app_status(app_status)
    mode = fields.get(RESPONSE_MODE, "")
    content_type = fields.get("content-type", "")
    if mode not in ("", "streaming"):
        message = "Lambda-Runtime-Function-Response-Mode has a value other than streaming"
        invocation.reply.settle(failure(INVALID_MODE, message))
        return UNKNOWN_MODE
    # A runtime may also stream the response of a buffered invocation. The front door then collects the stream, and
    # reports that the modes differ.
    if mode or invocation.is_streaming:
        return await _receive_stream(exchange, invocation, Stream(exchange, content_type, is_announced=bool(mode)))
    return await _receive_payload(exchange, invocation, content_type)


async def _receive_stream(exchange: Exchange, invocation: LocalInvocation, stream: Stream) -> Refusal | None:
    """Hand ``stream``, which is the runtime's upload, to the front door. Wait until the stream ends.

    Return a refusal, or None if the upload is accepted.
    """
    exchange.send_continue()
    invocation.reply.settle(stream)
    # The runtime may close the connection before the front door has read the whole stream.
    await asyncio.wait((stream.ended, exchange.disconnected), return_when=asyncio.FIRST_COMPLETED)
    if stream.failure is not None and stream.failure.error_type == RESPONSE_TOO_LARGE:
        status, error_type, message = TOO_LARGE
        return status, error_type, stream.failure.message or message
    if not exchange.body.ended:
        # The stream was ended early, usually by a timeout. The environment ends too, so its runtime receives no
        # response.
        await asyncio.shield(exchange.disconnected)
    return TRUNCATED if exchange.body.truncated else None


async def _receive_payload(exchange: Exchange, invocation: LocalInvocation, content_type: str) -> Refusal | None:
    try:
        payload = await exchange.read_body(BUFFERED_RESPONSE_LIMIT)
    except BodyTruncatedError:
        invocation.reply.settle(truncated())
        return TRUNCATED
    if payload is None:
        invocation.reply.settle(too_large())
        return TOO_LARGE
    reported = reported_in_trailers(exchange)
    invocation.reply.settle(reported or Payload(payload, content_type))
    return None


async def _reported_failure(exchange: Exchange) -> Failure:
    """Read and return the failure that the runtime reports. Raises BodyTruncatedError if the body is incomplete."""
    error_type = first(exchange.headers, "lambda-runtime-function-error-type")
    body = await exchange.read_body(BUFFERED_RESPONSE_LIMIT)
    return Failure(error_type if _ERROR_TYPE.search(error_type) else UNKNOWN_ERROR, body or b"")
