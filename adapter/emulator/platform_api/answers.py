"""The answers that the APIs within an environment share, and reading a request's body within a limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, TypeAlias

import orjson

from adapter.aws.limits import BUFFERED_RESPONSE_LIMIT

if TYPE_CHECKING:
    from adapter.net.server import Exchange

#: A path (``*`` for a request id) → the methods it has.
Resources: TypeAlias = dict[str, dict[str, Callable[["Exchange"], Awaitable[None]]]]
#: Status, error type, message.
Refusal: TypeAlias = tuple[int, str, str]

JSON = ("content-type", "application/json")
TEXT = ("content-type", "text/plain; charset=utf-8")

TRUNCATED: Refusal = (400, "TruncatedHTTPRequest", "HTTP request detected as truncated")
TOO_LARGE: Refusal = (
    413,
    "RequestEntityTooLarge",
    f"Exceeded maximum allowed payload size ({BUFFERED_RESPONSE_LIMIT} bytes).",
)


def accept(exchange: Exchange) -> None:
    """The call has been taken."""
    exchange.respond(202, [JSON], b'{"status":"OK"}\n')


def refuse(exchange: Exchange, refusal: Refusal) -> None:
    """The call has not been taken."""
    status, error_type, message = refusal
    exchange.respond(status, [JSON], orjson.dumps({"errorMessage": message, "errorType": error_type}))


async def whole_body(exchange: Exchange, limit: int = BUFFERED_RESPONSE_LIMIT) -> bytes | None:
    """The body; None if it has more than ``limit`` bytes. Raises BodyTruncatedError."""
    exchange.send_continue()
    pieces = []
    size = 0
    while piece := await exchange.body.read():
        pieces.append(piece)
        size += len(piece)
        if size > limit:
            return None
    return b"".join(pieces)
