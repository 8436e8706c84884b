"""The app for the browser: a page that shows what it received, an event stream, and a WebSocket that answers.

The page is loaded when its picture is, and the picture comes when the page says that it has received everything.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

PATIENCE = 20.0
PAGE = """<!doctype html><title>page</title><p id="events"></p><p id="messages"></p><script>
let missing = 2;
const show = (id, text) => document.getElementById(id).append(text + ";");
const end = () => { if (--missing === 0) fetch("/received", {method: "POST"}); };
const source = new EventSource("/events");
source.onmessage = (event) => show("events", event.lastEventId + "=" + event.data);
source.addEventListener("end", () => { source.close(); show("events", "end"); end(); });
const socket = new WebSocket("ws://" + location.host + "/socket");
socket.onopen = () => { socket.send("one"); socket.send("two"); };
socket.onmessage = (event) => { show("messages", event.data); if (event.data === "TWO") socket.close(1000); };
socket.onclose = (event) => { show("messages", "closed " + event.code + " " + event.wasClean); end(); };
</script><img src="/picture">"""
everything_received = asyncio.Event()


async def page(_request: Request) -> HTMLResponse:
    return HTMLResponse(PAGE)


async def numbers() -> AsyncIterator[str]:
    for number in (1, 2, 3):
        yield f"id: {number}\ndata: number {number}\n\n"
    yield "event: end\ndata: \n\n"


async def events(_request: Request) -> StreamingResponse:
    return StreamingResponse(numbers(), media_type="text/event-stream")


async def converse(socket: WebSocket) -> None:
    await socket.accept()
    async for text in socket.iter_text():
        await socket.send_text(text.upper())


async def received(_request: Request) -> Response:
    everything_received.set()
    return Response(status_code=204)


async def picture(_request: Request) -> Response:
    async with asyncio.timeout(PATIENCE):
        await everything_received.wait()
    return Response(status_code=204)


app = Starlette(
    routes=[
        Route("/", page),
        Route("/events", events),
        Route("/received", received, methods=["POST"]),
        Route("/picture", picture),
        WebSocketRoute("/socket", converse),
    ]
)
