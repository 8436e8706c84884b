"""Calls of the Invoke APIs of a local Lambda, raw and with boto3."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.emulator.aws_clients import lambda_client
from tests.emulator.scripted import Handed, LocalLambda, ScriptedRuntime
from tests.raw_client import RawAnswer, RawClient

INVOKE = "/2015-03-31/functions/{}/invocations"
STREAM = "/2021-11-15/functions/{}/response-streaming-invocations"


async def ask(
    local: LocalLambda, path: str, body: bytes = b"{}", headers: dict[str, str] | None = None, method: str = "POST"
) -> RawAnswer:
    client = await RawClient.connect(local.invoke_port)
    try:
        return await client.request(method, path, body, headers)
    finally:
        await client.close()


async def invoke(local: LocalLambda, **arguments: Any) -> dict[str, Any]:
    """Call boto3's invoke, read the payload, and return the answer."""

    def call() -> dict[str, Any]:
        answer: dict[str, Any] = lambda_client(local.invoke_port).invoke(**{"FunctionName": "any"} | arguments)
        answer["Payload"] = answer["Payload"].read()
        return answer

    return await asyncio.to_thread(call)


async def invoke_streaming(local: LocalLambda, **arguments: Any) -> list[dict[str, Any]]:
    """Call boto3's invoke_with_response_stream, and return all events."""

    def call() -> list[dict[str, Any]]:
        client = lambda_client(local.invoke_port)
        return list(client.invoke_with_response_stream(**{"FunctionName": "any"} | arguments)["EventStream"])

    return await asyncio.to_thread(call)


async def echo(runtime: ScriptedRuntime, handed: Handed) -> None:
    headers = {name.lower(): value for name, value in handed.response.pairs}
    seen = {"event": handed.event, "headers": headers}
    await runtime.respond(handed, json.dumps(seen).encode())
