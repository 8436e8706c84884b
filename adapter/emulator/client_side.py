"""The client's half of one request at a front door: what is written to it, and what becomes of it when it leaves.

Lambda does not tell a function that its client is gone. So writing to a client that left is no error here: the
invocation runs on at the same pace, and the visit's line says that nobody saw the end of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from aiohttp import web
from multidict import CIMultiDict

from adapter.emulator.report import Visit
from adapter.payload.headers import forwardable

if TYPE_CHECKING:
    from adapter.payload.headers import Headers

# Statuses whose responses have no body (RFC 9110 section 6.4.1).
_BODILESS = frozenset({204, 304})


class ClientSide:
    """Writes one response and keeps ``visit`` up to date. ``clock`` is in seconds, every response has ``marks``."""

    def __init__(self, request: web.BaseRequest, visit: Visit, clock: Callable[[], float], marks: Headers) -> None:
        self.response = web.StreamResponse()
        self._request = request
        self._visit = visit
        self._clock = clock
        self._marks = marks
        self._arrived = clock()
        self._bodiless = False

    async def begin(self, status: int, headers: Headers, length: int | None = None) -> None:
        """Send the head, at once. ``length`` None: the body is chunked."""
        self._bodiless = self._request.method == "HEAD" or status in _BODILESS
        self.response = web.StreamResponse(status=status, headers=CIMultiDict(forwardable(headers) + self._marks))
        # An empty body says nothing about the length that a response with a body would have had.
        if length is not None and (length or not self._bodiless):
            self.response.content_length = length
        self._visit.status = status
        try:
            await self.response.prepare(self._request)
        except ConnectionError:
            self._visit.client_left = True
        self._visit.first_byte = self._clock() - self._arrived

    async def write(self, piece: bytes | memoryview) -> None:
        """Send a piece of the body, at once; waits while the client does not keep up."""
        if self._bodiless or self._visit.client_left:
            return
        try:
            await self.response.write(piece)
        except ConnectionError:
            self._visit.client_left = True
        else:
            self._visit.sent += len(piece)

    async def end(self) -> None:
        """The body is complete."""
        if not self._visit.client_left:
            try:
                await self.response.write_eof()
            except ConnectionError:
                self._visit.client_left = True
        self._visit.duration = self._clock() - self._arrived

    def cut(self) -> None:
        """The body will not be complete: close the connection without a last chunk, so that the client can tell."""
        if self._request.transport is not None:
            # Not abort(): what has been written still reaches the client.
            self._request.transport.close()
        self._visit.duration = self._clock() - self._arrived
