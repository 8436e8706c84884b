"""How ``adapter invoke`` shows a payload that is an HTTP response: its head and its body apart, as they come.

A streamed response begins with a metadata prelude: JSON, then 8 NUL bytes. What begins with a brace may be one, and is
held back until that is decided; everything else goes on at once.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING

from adapter.errors import InvalidFunctionResponse
from adapter.payload.event import FORMATS
from adapter.payload.function_response import PreludeDecoder
from adapter.payload.status_line import status_line

if TYPE_CHECKING:
    from adapter.payload.messages import ResponseHead


class PayloadView:
    """Gives the body to ``write``, and the head, if there is one, to ``show_head`` as lines.

    A buffered response is one JSON object; only where ``decodes_whole`` its body is taken out of it.
    """

    def __init__(
        self, write: Callable[[bytes], None], show_head: Callable[[str], None], *, decodes_whole: bool
    ) -> None:
        self._write = write
        self._show_head = show_head
        self._decodes_whole = decodes_whole
        # None once what came can be no prelude any more.
        self._decoder: PreludeDecoder | None = PreludeDecoder()
        self._lets_through = False
        self._held = bytearray()

    def feed(self, piece: bytes) -> None:
        """Take the next piece."""
        if self._lets_through:
            self._write(piece)
            return
        self._held += piece
        if self._held and not self._held.startswith(b"{"):
            self._let_go()
        elif self._decoder is not None:
            self._look_for_prelude(self._decoder, piece)

    def _look_for_prelude(self, decoder: PreludeDecoder, piece: bytes) -> None:
        try:
            head, body = decoder.feed(piece)
        except InvalidFunctionResponse:
            self._decoder = None
            if not self._decodes_whole:
                self._let_go()
            return
        if head is not None:
            self._lets_through = True
            self._show_head(_head_text(head))
            self._write(body)

    def end(self) -> None:
        """The payload is complete: what was held back is no streamed response."""
        if self._lets_through:
            return
        if self._decodes_whole:
            # Else it is the payload of a function that answers no HTTP request.
            with suppress(InvalidFunctionResponse):
                _, body = FORMATS["http-api"].decode_response(bytes(self._held))
                self._held = bytearray(body)
        self._let_go()

    def _let_go(self) -> None:
        self._lets_through = True
        self._write(bytes(self._held))


def _head_text(head: ResponseHead) -> str:
    lines = (status_line(head.status), *(f"{name}: {value}" for name, value in head.headers), "")
    return "\n".join(lines)
