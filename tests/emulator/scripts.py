"""Scripts for the scripted runtime."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable

from tests.emulator.scripted import Handed, Script, ScriptedRuntime


def each(serve: Callable[[ScriptedRuntime, Handed], Awaitable[object]]) -> Script:
    """Return a script that serves every invocation with ``serve``."""

    async def script(runtime: ScriptedRuntime) -> int:
        while True:
            await serve(runtime, await runtime.next())

    return script


def streaming(*pieces: bytes, trailers: str = "", **headers: str) -> Script:
    """Return a script that streams ``pieces`` and then sends ``trailers``."""

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        upload = await runtime.stream(handed, headers)
        for piece in pieces:
            await upload.write(piece)
        await upload.end(trailers)

    return each(serve)


def buffered(payload: object) -> Script:
    """Return a script that responds with ``payload``: bytes, or a value for JSON."""

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        await runtime.respond(handed, payload if isinstance(payload, bytes) else json.dumps(payload).encode())

    return each(serve)


async def fail(runtime: ScriptedRuntime, handed: Handed) -> None:
    """Report an error."""
    await runtime.fail(handed, "Function.Broken", "it broke")
