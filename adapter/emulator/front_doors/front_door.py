"""A front door: any HTTP request in, an invocation, an HTTP response out. Its ``door_rules`` say what is special to it.

A request is served to its end even if its client has left, because Lambda does not tell the function.

If the front door streams, the metadata prelude becomes the head and the pieces of the body are sent as they arrive, at
the pace of the bandwidth cap. If it does not, the whole payload is collected and decoded; a stream that begins with a
prelude is decoded by it [unsure: AWS does not say what a front door that cannot stream does with one].

AWS does not document how a streamed response ends that fails after its head. Here every failure (truncation, timeout,
size, idle timeout, error trailers) closes the connection without a last chunk, so that a client never takes a part for
the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from adapter.emulator.environment.invocation import LocalInvocation
from adapter.emulator.environment.result import (
    RESPONSE_TOO_LARGE,
    THROTTLED,
    Answer,
    Failure,
    Payload,
    Stream,
    collect,
    failure,
)
from adapter.emulator.front_doors.door_rules import DoorRules, Reason
from adapter.emulator.front_doors.request_event import RefusedError, request_event
from adapter.emulator.requests.client_request import ClientRequest, RequestRecord
from adapter.errors import InvalidFunctionResponse
from adapter.net.paced_writer import PacedWriter
from adapter.net.server import BodyTruncatedError
from adapter.payload.function_response import CONTENT_TYPE as WITH_PRELUDE
from adapter.payload.function_response import PreludeDecoder
from adapter.payload.headers import first
from adapter.payload.messages import ResponseHead

if TYPE_CHECKING:
    from adapter.emulator.front_doors.door_settings import DoorSettings
    from adapter.emulator.requests.pipeline import InvocationPipeline
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

# Our own error types: the front door gave up, and the function may go on.
GATEWAY_TIMEOUT = "FrontDoor.ResponseTimeout"
IDLE_TIMEOUT = "FrontDoor.IdleTimeout"

#: Head and body of a whole response.
Response: TypeAlias = tuple[ResponseHead, bytes]

# Failures for which the front door does not blame the function.
_REASONS = {THROTTLED: Reason.THROTTLED, GATEWAY_TIMEOUT: Reason.TIMED_OUT}


@dataclass(slots=True)
class FrontDoor:
    """One front door of the function behind ``pipeline``; ``report`` gets the record of each request at its end."""

    pipeline: InvocationPipeline
    door: DoorSettings
    report: Callable[[RequestRecord], None]

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        rules = self.door.rules
        client = ClientRequest(exchange, door=rules.name, id_headers=rules.request_id_headers)
        try:
            event = await request_event(client, self.door)
        except RefusedError as refusal:
            client.record.error_type, client.record.refused = str(refusal), True
            await client.respond(*rules.error_response(refusal.reason))
        except BodyTruncatedError:
            client.record.add_truncated_request()
        else:
            await self._invoke(client, event)
        self.report(client.record)

    async def _invoke(self, client: ClientRequest, event: bytes) -> None:
        """Invoke the function and send its answer."""
        record, source = client.record, self.door.rules.name
        label = f"{record.method} {record.target}"
        invocation = LocalInvocation(label=label, event=event, request_id=client.request_id, trace_id=client.trace_id)
        pending = self.pipeline.invoke(invocation, client.exchange.headers, source=source, client=client)
        if self.door.streaming:
            await self._stream(client, await pending)
        else:
            await self._send_collected(client, pending)
        record.init, record.restore = invocation.init_seconds, invocation.restore_seconds

    async def _send_collected(self, client: ClientRequest, pending: Coroutine[None, None, Answer]) -> None:
        """Send a whole response, or an error if it is not complete within the front door's timeout.

        Returns when the function has ended its response.
        """
        timeout = self.door.rules.response_timeout
        if timeout is None:
            await self._send_whole(client, await self._collect(client, pending))
            return
        async with asyncio.TaskGroup() as group:
            # The function is not told that the front door gave up, so its response is still collected.
            collecting = group.create_task(self._collect(client, pending))
            await asyncio.wait({collecting}, timeout=timeout)
            if collecting.done():
                await self._send_whole(client, collecting.result())
            else:
                # The request is not over when its response is, so the connection cannot be used for another one.
                client.exchange.keep_alive = False
                message = f"{self.door.rules.title} waits {timeout:g} s for a response; the function goes on"
                await self._fail(client, failure(GATEWAY_TIMEOUT, message))

    async def _collect(self, client: ClientRequest, pending: Coroutine[None, None, Answer]) -> Response | Failure:
        """Wait for the answer; return head and body of the response, or why there is none."""
        answer = await pending
        if isinstance(answer, Failure):
            return answer
        has_prelude = False
        if isinstance(answer, Stream):
            client.record.mismatch = f"the function streams, {self.door.rules.name} does not (--invoke-mode)"
            has_prelude = answer.content_type == WITH_PRELUDE
        payload = await collect(answer, self.door.rules.response_limit)
        if isinstance(payload, Failure):
            return payload
        try:
            head, body = _split(payload) if has_prelude else self.door.rules.codec.decode_response(payload)
            _check_status(head)
        except InvalidFunctionResponse as error:
            return failure(error.name, str(error))
        return head, body

    async def _send_whole(self, client: ClientRequest, response: Response | Failure) -> None:
        if isinstance(response, Failure):
            await self._fail(client, response)
        else:
            head, body = response
            await client.respond(head.status, self._headers(head), body)

    async def _stream(self, client: ClientRequest, answer: Answer) -> None:
        """Send an answer as it arrives."""
        if isinstance(answer, Payload):
            client.record.mismatch = f"the function is buffered, {self.door.rules.name} streams (--invoke-mode)"
        try:
            if isinstance(answer, Failure):
                await self._fail(client, answer)
            elif isinstance(answer, Stream):
                await self._relay(client, answer)
            elif self.door.rules.needs_prelude:
                raise InvalidFunctionResponse("the function's response is not a stream with a metadata prelude")
            else:
                # A function URL that streams sends the payload of a buffered function undecoded.
                await self._send_whole(client, (ResponseHead(status=200, headers=[]), answer.body))
        except InvalidFunctionResponse as error:
            await self._fail(client, failure(error.name, str(error)))
            if isinstance(answer, Stream):
                # The function still sends the rest of the response.
                while await answer.read():
                    pass

    async def _relay(self, client: ClientRequest, stream: Stream) -> None:
        """Send the head and the pieces of a stream."""
        door = self.door
        head, piece = await _read_head(stream, door.rules)
        if head is None:
            assert stream.failure is not None, "a stream without a head has failed"
            await self._fail(client, stream.failure)
            return
        _check_status(head)
        await client.begin(head.status, self._headers(head))
        writer = PacedWriter(
            client.write,
            bandwidth=door.bandwidth,
            clock=asyncio.get_running_loop().time,
            sleep=asyncio.sleep,
            limit=door.stream_limit,
        )
        try:
            while piece or (piece := await self._next_piece(stream)):
                if not await writer.send(piece):
                    message = f"the streamed response exceeded the limit of {door.stream_limit} bytes"
                    stream.fail(failure(RESPONSE_TOO_LARGE, message))
                piece = b""
        except TimeoutError:
            stream.fail(failure(IDLE_TIMEOUT, f"nothing was sent for {door.idle_timeout:g} s"))
        client.record.streamed, client.record.held = writer.sent, writer.held_seconds
        if stream.failure is None:
            client.end()
        else:
            client.record.add_failure(stream.failure)
            client.break_off()

    async def _next_piece(self, stream: Stream) -> bytes:
        async with asyncio.timeout(self.door.idle_timeout):
            return await stream.read()

    def _headers(self, head: ResponseHead) -> Headers:
        """Return the response headers as the front door sends them."""
        headers = [
            (f"x-amzn-Remapped-{name}" if name.lower() in self.door.rules.remapped else name, value)
            for name, value in head.headers
        ]
        if self.door.rules.default_type and not first(headers, "content-type"):
            headers.append(("content-type", self.door.rules.default_type))
        return headers

    async def _fail(self, client: ClientRequest, why: Failure) -> None:
        """Send the error response for a failure that came before the head."""
        client.record.add_failure(why)
        await client.respond(*self.door.rules.error_response(_REASONS.get(why.error_type, Reason.FUNCTION)))


def _split(payload: bytes) -> Response:
    """Return head and body of a collected stream. Raises InvalidFunctionResponse if the prelude is not valid."""
    decoder = PreludeDecoder()
    head, body = decoder.feed(payload)
    if head is None:
        decoder.fail_unfinished()
    return head, body


async def _read_head(stream: Stream, rules: DoorRules) -> tuple[ResponseHead | None, bytes]:
    """Return the head and the bytes of the body that arrived with it; None if the stream failed before.

    If the front door accepts a stream without a prelude, all of that stream is the body. Raises InvalidFunctionResponse
    if the prelude is not valid.
    """
    if stream.content_type != WITH_PRELUDE and not rules.needs_prelude:
        piece = await stream.read()
        if not piece and stream.failure is not None:
            return None, b""
        return ResponseHead(status=200, headers=[("content-type", stream.content_type)]), piece
    decoder = PreludeDecoder()
    received = 0
    while piece := await stream.read():
        received += len(piece)
        head, body = decoder.feed(piece)
        if received - len(body) > rules.prelude_limit:
            raise InvalidFunctionResponse(f"the metadata prelude does not end within {rules.prelude_limit} bytes")
        if head is not None:
            return head, body
    if stream.failure is None:
        decoder.fail_unfinished()
    return None, b""


def _check_status(head: ResponseHead) -> None:
    """Raise InvalidFunctionResponse if the status does not end a response."""
    if head.status < 200:
        raise InvalidFunctionResponse(f"statusCode is {head.status}, which is not the status of a final response")
