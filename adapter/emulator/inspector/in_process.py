"""Requests that the inspector itself sends. A front door or an Invoke API serves them like a client's requests."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from adapter.net.server import Exchange
from adapter.net.server.request_parser import RequestHead

if TYPE_CHECKING:
    from adapter.net.server.exchange import RequestBody
    from adapter.payload.messages import Request

# The client's address that events contain for these requests.
_CLIENT = "127.0.0.1"


class _NoConnection:
    """Takes the place of a connection to a client. It accepts all data immediately, and never disconnects."""

    def __init__(self) -> None:
        self.client = _CLIENT
        self.disconnected: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.is_reading = True

    def write(self, data: bytes) -> None:
        """Drop ``data``, because the record keeps the response."""

    async def drain(self) -> None:
        """Let other tasks run once, so that a stream does not block the event loop."""
        await asyncio.sleep(0)

    def write_eof(self) -> None:
        """Do nothing."""

    def cut(self, *, reset: bool = False) -> None:
        """Do nothing. The record shows that the response is incomplete."""

    async def wait_for_bytes(self) -> None:
        """Return at once, because the whole request body has already arrived."""

    def adjust_flow(self) -> None:
        """Do nothing."""

    def stop_waiting(self) -> None:
        """Do nothing."""

    def switch_protocols(self) -> RequestBody:
        """Raise NotImplementedError, because front doors do not switch protocols."""
        raise NotImplementedError


def exchange_for(request: Request) -> Exchange:
    """Return an exchange through which a front door can serve ``request``. The response is not sent anywhere."""
    head = RequestHead(
        method=request.method, target=request.target, version="1.1", headers=request.headers, keep_alive=True
    )
    exchange = Exchange(_NoConnection(), head)
    if request.body:
        exchange.body.feed(bytes(request.body))
    exchange.body.ended = True
    return exchange
