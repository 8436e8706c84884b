"""Serves a front door: invokes the function for each HTTP request and sends the function's answer as an HTTP response.

``DoorRules`` contains the differences between front doors. If a client disconnects, its invocation still runs to the
end, because Lambda does not inform the function of the disconnection.

A front door that streams sends the metadata prelude as the response's head. It sends each piece of the body as soon as
the piece arrives and the bandwidth cap allows it. It treats every answer as a stream, even if the runtime does not
announce a stream. So a function URL that streams sends a buffered payload without decoding it.

A front door that does not stream collects the whole payload and decodes it. If the function sends a metadata prelude to
such a front door, the prelude is decoded [unsure: AWS does not document this case].

If a front door decodes the Content-Encoding of a stream, the bandwidth cap and the size limit apply to the encoded
bytes.

AWS does not document how a streamed response ends if it fails after its head has been sent. Here every failure
(truncation, timeout, size limit, idle timeout, error trailers) closes the connection without the final chunk, so that
clients never mistake a partial body for a complete one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
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
from adapter.emulator.requests import ClientRequest
from adapter.errors import InvalidFunctionResponse
from adapter.net.decompression import BodyDecoder, UnknownCodingError, codings_of
from adapter.net.paced_writer import PacedWriter
from adapter.net.server import BodyTruncatedError
from adapter.payload.function_response import CONTENT_TYPE as WITH_PRELUDE
from adapter.payload.function_response import PreludeDecoder
from adapter.payload.headers import first
from adapter.payload.messages import ResponseHead

if TYPE_CHECKING:
    from adapter.emulator.front_doors.door_settings import DoorSettings
    from adapter.emulator.requests import InvocationPipeline
    from adapter.net.server import Exchange
    from adapter.payload.headers import Headers

# The emulator's own error types. Both mean that the front door stopped waiting. The function may still be running.
GATEWAY_TIMEOUT = "FrontDoor.ResponseTimeout"
IDLE_TIMEOUT = "FrontDoor.IdleTimeout"

# The maximum number of paths per front door for which a notice explains WebSockets, and the maximum length of a path in
# the notice, in characters.
_MOST_WEBSOCKET_PATHS, _WEBSOCKET_PATH_LENGTH = 100, 200

#: The head and the body of a complete response.
Response: TypeAlias = tuple[ResponseHead, bytes]
#: A piece of a body.
Piece: TypeAlias = bytes | memoryview

# The failures that are not errors of the function, and the reason to report for each.
_REASONS = {THROTTLED: Reason.THROTTLED, GATEWAY_TIMEOUT: Reason.TIMED_OUT}


@dataclass(slots=True)
class FrontDoor:
    """Serves one front door. ``notice`` shows a line of text to the user."""

    pipeline: InvocationPipeline
    door: DoorSettings
    notice: Callable[[str], None]
    # The paths for which a client asked for a WebSocket. The notice is written once for each path.
    _websocket_paths: set[str] = field(default_factory=set)

    async def serve(self, exchange: Exchange) -> None:
        """Answer one request."""
        await self.answer(self.accept(exchange))

    def accept(self, exchange: Exchange) -> ClientRequest:
        """Return a ClientRequest with a new record for ``exchange``. The caller must pass this object to ``answer``."""
        rules = self.door.rules
        return ClientRequest(exchange, self.pipeline, door=rules.name, id_headers=rules.request_id_headers)

    async def answer(self, client: ClientRequest) -> None:
        """Answer the request of ``client``."""
        with client:
            await self._answer(client)

    async def _answer(self, client: ClientRequest) -> None:
        rules, exchange = self.door.rules, client.exchange
        if "websocket" in exchange.upgrade:
            self._explain_websocket(client.record.target[:_WEBSOCKET_PATH_LENGTH])
        if self.door.cors is not None and (answer := self.door.cors.preflight(exchange.method, exchange.headers)):
            # AWS answers a preflight without checking a signature, because browsers do not sign preflights.
            client.record.answered_by = f"{rules.title} (CORS)"
            await client.respond(*answer)
            return
        try:
            event = await request_event(exchange, self.door, request_id=client.request_id, trace_id=client.trace_id)
        except RefusedError as refusal:
            client.record.error_type, client.record.refused = str(refusal), True
            await client.respond(*(refusal.response or rules.error_response(refusal.reason)))
        except BodyTruncatedError as error:
            if error.refusal is None:
                client.record.add_truncated_request()
            else:
                reason = Reason.HEAD_TOO_LARGE if error.refusal.status == 431 else Reason.BAD_REQUEST
                client.record.error_type, client.record.refused = str(error), True
                await client.respond(*rules.error_response(reason))
        else:
            await self._invoke(client, event)

    def _explain_websocket(self, path: str) -> None:
        """Write a notice that no front door supports WebSockets. Each ``path`` gets at most one notice."""
        if path in self._websocket_paths or len(self._websocket_paths) >= _MOST_WEBSOCKET_PATHS:
            return
        self._websocket_paths.add(path)
        rules = self.door.rules
        outcome = (
            f"{rules.title} answers with 400"
            if rules.refuses_upgrades
            else "adapter dev handles the request as a plain GET, because AWS's own answer is not known"
        )
        self.notice(
            f"{path}: a client wants a WebSocket, but no front door of Lambda can upgrade a connection; {outcome} "
            '(docs/lambda.md, "Traps")'
        )

    async def _invoke(self, client: ClientRequest, event: bytes) -> None:
        """Invoke the function with ``event`` and send its answer to the client."""
        record, source = client.record, self.door.rules.name
        label = f"{record.method} {record.target}"
        invocation = LocalInvocation(
            label=label,
            event=event,
            request_id=client.request_id,
            trace_id=client.trace_id,
            is_streaming=self.door.streaming,
            record=record,
        )
        pending = self.pipeline.invoke(invocation, client.exchange.headers, source=source, client=client)
        if self.door.streaming:
            await self._stream(client, await pending)
        else:
            await self._send_collected(client, pending)

    async def _send_collected(self, client: ClientRequest, pending: Coroutine[None, None, Answer]) -> None:
        """Send the response once it is complete. If that takes longer than the front door's timeout, send an error.

        In both cases, return only when the function has ended its response.
        """
        timeout = self.door.rules.response_timeout
        if timeout is None:
            await self._send_whole(client, await self._collect(client, pending))
            return
        async with asyncio.TaskGroup() as group:
            # After a timeout the function continues, as on Lambda, so its response is still collected.
            collecting = group.create_task(self._collect(client, pending))
            await asyncio.wait({collecting}, timeout=timeout)
            if collecting.done():
                await self._send_whole(client, collecting.result())
            else:
                # This request is still being served after its error response, so the connection cannot serve another.
                client.exchange.keep_alive = False
                message = f"{self.door.rules.title} waits at most {timeout:g} s for a response; the function continues"
                await self._fail(client, failure(GATEWAY_TIMEOUT, message))

    async def _collect(self, client: ClientRequest, pending: Coroutine[None, None, Answer]) -> Response | Failure:
        """Wait for the complete answer. Return the response, or a failure if there is no valid response."""
        answer = await pending
        if isinstance(answer, Failure):
            return answer
        has_prelude = answer.content_type == WITH_PRELUDE
        if isinstance(answer, Stream) or has_prelude:
            client.record.mismatch = True
        rules = self.door.rules
        is_stricter = rules.response_limit < BUFFERED_RESPONSE_LIMIT
        payload = await collect(answer, rules.response_limit, whose=rules.title if is_stricter else "")
        if isinstance(payload, Failure):
            return payload
        try:
            head, body = _split(payload) if has_prelude else self.door.rules.codec.decode_response(payload)
            client.record.add_head(head, len(payload) - len(body) if has_prelude else 0, len(body))
            _check_status(head)
        except InvalidFunctionResponse as error:
            return failure(error.name, str(error))
        return head, body

    async def _send_whole(self, client: ClientRequest, response: Response | Failure) -> None:
        if isinstance(response, Failure):
            await self._fail(client, response)
        else:
            head, body = response
            await client.respond(head.status, self._headers(client, head), body)

    async def _stream(self, client: ClientRequest, answer: Answer) -> None:
        """Send a streamed answer piece by piece. If the answer is a failure or its head is not valid, send an error."""
        assert not isinstance(answer, Payload), "the answer to a streaming invocation must be a stream or a failure"
        if isinstance(answer, Failure):
            await self._fail(client, answer)
            return
        if answer.is_buffered:
            client.record.mismatch = True
        try:
            await self._relay(client, answer)
        except InvalidFunctionResponse as error:
            await self._fail(client, failure(error.name, str(error)))
            await _read_rest(answer)

    async def _relay(self, client: ClientRequest, stream: Stream) -> None:
        """Send the head and the pieces of a stream. Raises InvalidFunctionResponse if the head is not valid."""
        door = self.door
        head, piece = await _read_head(stream, door.rules)
        if head is None:
            assert stream.failure is not None, "a stream that ended without a head must have failed"
            await self._fail(client, stream.failure)
            return
        client.record.add_head(
            ResponseHead(status=head.status, headers=list(head.headers)),
            client.record.curve.arrived - len(piece),
            len(piece),
        )
        _check_status(head)
        decoding = self._decoding_write(client, head) if door.decodes else None
        await client.begin(head.status, self._headers(client, head, is_stream=not stream.is_buffered))
        writer = PacedWriter(
            decoding or client.write,
            bandwidth=door.bandwidth,
            sleep=client.record.hold,
            limit=door.stream_limit,
        )
        why: Failure | None = None
        try:
            while piece or (piece := await self._next_piece(stream)):
                if not await writer.send(piece):
                    message = f"the streamed response exceeded the limit of {door.stream_limit} bytes"
                    stream.fail(failure(RESPONSE_TOO_LARGE, message))
                piece = b""
            if decoding is not None and stream.failure is None:
                await decoding(b"")
        except TimeoutError:
            stream.fail(failure(IDLE_TIMEOUT, f"the function sent nothing for {door.idle_timeout:g} s"))
        except InvalidFunctionResponse as error:
            why = failure(error.name, str(error))
            await _read_rest(stream)
        client.record.streamed = writer.sent
        why = stream.failure or why
        if why is None:
            client.end()
        else:
            client.record.add_failure(why)
            client.break_off()

    def _decoding_write(self, client: ClientRequest, head: ResponseHead) -> Callable[[Piece], Awaitable[None]] | None:
        """Return a coroutine function that decodes and sends a piece of a body. Delete Content-Encoding in ``head``.

        Return None, and do not change ``head``, if ``head`` has no Content-Encoding or if the coding is not supported.

        After the last piece, call the coroutine function with an empty piece. It raises InvalidFunctionResponse if the
        body is not encoded as the header says.
        """
        codings = codings_of(head.headers)
        if not codings:
            return None
        try:
            decoder = BodyDecoder(codings)
        except UnknownCodingError as error:
            client.record.warning = f"the body is not decoded: {error}"
            return None
        head.headers[:] = [header for header in head.headers if header[0].lower() != "content-encoding"]
        client.record.decoded = ", ".join(codings)

        async def write(piece: Piece) -> None:
            if not piece:
                decoder.check_end()
            for plain in decoder.decode(bytes(piece)):
                await client.write(plain)

        return write

    async def _next_piece(self, stream: Stream) -> bytes:
        async with asyncio.timeout(self.door.idle_timeout):
            return await stream.read()

    def _headers(self, client: ClientRequest, head: ResponseHead, *, is_stream: bool = False) -> Headers:
        """Return the headers of ``head`` as the front door sends them: remapped, with a content type and CORS headers.

        ``is_stream`` is True if the rules for streamed responses apply.
        """
        rules = self.door.rules
        remapped = rules.stream_remapped if is_stream else rules.remapped
        headers = [
            (f"x-amzn-Remapped-{name}" if name.lower() in remapped else name, value) for name, value in head.headers
        ]
        content_type = (is_stream and rules.stream_type) or rules.default_type
        if content_type and not first(headers, "content-type"):
            headers.append(("content-type", content_type))
        if self.door.cors is not None:
            headers = self.door.cors.replace(client.exchange.headers, headers)
        return headers

    async def _fail(self, client: ClientRequest, why: Failure) -> None:
        """Record a failure and send its error response. Call this only if no response head has been sent."""
        client.record.add_failure(why)
        await client.respond(*self.door.rules.error_response(_REASONS.get(why.error_type, Reason.FUNCTION)))


def _split(payload: bytes) -> Response:
    """Return the head and the body of a payload that begins with a metadata prelude.

    Raises InvalidFunctionResponse if the prelude is not valid.
    """
    decoder = PreludeDecoder()
    head, body = decoder.feed(payload)
    if head is None:
        decoder.fail_unfinished()
    return head, body


async def _read_rest(stream: Stream) -> None:
    """Read the stream to its end, because the invocation does not end before its response."""
    while await stream.read():
        pass


async def _read_head(stream: Stream, rules: DoorRules) -> tuple[ResponseHead | None, bytes]:
    """Return the head of a stream and the body bytes that arrived with it.

    The head is None if the stream fails before its head is complete. If the front door needs no prelude and the stream
    has none, the head has status 200. Raises InvalidFunctionResponse if a needed prelude is missing, or if the prelude
    is too large or not valid.
    """
    if stream.is_buffered and rules.needs_prelude:
        raise InvalidFunctionResponse(
            f"the function's response is not a stream with a metadata prelude, which {rules.title} requires"
        )
    if stream.content_type != WITH_PRELUDE and not rules.needs_prelude:
        piece = await stream.read()
        if not piece and stream.failure is not None:
            return None, b""
        headers = [] if stream.is_buffered else [("content-type", stream.content_type)]
        return ResponseHead(status=200, headers=headers), piece
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
    """Raise InvalidFunctionResponse if the status is informational (below 200)."""
    if head.status < 200:
        raise InvalidFunctionResponse(f"statusCode is {head.status}, which is not the status of a final response")
