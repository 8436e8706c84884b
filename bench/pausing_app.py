"""An ASGI app whose path is a plan: ``/7340032,2.0,1048576`` sends 7 MiB, pauses for two seconds, sends 1 MiB."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

PIECE = bytes(64 * 1024)


async def app(
    scope: dict[str, Any], _receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    if scope["type"] != "http":
        return
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"image/x")]})
    for step in filter(None, scope["path"].strip("/").split(",")):
        if "." in step:
            await asyncio.sleep(float(step))
            continue
        left = int(step)
        while left:
            piece = PIECE[:left]
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            left -= len(piece)
    await send({"type": "http.response.body", "body": b""})
