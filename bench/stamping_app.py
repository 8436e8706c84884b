"""An ASGI app that streams the time. Each piece contains the time at which it was passed to the server.

The clock is ``time.monotonic_ns``, which all processes of a Linux machine share.

    uvicorn stamping_app:app
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

Message = dict[str, Any]


async def app(
    scope: Message, receive: Callable[[], Awaitable[Message]], send: Callable[[Message], Awaitable[None]]
) -> None:
    """Answer ``/?pieces=100&interval=0.02`` with 100 pieces, 0.02 seconds apart."""
    if scope["type"] != "http":
        raise RuntimeError(f"only HTTP is served here, not {scope['type']}")
    query = parse_qs(scope["query_string"].decode())
    pieces = int(query.get("pieces", ["0"])[0])
    interval = float(query.get("interval", ["0"])[0])
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/plain")]})
    for _ in range(pieces):
        await asyncio.sleep(interval)
        stamp = b"%d\n" % time.monotonic_ns()
        await send({"type": "http.response.body", "body": stamp, "more_body": True})
    await send({"type": "http.response.body"})
