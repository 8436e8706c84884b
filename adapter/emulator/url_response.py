"""A function's answer → the response of the function URL.

In the URL's mode ``response_stream`` the metadata prelude becomes the head and the pieces of the body go out as they
arrive, at the pace of the bandwidth cap. In the mode ``buffered`` the whole payload is collected and decoded. The
function's own mode may be the other one, and what happens then is what Lambda does: a payload that a streaming URL gets
is the body as it is, and a stream for a buffered URL is collected.

AWS does not document the following, so it is our choice: every function error, timeouts included, is a 502 with the
text "Internal Server Error"; once a streamed response has begun, every bad end (truncation, timeout, size, error
trailers) closes the connection without a last chunk, so that a client never takes a part for the whole.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from adapter.emulator.client_side import ClientSide
from adapter.emulator.reply import RESPONSE_TOO_LARGE, Answer, Failure, Stream, failure, too_large
from adapter.emulator.report import Visit
from adapter.errors import InvalidFunctionResponse
from adapter.pacing import Pacer
from adapter.payload.formats import FORMATS
from adapter.payload.headers import first
from adapter.payload.messages import ResponseHead
from adapter.payload.prelude import CONTENT_TYPE as WITH_PRELUDE
from adapter.payload.prelude import PreludeDecoder
from adapter.throttle import BUFFERED_RESPONSE_LIMIT

if TYPE_CHECKING:
    from adapter.payload.headers import Headers

_URL_FORMAT = FORMATS["http-api"]
_JSON: Headers = [("content-type", "application/json")]
_FUNCTION_ERROR = b"Internal Server Error"


class UrlResponse:
    """Writes one answer to ``client`` and notes in ``visit`` what happened.

    ``stream_limit`` is the most body bytes of a stream, None for no limit.
    """

    def __init__(self, client: ClientSide, visit: Visit, pacer: Pacer, *, stream_limit: int | None) -> None:
        self._client = client
        self._visit = visit
        self._pacer = pacer
        self._stream_limit = stream_limit

    async def send(self, answer: Answer, *, streaming: bool) -> None:
        """Send ``answer``; ``streaming`` is the URL's own mode."""
        try:
            if isinstance(answer, Failure):
                await self._fail(answer)
            elif isinstance(answer, Stream):
                await (self._relay(answer) if streaming else self._collect(answer))
            elif streaming:
                await self._whole(ResponseHead(status=200, headers=_JSON), answer.body)
            else:
                await self._whole(*_URL_FORMAT.decode_response(answer.body))
        except InvalidFunctionResponse as error:
            await self._fail(failure(error.name, str(error)))
            if isinstance(answer, Stream):
                # What follows an unusable prelude is still the function's work, and is waited for.
                while await answer.read():
                    pass

    async def _fail(self, why: Failure) -> None:
        self._note(why)
        await self._client.begin(502, _JSON, len(_FUNCTION_ERROR))
        await self._client.write(_FUNCTION_ERROR)
        await self._client.end()

    async def _whole(self, head: ResponseHead, body: bytes) -> None:
        headers = head.headers if first(head.headers, "content-type") else head.headers + _JSON
        await self._client.begin(_final(head.status), headers, len(body))
        await self._client.write(body)
        await self._client.end()

    async def _relay(self, stream: Stream) -> None:
        head, piece = await _head(stream)
        if head is None:
            assert stream.failure is not None, "a stream without a head ended badly"
            await self._fail(stream.failure)
            return
        await self._client.begin(_final(head.status), head.headers)
        while piece or (piece := await stream.read()):
            await self._send_piece(piece, stream)
            piece = b""
        self._visit.held = self._pacer.held_seconds
        if stream.failure is None:
            await self._client.end()
        else:
            self._note(stream.failure)
            self._client.cut()

    async def _send_piece(self, piece: bytes, stream: Stream) -> None:
        """Send a piece at the cap's pace, up to the limit, beyond which the stream is refused."""
        limit = self._stream_limit
        room = len(piece) if limit is None else min(len(piece), limit - self._visit.streamed)
        view = memoryview(piece)[:room]
        while view:
            granted = await self._pacer.grant(len(view))
            await self._client.write(view[:granted])
            self._visit.streamed += granted
            view = view[granted:]
        if room < len(piece):
            stream.fail(failure(RESPONSE_TOO_LARGE, f"the streamed response exceeded the limit of {limit} bytes"))

    async def _collect(self, stream: Stream) -> None:
        collected = bytearray()
        while piece := await stream.read():
            collected += piece
            if len(collected) > BUFFERED_RESPONSE_LIMIT:
                stream.fail(too_large())
        if stream.failure is not None:
            await self._fail(stream.failure)
        elif stream.content_type != WITH_PRELUDE:
            await self._whole(*_URL_FORMAT.decode_response(bytes(collected)))
        else:
            decoder = PreludeDecoder()
            head, body = decoder.feed(bytes(collected))
            if head is None:
                decoder.close()
            else:
                await self._whole(head, body)

    def _note(self, why: Failure) -> None:
        self._visit.error_type = why.error_type
        self._visit.error_message = why.message


async def _head(stream: Stream) -> tuple[ResponseHead | None, bytes]:
    """The head, and the body bytes that came with it; no head if the stream failed before it.

    Without a prelude the stream is the body. Raises InvalidFunctionResponse.
    """
    if stream.content_type != WITH_PRELUDE:
        return ResponseHead(status=200, headers=[("content-type", stream.content_type)]), b""
    decoder = PreludeDecoder()
    while piece := await stream.read():
        head, body = decoder.feed(piece)
        if head is not None:
            return head, body
    if stream.failure is None:
        decoder.close()
    return None, b""


def _final(status: int) -> int:
    """``status``, if it can end a response."""
    if status < 200:
        raise InvalidFunctionResponse(f"statusCode is {status}, which announces a response and is none")
    return status
