"""One invocation as the emulator keeps it, from the front door to its answer."""

from __future__ import annotations

import secrets
import uuid

from adapter.emulator.reply import Reply


class Call:
    """An event on its way to the function, and the place where its answer will be.

    ``label`` names the invocation in lines for people. ``init_seconds`` is how long the cold start took that this call
    had to wait for, None where the environment was warm.
    """

    def __init__(self, *, label: str, event: bytes, request_id: str, trace_id: str) -> None:
        self.label = label
        self.event = event
        self.request_id = request_id
        self.trace_id = trace_id
        self.reply = Reply()
        self.init_seconds: float | None = None


def new_request_id() -> str:
    """A request id as Lambda makes them."""
    return str(uuid.uuid4())


def new_trace_id(now: float) -> str:
    """A value for the X-Ray trace header (X-Ray, "Tracing header"); ``now`` in seconds since the epoch."""
    return f"Root=1-{int(now):08x}-{secrets.token_hex(12)};Parent={secrets.token_hex(8)};Sampled=0"
