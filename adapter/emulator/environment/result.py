"""The answer of the function to an invocation. The Runtime API creates it, and a front door reads it.

An answer is a whole ``Payload``, a ``Failure``, or a ``Stream``. A front door reads the pieces of a ``Stream`` directly
from the runtime's upload. Nothing is buffered in between, so a slow client slows the app down, as on Lambda.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import orjson

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.net.server import BodyTruncatedError

if TYPE_CHECKING:
    from adapter.net.server import Exchange

#: The header with which a runtime announces a stream. It is optional: aws-lambda-go never sends it.
RESPONSE_MODE = "lambda-runtime-function-response-mode"
_JSON = "application/json"
_ERROR_TYPE_TRAILER = "lambda-runtime-function-error-type"
_ERROR_BODY_TRAILER = "lambda-runtime-function-error-body"

# Error types that Lambda's sandbox itself reports (the official emulator's source, fatalerror).
RESPONSE_TOO_LARGE = "Function.ResponseSizeTooLarge"
TRUNCATED_RESPONSE = "Runtime.TruncatedResponse"
EXIT_ERROR = "Runtime.ExitError"
INVALID_MODE = "Runtime.InvalidResponseModeHeader"
TIMEOUT = "Sandbox.Timeout"
UNKNOWN_ERROR = "Runtime.Unknown"
EXTENSION_CRASH = "Extension.Crash"
# The Invoke API's name for an invocation that finds no free environment (Lambda, "Invoke": errors).
THROTTLED = "TooManyRequestsException"
# The emulator's own error types. The emulator was stopped before the invocation ended, or an internal error of the
# emulator ended the environment.
STOPPED = "Emulator.Stopped"
INTERNAL_ERROR = "Emulator.InternalError"


class Failure:
    """The reason why an invocation failed. ``body`` is the JSON that a caller of the Invoke API receives."""

    def __init__(self, error_type: str, body: bytes) -> None:
        self.error_type = error_type
        self.body = body

    @property
    def is_throttling(self) -> bool:
        """Whether Lambda refused the invocation because no environment was free."""
        return self.error_type == THROTTLED

    @property
    def message(self) -> str:
        """The first line of the body's ``errorMessage``; empty if the body has no ``errorMessage``.

        The other lines are omitted: in an init error, they are output of the app that the terminal already shows.
        """
        try:
            parsed = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return ""
        message = parsed.get("errorMessage", "") if isinstance(parsed, dict) else ""
        return " ".join(str(message).strip().partition("\n")[0].split())


def failure(error_type: str, message: str) -> Failure:
    """Return a failure whose body has the form of Lambda's own errors."""
    return Failure(error_type, orjson.dumps({"errorType": error_type, "errorMessage": message}))


def too_large(limit: int = BUFFERED_RESPONSE_LIMIT, whose: str = "") -> Failure:
    """Return the failure for a response of more than ``limit`` bytes, in Lambda's words.

    ``whose`` names the front door that has this limit. An empty ``whose`` means that the limit is Lambda's own.
    """
    message = f"Response payload size exceeded maximum allowed payload size ({limit} bytes)."
    return failure(RESPONSE_TOO_LARGE, f"{message} This is the limit of {whose}." if whose else message)


def truncated() -> Failure:
    """Return the failure for a response that ended before the runtime had sent all of it."""
    return failure(TRUNCATED_RESPONSE, "The runtime broke off its response.")


class Payload:
    """A buffered response. ``body`` contains exactly the bytes that the runtime sent.

    ``content_type`` is empty if the runtime sent none.
    """

    def __init__(self, body: bytes, content_type: str = "") -> None:
        self.body = body
        self.content_type = content_type


class Stream:
    """A streamed response, which arrives in the body of ``upload``.

    ``ended`` is a future that is done when the response has ended. ``is_announced`` is True if the runtime has
    announced the stream with the header whose name is RESPONSE_MODE.

    ``failure`` is the reason why the stream ended early. It is None if the stream is complete or has not ended.
    ``is_buffered`` is True if the runtime seems not to stream: it announces no stream, and the content type is missing
    or JSON. Lambda treats such a response as a stream too. The emulator needs ``is_buffered`` only for messages and for
    the response's content type.
    """

    is_buffered = False

    def __init__(self, upload: Exchange, content_type: str, *, is_announced: bool) -> None:
        self.content_type = content_type or "application/octet-stream"
        self.is_buffered = content_type in ("", _JSON) and not is_announced
        self.failure: Failure | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        # Called with the size of each piece.
        self.on_piece: Callable[[int], None] | None = None
        self._upload = upload

    async def read(self) -> bytes:
        """Return the next piece, or ``b""`` at the end. ``failure`` is then None if the response is complete."""
        if self.ended.done():
            return b""
        try:
            piece = await self._upload.body.read()
        except BodyTruncatedError:
            self.fail(truncated())
            return b""
        if piece:
            if self.on_piece is not None:
                self.on_piece(len(piece))
        elif not self.ended.done():
            self._end(reported_in_trailers(self._upload))
        return piece

    def fail(self, why: Failure) -> None:
        """End the stream and discard the rest of the upload. No effect if the stream has ended."""
        if not self.ended.done():
            self._end(why)
            self._upload.body.discard()

    def _end(self, why: Failure | None) -> None:
        self.failure = why
        self.ended.set_result(None)


Answer: TypeAlias = Payload | Stream | Failure


async def collect(
    answer: Payload | Stream, limit: int = BUFFERED_RESPONSE_LIMIT, *, whose: str = ""
) -> bytes | Failure:
    """Return the whole payload. Return a failure if the payload exceeds ``limit`` bytes or the stream failed.

    ``whose`` names the front door that has this limit. An empty ``whose`` means that the limit is Lambda's own.

    A stream that exceeds both ``limit`` and Lambda's own limit is ended at once. A stream that exceeds only ``limit``
    is read to its end, so that the runtime's request succeeds.
    """
    if isinstance(answer, Payload):
        return answer.body if len(answer.body) <= limit else too_large(limit, whose)
    most = max(limit, BUFFERED_RESPONSE_LIMIT)
    collected = bytearray()
    size = 0
    while piece := await answer.read():
        size += len(piece)
        if size <= limit:
            collected += piece
        if size > most:
            answer.fail(too_large(most))
    return answer.failure or (too_large(limit, whose) if size > limit else bytes(collected))


def reported_in_trailers(upload: Exchange) -> Failure | None:
    """Return the failure that the runtime reports in trailers, or None if it reports none.

    Trailers that the head of the request does not declare are ignored.
    """
    declared = {
        part.strip().lower() for name, value in upload.headers if name.lower() == "trailer" for part in value.split(",")
    }
    trailers = {name.lower(): value for name, value in upload.body.trailers if name.lower() in declared}
    if _ERROR_TYPE_TRAILER not in trailers:
        return None
    try:
        body = base64.b64decode(trailers.get(_ERROR_BODY_TRAILER, ""), validate=True)
    except binascii.Error:
        body = b""
    return Failure(trailers[_ERROR_TYPE_TRAILER], body)
