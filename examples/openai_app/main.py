"""Tokens over server-sent events, as OpenAI's API sends them. The model echoes the last message, word by word."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, Response, StreamingResponse

# The time that a token takes, in seconds.
TOKEN_SECONDS = 0.1

app = FastAPI()


@app.get("/")
async def root() -> dict[str, str]:
    return {"try": "POST /v1/chat/completions"}


@app.post("/v1/chat/completions")
async def complete(request: Request) -> Response:
    body = await request.json()
    tokens = str(body["messages"][-1]["content"]).split()
    if body.get("stream"):
        return StreamingResponse(events(body["model"], tokens), media_type="text/event-stream")
    message = {"role": "assistant", "content": " ".join(tokens)}
    choice = {"index": 0, "message": message, "finish_reason": "stop"}
    return JSONResponse({**head(body["model"], "chat.completion"), "choices": [choice]})


async def events(model: str, tokens: list[str]) -> AsyncIterator[str]:
    for number, token in enumerate(tokens):
        yield event(model, {"role": "assistant", "content": f" {token}" if number else token}, None)
        await asyncio.sleep(TOKEN_SECONDS)
    yield event(model, {}, "stop")
    yield "data: [DONE]\n\n"


def event(model: str, delta: dict[str, str], finish_reason: str | None) -> str:
    choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
    return f"data: {json.dumps({**head(model, 'chat.completion.chunk'), 'choices': [choice]})}\n\n"


def head(model: str, kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": int(time.time()), "model": model}
