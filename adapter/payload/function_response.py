"""A function's response as front doors read it: a buffered payload, or a metadata prelude followed by a stream.

A front door expects a status, headers and a body from the function and answers 502 if it cannot read them. Each codec
selects the fields that its front door allows; this module parses them. `InvalidFunctionResponse` stands for the 502.

A metadata prelude is a JSON head and 8 NUL bytes; the body follows. Preludes have the same shape for all front doors
that stream (function URLs and API Gateway REST APIs): ``headers`` with repeats joined, and ``cookies``.
``multiValueHeaders`` are accepted but never written, since a REST API would merge the two maps. The first NUL ends the
head, because JSON text cannot contain a NUL (RFC 8259 sections 2 and 7).
"""

from __future__ import annotations

import orjson

from adapter.aws.limits import MIB
from adapter.errors import InvalidFunctionResponse
from adapter.payload.body import decode_body
from adapter.payload.headers import MAX_FIELDS, from_both, join_repeats
from adapter.payload.messages import ResponseHead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from adapter.payload.headers import Headers

#: The range of HTTP statuses. A status below 200 is not final (RFC 9110 section 15).
STATUS_MIN, STATUS_MAX = 100, 599

#: The bytes between the JSON head of a stream and its body.
DELIMITER = b"\0" * 8
#: The content type that announces a metadata prelude to Lambda.
CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"
#: In bytes. AWS documents no limit. This is Lambda's limit for the request line and headers of a request; every front
#: door allows less for response headers.
MAX_PRELUDE_BYTES = MIB


def parse_json(payload: bytes | bytearray) -> Any:
    """Parse ``payload``. Raises InvalidFunctionResponse if it is not JSON."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise InvalidFunctionResponse(f"the function's response is not JSON: {error}") from error


def parse_object(payload: bytes | bytearray) -> dict[str, Any]:
    """Parse ``payload``. Raises InvalidFunctionResponse if it is not a JSON object."""
    response = parse_json(payload)
    if not isinstance(response, dict):
        raise InvalidFunctionResponse(
            f"the function's response is of type {type(response).__name__}, not a JSON object"
        )
    return response


def head_of(response: dict[str, Any], single: Any, multi: Any) -> ResponseHead:
    """Return the status of ``response``, with the headers of the maps ``single`` and ``multi``.

    Raises InvalidFunctionResponse if the status or a map is malformed.
    """
    headers = headers_of(single, multi)
    return ResponseHead(status=status_of(response), headers=headers)


def format_2_head(response: dict[str, Any]) -> ResponseHead:
    """Return status, headers and cookies of payload format 2.0, which is also the format of metadata preludes.

    Raises InvalidFunctionResponse if any of them is malformed.
    """
    headers = headers_of(response.get("headers"), response.get("multiValueHeaders"))
    return ResponseHead(status=status_of(response), headers=headers + set_cookies_of(response))


def body_of(response: dict[str, Any]) -> bytes:
    """Return ``body``, decoded according to ``isBase64Encoded``. Raises InvalidFunctionResponse if it is malformed."""
    return decode_body(response.get("body"), response.get("isBase64Encoded"), InvalidFunctionResponse)


def status_of(response: dict[str, Any]) -> int:
    """Return ``statusCode``, which may be an integer from 100 to 599 or a string of three digits.

    Raises InvalidFunctionResponse for anything else.
    """
    code = response.get("statusCode")
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == len(str(STATUS_MAX)):
        code = int(code)
    if not isinstance(code, int) or not STATUS_MIN <= code <= STATUS_MAX:
        raise InvalidFunctionResponse(f"statusCode is {code!r}, not an integer from {STATUS_MIN} to {STATUS_MAX}")
    return code


def headers_of(single: Any, multi: Any) -> Headers:
    """Return the headers of both maps. Numbers and booleans are converted to their JSON text, as AWS does.

    Raises InvalidFunctionResponse for values of other types, for names or values that HTTP does not allow, and for more
    than ``MAX_FIELDS`` headers.
    """
    headers = from_both(_with_text(single), _with_text(multi), InvalidFunctionResponse)
    if len(headers) > MAX_FIELDS:
        raise InvalidFunctionResponse(
            f"the function's response has {len(headers)} headers or cookies, the limit is {MAX_FIELDS}"
        )
    return headers


def set_cookies_of(response: dict[str, Any]) -> Headers:
    """Return ``cookies``, a list of strings, as Set-Cookie headers. Raises InvalidFunctionResponse for other types."""
    cookies = response.get("cookies")
    if cookies is None or cookies == []:
        return []
    if not isinstance(cookies, list):
        raise InvalidFunctionResponse(f"cookies is of type {type(cookies).__name__}, not a list of strings")
    return headers_of(None, {"set-cookie": cookies})


def _with_text(values: Any) -> Any:
    """Return the map with its numbers and booleans as text. A value that is not a map is returned unchanged."""
    if not isinstance(values, dict):
        return values
    return {name: [*map(_text, value)] if isinstance(value, list) else _text(value) for name, value in values.items()}


def _text(value: Any) -> Any:
    """Return a number or a boolean as its JSON text, and any other value unchanged."""
    return orjson.dumps(value).decode() if isinstance(value, bool | int | float) else value


def encode_prelude(head: ResponseHead) -> bytes:
    """Return the metadata prelude for ``head``, including the delimiter."""
    headers, cookies = join_repeats(head.headers)
    return orjson.dumps({"statusCode": head.status, "headers": headers, "cookies": cookies}) + DELIMITER


class PreludeDecoder:
    """A decoder for the metadata prelude of one stream, which may arrive in pieces of any size."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> tuple[ResponseHead | None, bytes]:
        """Parse the next piece. Return the head and the body bytes after it; until it is complete, return (None, b"").

        Raises InvalidFunctionResponse as soon as the bytes cannot be a prelude.
        """
        buffer = self._buffer
        searched = len(buffer)
        buffer += data
        end = buffer.find(0, max(0, searched - len(DELIMITER)))
        if end < 0:
            if len(buffer) > MAX_PRELUDE_BYTES:
                raise InvalidFunctionResponse(f"the metadata prelude does not end within {MAX_PRELUDE_BYTES} bytes")
            return None, b""
        delimiter = buffer[end : end + len(DELIMITER)]
        if not DELIMITER.startswith(delimiter):
            raise InvalidFunctionResponse("the metadata prelude is not followed by 8 NUL bytes")
        if len(delimiter) < len(DELIMITER):
            return None, b""
        return self._head(end), bytes(buffer[end + len(DELIMITER) :])

    def fail_unfinished(self) -> NoReturn:
        """Raise InvalidFunctionResponse. Call this if the stream ends before `feed` has returned a head."""
        raise InvalidFunctionResponse(
            f"the response ended within its metadata prelude, after {len(self._buffer)} bytes"
        )

    def _head(self, end: int) -> ResponseHead:
        if end > MAX_PRELUDE_BYTES:
            raise InvalidFunctionResponse(f"the metadata prelude has {end} bytes, the limit is {MAX_PRELUDE_BYTES}")
        prelude = {"statusCode": 200} | parse_object(self._buffer[:end])
        if prelude.get("multiValueHeaders") is None:
            # The Rust runtime writes a repeated header as a list within the single-value map.
            prelude |= {"headers": None, "multiValueHeaders": prelude.get("headers")}
        return format_2_head(prelude)
