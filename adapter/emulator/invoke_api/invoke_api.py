"""Lambda's Invoke APIs, as SDKs and the AWS CLI speak them: ``Invoke`` and ``InvokeWithResponseStream``.

``Invoke`` answers with the whole payload. A streaming function's is collected and comes as the function wrote it, its
metadata prelude included, which is how Lambda's console shows it [unsure: seen in screenshots only].
``InvokeWithResponseStream`` sends a ``PayloadChunk`` for each piece, as it arrives and at the pace of the bandwidth
cap, and ``InvokeComplete`` last, whatever happened.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import orjson
import pybase64

from adapter.emulator.environment.invocation import LocalInvocation, new_request_id, new_trace_id
from adapter.emulator.environment.result import (
    RESPONSE_TOO_LARGE,
    STOPPED,
    THROTTLED,
    Answer,
    Failure,
    Payload,
    collect,
    failure,
)
from adapter.emulator.invoke_api.event_stream import CONTENT_TYPE, encode
from adapter.emulator.invoke_api.invoke_request import InvokeRequest, RefusedInvokeError, read_invoke
from adapter.emulator.requests.client_response import ClientSide
from adapter.emulator.requests.request_record import RequestRecord
from adapter.net.paced_writer import PacedWriter
from adapter.net.server import BodyTruncatedError
from adapter.payload.request_target import path_alone

if TYPE_CHECKING:
    from adapter.emulator.front_doors.settings import UrlSettings
    from adapter.emulator.invoke_api.async_queue import AsyncInvocations
    from adapter.emulator.requests.pipeline import InvocationPipeline, PendingInvocation
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

_PATH = re.compile(
    r"/(?:2015-03-31/functions/(?P<invoke>[^/?]+)/invocations"
    r"|2021-11-15/functions/(?P<stream>[^/?]+)/response-streaming-invocations)(?:\?.*)?"
)
_JSON: Headers = [("content-type", "application/json")]
_CHUNK = {":message-type": "event", ":event-type": "PayloadChunk", ":content-type": "application/octet-stream"}
_COMPLETE = {":message-type": "event", ":event-type": "InvokeComplete", ":content-type": "application/json"}
# The largest piece of a payload in one message, in bytes, far below what clients take.
_MAX_CHUNK = 1024 * 1024


class InvokeApi:
    """Serves both APIs for the function behind ``entrance``; ``report`` is given every visit that is over."""

    def __init__(
        self,
        entrance: InvocationPipeline,
        background: AsyncInvocations,
        settings: UrlSettings,
        report: Callable[[RequestRecord], None],
        *,
        region: str,
    ) -> None:
        self._entrance = entrance
        self._background = background
        self._settings = settings
        self._report = report
        self._region = region

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        request_id, trace_id = new_request_id(), new_trace_id(time.time())
        visit = RequestRecord(method=exchange.method, target=path_alone(exchange.target), request_id=request_id)
        request_id_headers = [("x-amzn-RequestId", request_id), ("X-Amzn-Trace-Id", trace_id)]
        client = ClientSide(exchange, visit, time.monotonic, request_id_headers)
        try:
            await self._act(exchange, _Visitor(client, visit, request_id, trace_id))
        except RefusedInvokeError as refusal:
            visit.error_type, visit.error_message = refusal.error_type, str(refusal)
            visit.refused = refusal.status < 500
            headers = [*_JSON, ("x-amzn-ErrorType", refusal.error_type)]
            await client.respond(refusal.status, headers, _error_body(refusal))
        except BodyTruncatedError:
            visit.error_type = "no invocation, the request broke off"
            visit.client_left = True
        self._report(visit)

    async def _act(self, exchange: Exchange, visitor: _Visitor) -> None:
        found = _PATH.fullmatch(exchange.target)
        if found is None or exchange.method != "POST":
            action = f"{exchange.method} {exchange.target}"
            raise RefusedInvokeError(404, "UnknownOperationException", f"{action}: only functions are invoked here")
        streams = found["stream"] is not None
        types = ("RequestResponse", "DryRun") if streams else ("Event", "RequestResponse", "DryRun")
        asked = await read_invoke(
            exchange,
            found["stream"] or found["invoke"],
            types,
            only=self._settings.function_name,
            region=self._region,
        )
        action = "InvokeWithResponseStream" if streams else "Invoke"
        visitor.visit.method = action if asked.invocation_type == "RequestResponse" else asked.invocation_type
        visitor.visit.target = asked.function
        version = [("X-Amz-Executed-Version", asked.executed_version)]
        if asked.invocation_type == "DryRun":
            await visitor.client.respond(204, version, b"")
        elif asked.invocation_type == "Event":
            self._background.accept(lambda: visitor.call(asked), exchange.headers)
            await visitor.client.respond(202, [], b"")
        else:
            call = visitor.call(asked)
            admitted = self._entrance.admit(call, exchange.headers, source=action)
            visitor.client.drop_after = admitted.drop_after
            answer = await _accepted(admitted)
            if streams:
                await self._stream(answer, call, asked, visitor)
            else:
                await _whole(answer, call, asked, visitor)
            visitor.visit.init, visitor.visit.restore = call.init_seconds, call.restore_seconds

    async def _stream(self, answer: Answer, call: LocalInvocation, asked: InvokeRequest, visitor: _Visitor) -> None:
        client, visit = visitor.client, visitor.visit
        limit = self._settings.stream_limit
        writer = PacedWriter(
            lambda piece: client.write(encode(_CHUNK, piece), size=len(piece)),
            bandwidth=self._settings.bandwidth,
            clock=asyncio.get_running_loop().time,
            sleep=asyncio.sleep,
            limit=limit,
            piece_limit=_MAX_CHUNK,
        )
        too_long = failure(RESPONSE_TOO_LARGE, f"the streamed response exceeded the limit of {limit} bytes")
        headers = [("content-type", CONTENT_TYPE), ("X-Amz-Executed-Version", asked.executed_version)]
        await client.begin(200, headers)
        why: Failure | None = None
        if isinstance(answer, Failure):
            why = answer
        elif isinstance(answer, Payload):
            why = None if await writer.send(answer.body) else too_long
        else:
            while piece := await answer.read():
                if not await writer.send(piece):
                    answer.fail(too_long)
            why = answer.failure
        visit.streamed, visit.held = writer.sent, writer.held_seconds
        complete: dict[str, str] = {}
        if why is not None:
            visit.error_type, visit.error_message = why.error_type, why.message
            complete = {"ErrorCode": why.error_type, "ErrorDetails": why.body.decode(errors="replace")}
        if asked.wants_log:
            complete["LogResult"] = await _log_tail(call)
        await client.write(encode(_COMPLETE, orjson.dumps(complete)), size=0)
        await client.end()


class _Visitor:
    """A caller, and what is known of its request before it is read."""

    def __init__(self, client: ClientSide, visit: RequestRecord, request_id: str, trace_id: str) -> None:
        self.client = client
        self.visit = visit
        self._request_id = request_id
        self._trace_id = trace_id

    def call(self, asked: InvokeRequest) -> LocalInvocation:
        """The invocation that is asked for."""
        return LocalInvocation(
            label=f"{self.visit.method} {asked.function}",
            event=asked.event,
            request_id=self._request_id,
            trace_id=self._trace_id,
            invoked_function_arn=asked.arn,
            client_context=asked.client_context,
            tenant_id=asked.tenant_id,
        )


async def _accepted(admitted: PendingInvocation) -> Answer:
    """The answer. Raises RefusedInvokeError where Lambda did not take the invocation."""
    answer = await admitted.answer()
    if isinstance(answer, Failure) and answer.error_type == THROTTLED:
        raise RefusedInvokeError(429, THROTTLED, "Rate Exceeded.", key="message")
    if isinstance(answer, Failure) and answer.error_type == STOPPED:
        raise RefusedInvokeError(500, "ServiceException", answer.message)
    return answer


async def _whole(answer: Answer, call: LocalInvocation, asked: InvokeRequest, visitor: _Visitor) -> None:
    payload = answer if isinstance(answer, Failure) else await collect(answer)
    headers = [("X-Amz-Executed-Version", asked.executed_version), ("x-amzn-Remapped-Content-Length", "0")]
    if isinstance(payload, Failure):
        visitor.visit.error_type, visitor.visit.error_message = payload.error_type, payload.message
        headers.append(("X-Amz-Function-Error", "Unhandled"))
        payload = payload.body
    if asked.wants_log:
        headers.append(("X-Amz-Log-Result", await _log_tail(call)))
    await visitor.client.respond(200, _JSON + headers, payload)


async def _log_tail(call: LocalInvocation) -> str:
    """The last 4 KB of the invocation's log, in base64; it is complete once the environment is done with the call."""
    await call.finished()
    return pybase64.b64encode(bytes(call.log)).decode("ascii")


def _error_body(refusal: RefusedInvokeError) -> bytes:
    body = {refusal.key: str(refusal), "Type": "User" if refusal.status < 500 else "Service"}
    if refusal.status == 429:
        body["Reason"] = "ReservedFunctionConcurrentInvocationLimitExceeded"
    return orjson.dumps(body)
