"""A FastAPI app that produces a piece of its stream only when it is permitted to: one byte on a socket, one piece.

``PERMISSIONS`` is the port of the socket. The end of the connection ends the stream.
"""

# Not ``from __future__ import annotations``: FastAPI reads the annotations.
import asyncio
import os
from collections.abc import AsyncIterator

from fastapi import FastAPI
from fastapi.responses import PlainTextResponse, StreamingResponse

app = FastAPI()


@app.get("/", response_class=PlainTextResponse)
async def index() -> str:
    return "ready"


@app.get("/stream")
async def stream() -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        permissions, writer = await asyncio.open_connection("127.0.0.1", int(os.environ["PERMISSIONS"]))
        number = 0
        while await permissions.read(1):
            number += 1
            yield f"piece {number}\n"
        writer.close()

    return StreamingResponse(pieces(), media_type="text/plain")
