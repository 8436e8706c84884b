"""Lambda's Invoke APIs for SDKs and the AWS CLI: ``Invoke`` and ``InvokeWithResponseStream``.

``Invoke`` answers with the complete payload. It collects a streamed response and sends it unchanged, including the
metadata prelude. (AWS does not document this. In screenshots, Lambda's console shows the prelude.)
``InvokeWithResponseStream`` sends each piece in a ``PayloadChunk`` as soon as the piece has arrived and the bandwidth
cap allows it. After the last piece, ``InvokeComplete`` is always sent, even after a failure.
"""

from __future__ import annotations

import re
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
from adapter.emulator.records.record import RequestRecord
from adapter.emulator.requests import ClientRequest
from adapter.net.paced_writer import PacedWriter
from adapter.net.server import BodyTruncatedError
from adapter.payload.formats.pass_through import APP_STATUS
from adapter.payload.request_target import path_alone

if TYPE_CHECKING:
    from adapter.emulator.front_doors.door_settings import UrlSettings
    from adapter.emulator.invoke_api.async_queue import AsyncQueue
    from adapter.emulator.requests import InvocationPipeline
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

_PATH = re.compile(
    r"/(?:2015-03-31/functions/(?P<invoke>[^/?]+)/invocations"
    r"|2021-11-15/functions/(?P<stream>[^/?]+)/response-streaming-invocations)(?:\?.*)?"
)
_JSON: Headers = [("content-type", "application/json")]
_CHUNK = {":message-type": "event", ":event-type": "PayloadChunk", ":content-type": "application/octet-stream"}
_COMPLETE = {":message-type": "event", ":event-type": "InvokeComplete", ":content-type": "application/json"}
# The maximum number of payload bytes in one message. Clients accept more.
_MAX_CHUNK = 1024 * 1024


@dataclass(slots=True)
class InvokeApi:
    """Serves both Invoke APIs."""

    pipeline: InvocationPipeline
    queue: AsyncQueue
    settings: UrlSettings

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        await self.answer(self.accept(exchange))

    def accept(self, exchange: Exchange) -> ClientRequest:
        """Return a ClientRequest for ``exchange``, with a new record. Pass this ClientRequest to ``answer``."""
        return ClientRequest(exchange, self.pipeline, id_headers=("x-amzn-RequestId",))

    async def answer(self, client: ClientRequest) -> None:
        """Answer ``client``, which ``accept`` has returned."""
        with client:
            record = client.record
            try:
                await self._invoke(client)
            except RefusedInvokeError as refusal:
                record.error_type, record.error_message = refusal.error_type, refusal.rule
                record.refused = refusal.status < 500
                headers = [*_JSON, ("x-amzn-ErrorType", refusal.error_type)]
                await client.respond(refusal.status, headers, _error_body(refusal))
            except BodyTruncatedError:
                record.add_truncated_request()

    async def _invoke(self, client: ClientRequest) -> None:
        """Read the request, invoke the function or queue the event, and send the answer.

        Raises RefusedInvokeError if the request is refused, and BodyTruncatedError if the client disconnects before the
        body of the request is complete.
        """
        exchange, record = client.exchange, client.record
        path = _PATH.fullmatch(exchange.target)
        if path is None or exchange.method != "POST":
            operation = f"{exchange.method} {path_alone(exchange.target)}"
            rule = "the local Lambda supports only Invoke and InvokeWithResponseStream"
            raise RefusedInvokeError(404, "UnknownOperationException", f"{operation}: {rule}", rule=rule)
        streams = path["stream"] is not None
        request = await read_invoke(
            exchange,
            path["stream"] or path["invoke"],
            ("RequestResponse", "DryRun") if streams else ("Event", "RequestResponse", "DryRun"),
            only=self.settings.config.dev_function_name,
            region=self.settings.config.region,
        )
        action = "InvokeWithResponseStream" if streams else "Invoke"
        record.method = action if request.invocation_type == "RequestResponse" else request.invocation_type
        record.target = request.function
        if request.invocation_type == "DryRun":
            await client.respond(204, [("X-Amz-Executed-Version", request.executed_version)], b"")
        elif request.invocation_type == "Event":
            self.queue.accept(lambda: _invocation(client, request, _attempt(client, request)), exchange.headers)
            await client.respond(202, [], b"")
        else:
            invocation = _invocation(client, request, record, is_streaming=streams)
            answer = await self.pipeline.invoke(invocation, exchange.headers, source=action, client=client)
            await (self._stream if streams else self._respond)(client, request, invocation, _accepted(answer))

    async def _respond(
        self, client: ClientRequest, request: InvokeRequest, invocation: LocalInvocation, answer: Answer
    ) -> None:
        """Wait for the complete payload and send it."""
        payload = answer if isinstance(answer, Failure) else await collect(answer)
        headers = [("X-Amz-Executed-Version", request.executed_version), ("x-amzn-Remapped-Content-Length", "0")]
        headers += _app_status(invocation)
        if isinstance(payload, Failure):
            client.record.add_failure(payload)
            headers.append(("X-Amz-Function-Error", "Unhandled"))
            payload = payload.body
        if request.wants_log:
            headers.append(("X-Amz-Log-Result", await _log_tail(invocation)))
        await client.respond(200, _JSON + headers, payload)

    async def _stream(
        self, client: ClientRequest, request: InvokeRequest, invocation: LocalInvocation, answer: Answer
    ) -> None:
        """Send the payload as an event stream, and ``InvokeComplete`` after it."""
        limit = self.settings.stream_limit
        writer = PacedWriter(
            lambda piece: client.write(encode(_CHUNK, piece), payload=piece),
            bandwidth=self.settings.bandwidth,
            sleep=client.record.hold,
            limit=limit,
            piece_limit=_MAX_CHUNK,
        )
        too_large = failure(RESPONSE_TOO_LARGE, f"the streamed response exceeded the limit of {limit} bytes")
        headers = [("content-type", CONTENT_TYPE), ("X-Amz-Executed-Version", request.executed_version)]
        headers += _app_status(invocation)
        await client.begin(200, headers)
        assert not isinstance(answer, Payload), "the answer to a streaming invocation must be a stream or a failure"
        if isinstance(answer, Failure):
            why: Failure | None = answer
        else:
            while piece := await answer.read():
                if not await writer.send(piece):
                    answer.fail(too_large)
            why = answer.failure
        client.record.streamed = writer.sent
        complete: dict[str, str] = {}
        if why is not None:
            client.record.add_failure(why)
            complete = {"ErrorCode": why.error_type, "ErrorDetails": why.body.decode(errors="replace")}
        if request.wants_log:
            complete["LogResult"] = await _log_tail(invocation)
        await client.write(encode(_COMPLETE, orjson.dumps(complete)), payload=b"")
        client.end()


