"""A function's answer on its way back: the Runtime API writes it, a front door reads it.

An answer is a whole ``Payload``, a ``Failure``, or a ``Stream`` whose pieces are read from the runtime's upload as the
front door asks for them. Nothing in between holds them, so a throttled client slows the app down, as on Lambda.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from typing import TYPE_CHECKING, TypeAlias

import orjson

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT
from adapter.net.server import BodyTruncatedError
from adapter.payload.headers import first

if TYPE_CHECKING:
    from adapter.net.server import Exchange

_ERROR_TYPE_TRAILER = "lambda-runtime-function-error-type"
_ERROR_BODY_TRAILER = "lambda-runtime-function-error-body"

# Types that the sandbox itself reports (the official emulator's source, fatalerror).
RESPONSE_TOO_LARGE = "Function.ResponseSizeTooLarge"
TRUNCATED_RESPONSE = "Runtime.TruncatedResponse"
EXIT_ERROR = "Runtime.ExitError"
INVALID_MODE = "Runtime.InvalidResponseModeHeader"
TIMEOUT = "Sandbox.Timeout"
UNKNOWN_ERROR = "Runtime.Unknown"
EXTENSION_CRASH = "Extension.Crash"
# The Invoke API's name for an invocation that no environment is free for (Lambda, "Invoke": errors).
THROTTLED = "TooManyRequestsException"
# Ours: the emulator was stopped while the invocation ran.
STOPPED = "Emulator.Stopped"


class Failure:
    """Why an invocation failed. ``body`` is the JSON that a direct caller of the function is shown."""

    def __init__(self, error_type: str, body: bytes) -> None:
        self.error_type = error_type
        self.body = body

    @property
    def message(self) -> str:
        """The first line of the body's ``errorMessage``; empty where the body has none.

        An init error's goes on with the app's last words, which the terminal has shown already.
        """
        try:
            parsed = orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return ""
        message = parsed.get("errorMessage", "") if isinstance(parsed, dict) else ""
        return " ".join(str(message).strip().partition("\n")[0].split())


def failure(error_type: str, message: str) -> Failure:
    """A failure in Lambda's own words."""
    return Failure(error_type, orjson.dumps({"errorType": error_type, "errorMessage": message}))


def too_large(limit: int = BUFFERED_RESPONSE_LIMIT) -> Failure:
    """A buffered response over the limit, Lambda's or a front door's, in bytes."""
    return failure(RESPONSE_TOO_LARGE, f"Response payload size exceeded maximum allowed payload size ({limit} bytes).")


def truncated() -> Failure:
    """The runtime broke its response off."""
    return failure(TRUNCATED_RESPONSE, "The runtime ended its response before it was complete.")


class Payload:
    """A buffered response, as the runtime sent it."""

    def __init__(self, body: bytes) -> None:
        self.body = body


class Stream:
    """A streamed response. After the last piece ``failure`` tells how it ended; None is the good end."""

    def __init__(self, upload: Exchange) -> None:
        self.content_type = first(upload.headers, "content-type") or "application/octet-stream"
        self.failure: Failure | None = None
        self.ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._upload = upload

    async def read(self) -> bytes:
        """The next piece, as it arrived; empty at the end."""
        if self.ended.done():
            return b""
        try:
            piece = await self._upload.body.read()
        except BodyTruncatedError:
            self.fail(truncated())
            return b""
        if not piece and not self.ended.done():
            self._end(_reported_in_trailers(self._upload))
        return piece

    def fail(self, why: Failure) -> None:
        """Nothing more comes, or nothing more is wanted. Without effect on a stream that has ended."""
        if not self.ended.done():
            self._end(why)
            self._upload.body.discard()

    def _end(self, why: Failure | None) -> None:
        self.failure = why
        self.ended.set_result(None)


Answer: TypeAlias = Payload | Stream | Failure


async def collect(answer: Payload | Stream, limit: int = BUFFERED_RESPONSE_LIMIT) -> bytes | Failure:
    """The whole payload, a stream's as well, which ends as soon as it is over Lambda's limit.

    ``limit`` is that of who asks, in bytes. Below Lambda's own the function is told nothing:
    Lambda has taken its answer.
    """
    if isinstance(answer, Payload):
        return answer.body if len(answer.body) <= limit else too_large(limit)
    most = max(limit, BUFFERED_RESPONSE_LIMIT)
    collected = bytearray()
    size = 0
    while piece := await answer.read():
        size += len(piece)
        if size <= limit:
            collected += piece
        if size > most:
            answer.fail(too_large(most))
    return answer.failure or (too_large(limit) if size > limit else bytes(collected))


class Reply:
    """The place where one invocation's answer will be."""

    def __init__(self) -> None:
        self._answer: Answer | None = None
        self._arrived = asyncio.Event()

    @property
    def failure(self) -> Failure | None:
        """How the invocation failed, as far as is known; None where it did not."""
        answer = self._answer
        if isinstance(answer, Stream):
            return answer.failure
        return answer if isinstance(answer, Failure) else None

    @property
    def complete(self) -> bool:
        """Whether the whole answer has been read, or there is none to come."""
        answer = self._answer
        return answer is not None and (not isinstance(answer, Stream) or answer.ended.done())

    def settle(self, answer: Answer) -> None:
        """This is the answer; only the first one counts."""
        if self._answer is None:
            self._answer = answer
            self._arrived.set()

    def fail(self, why: Failure) -> None:
        """The invocation has failed. Without effect if its answer is complete."""
        self.settle(why)
        if isinstance(self._answer, Stream):
            self._answer.fail(why)

    async def answer(self) -> Answer:
        """Wait for the answer, or for the beginning of a streamed one."""
        await self._arrived.wait()
        assert self._answer is not None, "it has arrived"
        return self._answer


def _reported_in_trailers(upload: Exchange) -> Failure | None:
    """What the runtime reported after it had begun to respond. Trailers count only if the head declared them."""
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
