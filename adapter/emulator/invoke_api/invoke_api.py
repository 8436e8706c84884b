"""Lambda's Invoke APIs, as SDKs and the AWS CLI use them: ``Invoke`` and ``InvokeWithResponseStream``.

``Invoke`` answers with the whole payload. The response of a streaming function is collected and sent as the function
wrote it, its metadata prelude included, as Lambda's console shows it [unsure: seen in screenshots only].
``InvokeWithResponseStream`` sends a ``PayloadChunk`` for each piece, as it arrives and at the pace of the bandwidth
cap, and ``InvokeComplete`` at the end, also after a failure.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import orjson
import pybase64

from adapter.emulator.environment.invocation import LocalInvocation
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
from adapter.emulator.requests.client_request import ClientRequest
from adapter.net.paced_writer import PacedWriter
from adapter.net.server import BodyTruncatedError

if TYPE_CHECKING:
    from adapter.emulator.front_doors.door_settings import UrlSettings
    from adapter.emulator.invoke_api.async_queue import AsyncQueue
    from adapter.emulator.requests.pipeline import InvocationPipeline
    from adapter.emulator.requests.request_record import RequestRecord
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

_PATH = re.compile(
    r"/(?:2015-03-31/functions/(?P<invoke>[^/?]+)/invocations"
    r"|2021-11-15/functions/(?P<stream>[^/?]+)/response-streaming-invocations)(?:\?.*)?"
)
_JSON: Headers = [("content-type", "application/json")]
_CHUNK = {":message-type": "event", ":event-type": "PayloadChunk", ":content-type": "application/octet-stream"}
_COMPLETE = {":message-type": "event", ":event-type": "InvokeComplete", ":content-type": "application/json"}
# The largest piece of a payload in one message, in bytes. Clients accept far more.
_MAX_CHUNK = 1024 * 1024


@dataclass(slots=True)
class InvokeApi:
    """Serves both APIs for the function behind ``pipeline``; ``report`` gets the record of each request at its end."""

    pipeline: InvocationPipeline
    queue: AsyncQueue
    settings: UrlSettings
    report: Callable[[RequestRecord], None]
    region: str

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        client = ClientRequest(exchange, id_headers=("x-amzn-RequestId",))
        await InvokeHandler(client, self).serve()
        self.report(client.record)


class InvokeHandler:
    """Handles the request of one client to ``api``."""

    def __init__(self, client: ClientRequest, api: InvokeApi) -> None:
        self._client = client
        self._record = client.record
        self._api = api

    async def serve(self) -> None:
        """Invoke the function, or refuse to, and answer."""
        record = self._record
        try:
            await self._invoke()
        except RefusedInvokeError as refusal:
            record.error_type, record.error_message = refusal.error_type, str(refusal)
            record.refused = refusal.status < 500
            headers = [*_JSON, ("x-amzn-ErrorType", refusal.error_type)]
            await self._client.respond(refusal.status, headers, _error_body(refusal))
        except BodyTruncatedError:
            record.add_truncated_request()

    async def _invoke(self) -> None:
        """Invoke the function as the request asks. Raises RefusedInvokeError and BodyTruncatedError."""
        api, exchange, record = self._api, self._client.exchange, self._record
        path = _PATH.fullmatch(exchange.target)
        if path is None or exchange.method != "POST":
            operation = f"{exchange.method} {exchange.target}"
            message = f"{operation}: the local Lambda has only Invoke and InvokeWithResponseStream"
            raise RefusedInvokeError(404, "UnknownOperationException", message)
        streams = path["stream"] is not None
        request = await read_invoke(
            exchange,
            path["stream"] or path["invoke"],
            ("RequestResponse", "DryRun") if streams else ("Event", "RequestResponse", "DryRun"),
            only=api.settings.function_name,
            region=api.region,
        )
        action = "InvokeWithResponseStream" if streams else "Invoke"
        record.method = action if request.invocation_type == "RequestResponse" else request.invocation_type
        record.target = request.function
        if request.invocation_type == "DryRun":
            await self._client.respond(204, [("X-Amz-Executed-Version", request.executed_version)], b"")
        elif request.invocation_type == "Event":
            api.queue.accept(lambda: self._invocation(request), exchange.headers)
            await self._client.respond(202, [], b"")
        else:
            invocation = self._invocation(request)
            answer = await api.pipeline.invoke(invocation, exchange.headers, source=action, client=self._client)
            await (self._stream if streams else self._respond)(_accepted(answer), invocation, request)
            record.init, record.restore = invocation.init_seconds, invocation.restore_seconds

    def _invocation(self, request: InvokeRequest) -> LocalInvocation:
        return LocalInvocation(
            label=f"{self._record.method} {request.function}",
            event=request.event,
            request_id=self._client.request_id,
            trace_id=self._client.trace_id,
            invoked_function_arn=request.arn,
            client_context=request.client_context,
            tenant_id=request.tenant_id,
        )

    async def _respond(self, answer: Answer, invocation: LocalInvocation, request: InvokeRequest) -> None:
        """Send the whole payload."""
        payload = answer if isinstance(answer, Failure) else await collect(answer)
        headers = [("X-Amz-Executed-Version", request.executed_version), ("x-amzn-Remapped-Content-Length", "0")]
        if isinstance(payload, Failure):
            self._record.add_failure(payload)
            headers.append(("X-Amz-Function-Error", "Unhandled"))
            payload = payload.body
        if request.wants_log:
            headers.append(("X-Amz-Log-Result", await _log_tail(invocation)))
        await self._client.respond(200, _JSON + headers, payload)

    async def _stream(self, answer: Answer, invocation: LocalInvocation, request: InvokeRequest) -> None:
        """Send the payload as an event stream."""
        limit = self._api.settings.stream_limit
        writer = PacedWriter(
            lambda piece: self._client.write(encode(_CHUNK, piece), size=len(piece)),
            bandwidth=self._api.settings.bandwidth,
            clock=asyncio.get_running_loop().time,
            sleep=asyncio.sleep,
            limit=limit,
            piece_limit=_MAX_CHUNK,
        )
        too_large = failure(RESPONSE_TOO_LARGE, f"the streamed response exceeded the limit of {limit} bytes")
        headers = [("content-type", CONTENT_TYPE), ("X-Amz-Executed-Version", request.executed_version)]
        await self._client.begin(200, headers)
        why: Failure | None = None
        if isinstance(answer, Failure):
            why = answer
        elif isinstance(answer, Payload):
            why = None if await writer.send(answer.body) else too_large
        else:
            while piece := await answer.read():
                if not await writer.send(piece):
                    answer.fail(too_large)
            why = answer.failure
        self._record.streamed, self._record.held = writer.sent, writer.held_seconds
        complete: dict[str, str] = {}
        if why is not None:
            self._record.add_failure(why)
            complete = {"ErrorCode": why.error_type, "ErrorDetails": why.body.decode(errors="replace")}
        if request.wants_log:
            complete["LogResult"] = await _log_tail(invocation)
        await self._client.write(encode(_COMPLETE, orjson.dumps(complete)), size=0)
        self._client.end()


def _accepted(answer: Answer) -> Answer:
    """Return ``answer``. Raises RefusedInvokeError if Lambda did not accept the invocation."""
    if isinstance(answer, Failure) and answer.error_type == THROTTLED:
        raise RefusedInvokeError(429, THROTTLED, "Rate Exceeded.", key="message")
    if isinstance(answer, Failure) and answer.error_type == STOPPED:
        raise RefusedInvokeError(500, "ServiceException", answer.message)
    return answer


async def _log_tail(invocation: LocalInvocation) -> str:
    """Return the last 4 KB of the log in base64, once the environment has finished the invocation."""
    await invocation.finished()
    return pybase64.b64encode(bytes(invocation.log)).decode("ascii")


def _error_body(refusal: RefusedInvokeError) -> bytes:
    body = {refusal.key: str(refusal), "Type": "User" if refusal.status < 500 else "Service"}
    if refusal.status == 429:
        body["Reason"] = "ReservedFunctionConcurrentInvocationLimitExceeded"
    return orjson.dumps(body)
