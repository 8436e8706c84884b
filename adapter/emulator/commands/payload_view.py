"""Shows the payloads of ``adapter invoke``. The head and the body of an HTTP response are shown separately.

A streamed response begins with a metadata prelude: JSON, then 8 NUL bytes. A payload that begins with a brace may have
a prelude, so this payload is held back until its prelude is complete or found invalid. Any other payload is written at
once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from adapter.errors import InvalidFunctionResponse
from adapter.logs import visible
from adapter.payload.event import FORMATS
from adapter.payload.function_response import PreludeDecoder, parse_object
from adapter.payload.status_line import status_line


@dataclass(slots=True)
class PayloadView:
    """Splits a payload. Calls ``write`` with the body, and ``show_head`` with the head of a streamed response.

    A buffered response is one JSON object that contains the body. If ``decodes_whole`` is True, only the decoded body
    of such a response is written. Otherwise the JSON object is written unchanged.
    """

    write: Callable[[bytes], None]
    show_head: Callable[[str], None]
    decodes_whole: bool
    # The decoder of the prelude. None once it is clear that the payload has no prelude.
    _decoder: PreludeDecoder | None = field(default_factory=PreludeDecoder, init=False)
    _passes_through: bool = field(default=False, init=False)
    _held: bytearray = field(default_factory=bytearray, init=False)

    def feed(self, piece: bytes) -> None:
        """Add the next piece of the payload, and write the parts that can already be shown."""
        if self._passes_through:
            self.write(piece)
            return
        self._held += piece
        if self._held and not self._held.startswith(b"{"):
            self._release()
            return
        if self._decoder is None:
            return
        try:
            head, body = self._decoder.feed(piece)
        except InvalidFunctionResponse:
            self._decoder = None
            if not self.decodes_whole:
                self._release()
            return
        if head is not None:
            self._passes_through = True
            lines = (status_line(head.status), *(f"{name}: {value}" for name, value in head.headers), "")
            # Header values come from the app, so control characters in them must not reach the terminal.
            self.show_head("\n".join(map(visible, lines)))
            self.write(body)

    def end(self) -> None:
        """End the payload. A payload that is still held back is not a streamed response: write it now."""
        if self._passes_through:
            return
        if self.decodes_whole:
            # A payload that cannot be decoded is not an HTTP response, and is written unchanged.
            with suppress(InvalidFunctionResponse):
                if "statusCode" in parse_object(self._held):
                    _, body = FORMATS["http-api"].decode_response(bytes(self._held))
                    self._held = bytearray(body)
        self._release()

    def _release(self) -> None:
        self._passes_through = True
        self.write(bytes(self._held))
