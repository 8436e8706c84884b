"""A function's answer → the response of a front door.

Where the front door streams, the metadata prelude becomes the head and the pieces of the body go out as they arrive, at
the pace of the bandwidth cap. Where it does not, the whole payload is collected and decoded; a stream that begins with
a prelude is decoded by it then [unsure: AWS does not say what a front door that cannot stream makes of one].

AWS does not document the following, so it is our choice: once a streamed response has begun, every bad end (truncation,
timeout, size, silence, error trailers) closes the connection without a last chunk, so that a client never takes a part
for the whole.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, TypeAlias

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
from adapter.emulator.front_doors.rules import DoorRules, Reason
from adapter.emulator.requests.client_response import ClientSide
from adapter.emulator.requests.request_record import RequestRecord
from adapter.errors import InvalidFunctionResponse
from adapter.net.paced_writer import PacedWriter
from adapter.payload.function_response import CONTENT_TYPE as WITH_PRELUDE
from adapter.payload.function_response import PreludeDecoder
from adapter.payload.headers import first
from adapter.payload.messages import ResponseHead

if TYPE_CHECKING:
    from adapter.emulator.front_doors.settings import DoorSettings
    from adapter.payload.headers import Headers

# Ours: a front door gave up, while the function may go on.
GATEWAY_TIMEOUT = "FrontDoor.ResponseTimeout"
IDLE_TIMEOUT = "FrontDoor.IdleTimeout"

# Failures that are not the function's.
_REASONS = {THROTTLED: Reason.THROTTLED, GATEWAY_TIMEOUT: Reason.TIMED_OUT}

Whole: TypeAlias = tuple[ResponseHead, bytes]


class DoorResponse:
    """Writes one answer to ``client`` and notes in ``visit`` what happened."""

    def __init__(self, client: ClientSide, visit: RequestRecord, door: DoorSettings) -> None:
        self._client = client
        self._visit = visit
        self._door = door
        self._rules: DoorRules = door.rules

    async def send(self, coming: Coroutine[None, None, Answer]) -> None:
        """Send the answer, once there is one, and wait until the function has no more to say."""
        if self._door.streaming:
            await self._stream(await coming)
        elif self._rules.response_timeout is None:
            await self._finish(await self._collected(coming))
        else:
            async with asyncio.TaskGroup() as group:
                # The function is not told that nobody waits any more, so that its answer is collected all the same.
                collecting = group.create_task(self._collected(coming))
                await asyncio.wait({collecting}, timeout=self._rules.response_timeout)
                if collecting.done():
                    await self._finish(collecting.result())
                else:
                    self._client.end_connection()
                    await self._fail(self._out_of_patience())

    def _out_of_patience(self) -> Failure:
        limit = self._rules.response_timeout
        return failure(GATEWAY_TIMEOUT, f"{self._rules.title} waits {limit:g} s for a response; the function goes on")

    async def _collected(self, coming: Coroutine[None, None, Answer]) -> Whole | Failure:
        """The whole response, or why there is none."""
        answer = await coming
        if isinstance(answer, Stream):
            self._visit.mismatch = f"the function streams, {self._rules.name} does not (--invoke-mode)"
        return await _whole_response(answer, self._rules)

    async def _finish(self, collected: Whole | Failure) -> None:
        if isinstance(collected, Failure):
            await self._fail(collected)
        else:
            await self._whole(*collected)

    async def _stream(self, answer: Answer) -> None:
        """Send an answer as it comes."""
        if isinstance(answer, Payload):
            self._visit.mismatch = f"the function is buffered, {self._rules.name} streams (--invoke-mode)"
        try:
            if isinstance(answer, Failure):
                await self._fail(answer)
            elif isinstance(answer, Stream):
                await self._relay(answer)
            elif self._rules.needs_prelude:
                raise InvalidFunctionResponse("the function's response is no stream with a metadata prelude")
            else:
                # A URL that streams shows the payload of a function that does not as it is.
                await self._whole(ResponseHead(status=200, headers=[]), answer.body)
        except InvalidFunctionResponse as error:
            await self._fail(failure(error.name, str(error)))
            if isinstance(answer, Stream):
                # What follows an unusable prelude is still the function's work, and is waited for.
                while await answer.read():
                    pass

    async def _relay(self, stream: Stream) -> None:
        head, piece = await _streamed_head(stream, self._rules)
        if head is None:
            assert stream.failure is not None, "a stream without a head ended badly"
            await self._fail(stream.failure)
            return
        await self._client.begin(_final(head.status), self._headers(head))
        limit = self._door.stream_limit
        writer = PacedWriter(
            self._client.write,
            bandwidth=self._door.bandwidth,
            clock=asyncio.get_running_loop().time,
            sleep=asyncio.sleep,
            limit=limit,
        )
        try:
            while piece or (piece := await self._next_piece(stream)):
                if not await writer.send(piece):
                    stream.fail(
                        failure(RESPONSE_TOO_LARGE, f"the streamed response exceeded the limit of {limit} bytes")
                    )
                piece = b""
        except TimeoutError:
            stream.fail(failure(IDLE_TIMEOUT, f"nothing was sent for {self._door.idle_timeout:g} s"))
        self._visit.streamed, self._visit.held = writer.sent, writer.held_seconds
        if stream.failure is None:
            await self._client.end()
        else:
            self._note(stream.failure)
            self._client.cut()

    async def _next_piece(self, stream: Stream) -> bytes:
        async with asyncio.timeout(self._door.idle_timeout):
            return await stream.read()

    async def _whole(self, head: ResponseHead, body: bytes) -> None:
        await self._client.respond(_final(head.status), self._headers(head), body)

    def _headers(self, head: ResponseHead) -> Headers:
        headers = [
            (f"x-amzn-Remapped-{name}" if name.lower() in self._rules.remapped else name, value)
            for name, value in head.headers
        ]
        if self._rules.default_type and not first(headers, "content-type"):
            headers.append(("content-type", self._rules.default_type))
        return headers

    async def _fail(self, why: Failure) -> None:
        self._note(why)
        await self._client.respond(*self._rules.error(_REASONS.get(why.error_type, Reason.FUNCTION)))

    def _note(self, why: Failure) -> None:
        self._visit.error_type = why.error_type
        self._visit.refused = why.error_type == THROTTLED
        self._visit.error_message = why.message


async def _whole_response(answer: Answer, rules: DoorRules) -> Whole | Failure:
    """The whole of ``answer``, or why there is none."""
    if isinstance(answer, Failure):
        return answer
    has_prelude = isinstance(answer, Stream) and answer.content_type == WITH_PRELUDE
    payload = await collect(answer, rules.response_limit)
    if isinstance(payload, Failure):
        return payload
    try:
        head, body = _split(payload) if has_prelude else rules.codec.decode_response(payload)
        return ResponseHead(status=_final(head.status), headers=head.headers), body
    except InvalidFunctionResponse as error:
        return failure(error.name, str(error))


def _split(payload: bytes) -> Whole:
    """Head and body of a whole stream. Raises InvalidFunctionResponse."""
    decoder = PreludeDecoder()
    head, body = decoder.feed(payload)
    if head is None:
        decoder.fail_unfinished()
    return head, body


async def _streamed_head(stream: Stream, rules: DoorRules) -> tuple[ResponseHead | None, bytes]:
    """The head, and the body bytes that came with it; no head if the stream failed before it.

    A stream without a prelude is the body, where the front door takes such a thing. Raises InvalidFunctionResponse.
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
            raise InvalidFunctionResponse(f"no metadata prelude ended within {rules.prelude_limit} bytes")
        if head is not None:
            return head, body
    if stream.failure is None:
        decoder.fail_unfinished()
    return None, b""


def _final(status: int) -> int:
    """``status``, if it can end a response."""
    if status < 200:
        raise InvalidFunctionResponse(f"statusCode is {status}, which announces a response and is none")
    return status