def _attempt(client: ClientRequest, request: InvokeRequest) -> RequestRecord:
    """Return the record of an attempt to process an asynchronous event."""
    return RequestRecord(
        method="",
        target=f"{client.record.method} {request.function}, answered",
        # The status with which the API accepted the event.
        status=202,
        request_id=client.request_id,
        trace_id=client.trace_id,
        client=client.record.client,
    )


def _invocation(
    client: ClientRequest, request: InvokeRequest, record: RequestRecord, *, is_streaming: bool = False
) -> LocalInvocation:
    return LocalInvocation(
        label=f"{client.record.method} {request.function}",
        event=request.event,
        request_id=client.request_id,
        trace_id=client.trace_id,
        invoked_function_arn=request.arn,
        client_context=request.client_context,
        tenant_id=request.tenant_id,
        is_streaming=is_streaming,
        record=record,
    )


def _app_status(invocation: LocalInvocation) -> Headers:
    """Return the header with the app's status and path, for ``adapter invoke``. Empty if the status is not known."""
    record = invocation.record
    return [(APP_STATUS, f"{record.app_status} {record.app_path}")] if record.app_status else []


def _accepted(answer: Answer) -> Answer:
    """Return ``answer``. Raises RefusedInvokeError if the invocation was throttled or the emulator was stopped."""
    if isinstance(answer, Failure) and answer.error_type == THROTTLED:
        raise RefusedInvokeError(429, THROTTLED, "Rate Exceeded.", key="message")
    if isinstance(answer, Failure) and answer.error_type == STOPPED:
        raise RefusedInvokeError(500, "ServiceException", answer.message)
    return answer


async def _log_tail(invocation: LocalInvocation) -> str:
    """Wait until ``invocation`` is finished. Return the last 4 KB of the invocation's log in base64."""
    await invocation.finished()
    return pybase64.b64encode(bytes(invocation.log)).decode("ascii")


def _error_body(refusal: RefusedInvokeError) -> bytes:
    body = {refusal.key: str(refusal), "Type": "User" if refusal.status < 500 else "Service"}
    if refusal.status == 429:
        body["Reason"] = "ReservedFunctionConcurrentInvocationLimitExceeded"
    return orjson.dumps(body)
