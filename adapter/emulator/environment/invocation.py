"""One invocation as the emulator keeps it, from the front door to its answer."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable

from adapter.emulator.environment.result import Reply

# How much of an invocation's log is kept, in bytes (Lambda, "Invoke": LogType Tail gives the last 4 KB).
LOG_TAIL = 4096


class LogTail:
    """The last lines of an invocation's log: what Lambda says of it, and what the function wrote meanwhile."""

    def __init__(self) -> None:
        self._text = b""

    def write(self, text: bytes) -> None:
        """Append ``text``."""
        self._text = (self._text + text)[-LOG_TAIL:]

    def __bytes__(self) -> bytes:
        return self._text


class LocalInvocation:
    """An event on its way to the function, and the place where its answer will be.

    ``label`` names the invocation in lines for people. What Lambda has nothing to say about is empty.
    ``init_seconds`` is how long the cold start took that this call had to wait for, None where the environment was
    warm; ``restore_seconds`` the same for the restore of a snapshot. ``log`` is complete when the environment is ready
    for the next call, which is after the answer: wait for ``finished``. ``kill_app`` ends the app, or the runtime if it
    has none, without a warning, while the call is in an environment that can do so.
    """

    def __init__(
        self,
        *,
        label: str,
        event: bytes,
        request_id: str,
        trace_id: str,
        invoked_function_arn: str = "",
        client_context: str = "",
        cognito_identity: str = "",
        tenant_id: str = "",
    ) -> None:
        self.label = label
        self.event = event
        self.request_id = request_id
        self.trace_id = trace_id
        self.invoked_function_arn = invoked_function_arn
        self.client_context = client_context
        self.cognito_identity = cognito_identity
        self.tenant_id = tenant_id
        self.reply = Reply()
        self.init_seconds: float | None = None
        self.restore_seconds: float | None = None
        self.log = LogTail()
        self.kill_app: Callable[[], None] | None = None
        self._finished = asyncio.Event()

    def finish(self) -> None:
        """For the function: nothing more happens in this invocation."""
        self._finished.set()

    async def finished(self) -> None:
        """Wait until the environment is done with this call, or the call was never made."""
        await self._finished.wait()


def new_request_id() -> str:
    """A request id as Lambda makes them: a random UUID (RFC 9562, version 4)."""
    digits = os.urandom(16).hex()
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def new_trace_id(now: float) -> str:
    """A value for the X-Ray trace header (X-Ray, "Tracing header"); ``now`` in seconds since the epoch."""
    digits = os.urandom(20).hex()
    return f"Root=1-{int(now):08x}-{digits[:24]};Parent={digits[24:]};Sampled=0"
