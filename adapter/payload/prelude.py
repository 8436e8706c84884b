"""The metadata prelude of a streamed HTTP response: a JSON head, 8 NUL bytes, then the body as it comes.

One shape serves every front door that streams (function URLs and API Gateway REST APIs): ``headers`` with repeats
joined, and ``cookies``, which both of them read. ``multiValueHeaders`` is read but never written, since a REST API
merges the maps. The delimiter cannot occur in the head: JSON allows no control character in a string, NUL included, and
only four white-space bytes between tokens (RFC 8259 sections 2 and 7). So the first NUL ends the head.
"""

from __future__ import annotations

import orjson

from adapter.errors import InvalidFunctionResponse
from adapter.payload.formats.http_api import format_2_head
from adapter.payload.function_response import parsed_object
from adapter.payload.headers import joined

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from adapter.payload.messages import ResponseHead

DELIMITER = b"\0" * 8
#: The content type that announces a prelude to Lambda.
CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"
#: In bytes. AWS names no limit; this is what Lambda allows for the request line and headers of a request, which no
#: front door exceeds in a response.
MAX_PRELUDE_BYTES = 1024 * 1024


def encode_prelude(head: ResponseHead) -> bytes:
    """The prelude for ``head``, delimiter included."""
    headers, cookies = joined(head.headers)
    return orjson.dumps({"statusCode": head.status, "headers": headers, "cookies": cookies}) + DELIMITER


class PreludeDecoder:
    """Finds the head in a stream that arrives in pieces of any size. One decoder serves one stream."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> tuple[ResponseHead | None, bytes]:
        """The head, once it is complete, and the body bytes that came with it; before that None and nothing.

        Raises InvalidFunctionResponse as soon as the stream cannot be a prelude any more.
        """
        buffer = self._buffer
        searched = len(buffer)
        buffer += data
        end = buffer.find(0, max(0, searched - len(DELIMITER)))
        if end < 0:
            if len(buffer) > MAX_PRELUDE_BYTES:
                raise InvalidFunctionResponse(f"no metadata prelude ended within {MAX_PRELUDE_BYTES} bytes")
            return None, b""
        delimiter = buffer[end : end + len(DELIMITER)]
        if not DELIMITER.startswith(delimiter):
            raise InvalidFunctionResponse("the metadata prelude is not followed by 8 NUL bytes")
        if len(delimiter) < len(DELIMITER):
            return None, b""
        return self._head(end), bytes(buffer[end + len(DELIMITER) :])

    def fail_unfinished(self) -> NoReturn:
        """Says that the stream ended before `feed` gave a head. Raises InvalidFunctionResponse."""
        raise InvalidFunctionResponse(
            f"the response ended within its metadata prelude, after {len(self._buffer)} bytes"
        )

    def _head(self, end: int) -> ResponseHead:
        if end > MAX_PRELUDE_BYTES:
            raise InvalidFunctionResponse(f"the metadata prelude has {end} bytes, the limit is {MAX_PRELUDE_BYTES}")
        prelude = {"statusCode": 200} | parsed_object(self._buffer[:end])
        if prelude.get("multiValueHeaders") is None:
            # The Rust runtime writes a repeated header as a list within the single-value map.
            prelude |= {"headers": None, "multiValueHeaders": prelude.get("headers")}
        return format_2_head(prelude)
