"""A simple custom runtime with aiohttp's client: no checks, no rules for headers, only default settings.

It reads AWS_LAMBDA_RUNTIME_API, AWS_LWA_PORT, AWS_LWA_INVOKE_MODE and AWS_LAMBDA_MAX_CONCURRENCY, and supports only
events of function URLs.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
from collections.abc import AsyncIterator
from typing import Any

from aiohttp import ClientResponse, ClientSession, ClientTimeout

_ENVIRON = os.environ  # noqa: TID251 (a program of its own)
RUNTIME = f"http://{_ENVIRON['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
APP = f"http://127.0.0.1:{_ENVIRON['AWS_LWA_PORT']}"
STREAMS = _ENVIRON.get("AWS_LWA_INVOKE_MODE") == "response_stream"
SLOTS = int(_ENVIRON.get("AWS_LAMBDA_MAX_CONCURRENCY", "1"))


async def invoke(session: ClientSession, request_id: str, event: dict[str, Any]) -> None:
    body = event.get("body", "")
    data = base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
    query = f"?{event['rawQueryString']}" if event["rawQueryString"] else ""
    method = event["requestContext"]["http"]["method"]
    url = f"{APP}{event['rawPath']}{query}"
    async with session.request(method, url, headers=event["headers"], data=data or None) as response:
        if STREAMS:
            headers = {"Lambda-Runtime-Function-Response-Mode": "streaming"}
            await post(session, request_id, _pieces(response), headers)
        else:
            await post(session, request_id, await _whole(response), {"Content-Type": "application/json"})


async def post(
    session: ClientSession, request_id: str, data: bytes | AsyncIterator[bytes], headers: dict[str, str]
) -> None:
    async with session.post(f"{RUNTIME}/{request_id}/response", data=data, headers=headers) as answer:
        await answer.read()


def _head(response: ClientResponse) -> dict[str, Any]:
    return {"statusCode": response.status, "headers": dict(response.headers), "cookies": []}


async def _pieces(response: ClientResponse) -> AsyncIterator[bytes]:
    yield json.dumps(_head(response)).encode() + bytes(8)
    async for piece in response.content.iter_any():
        yield piece


async def _whole(response: ClientResponse) -> bytes:
    body = await response.read()
    is_text = response.content_type.startswith("text/") or response.content_type == "application/json"
    text = body.decode() if is_text else base64.b64encode(body).decode()
    return json.dumps(_head(response) | {"isBase64Encoded": not is_text, "body": text}).encode()


async def serve(session: ClientSession) -> None:
    while True:
        async with session.get(f"{RUNTIME}/next") as answer:
            event = await answer.json()
            request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
        await invoke(session, request_id, event)


async def main() -> None:
    timeout = ClientTimeout(total=None)
    async with ClientSession(timeout=timeout, auto_decompress=False) as session, asyncio.TaskGroup() as group:
        for _ in range(SLOTS):
            group.create_task(serve(session))


if __name__ == "__main__":
    asyncio.run(main())
