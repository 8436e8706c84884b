"""Parses a Lambda function's response as front doors do: a buffered payload, or a stream after a metadata prelude.

A front door expects a status, headers and a body from the function. A front door that cannot parse them answers 502.
Each codec selects the fields that its front door allows; this module parses them. It raises `InvalidFunctionResponse`
in the cases that AWS answers with 502.

A metadata prelude is a JSON head followed by 8 NUL bytes. The body follows the prelude. Preludes are the same for all
front doors that stream (function URLs and API Gateway REST APIs): they contain ``statusCode``, ``headers`` (with
repeated headers joined) and ``cookies``. ``multiValueHeaders`` are accepted too, but never written, since front doors
merge them with ``headers``. The first NUL ends the head, because JSON text cannot contain a NUL (RFC 8259 sections 2
and 7).
"""

from __future__ import annotations

import orjson

from adapter.aws.limits import MIB
from adapter.errors import InvalidFunctionResponse
from adapter.payload.body import decode_body
from adapter.payload.headers import MAX_FIELDS, from_lists, from_map, join_repeats
from adapter.payload.messages import ResponseHead

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Final, NoReturn

    from adapter.payload.headers import Headers

#: The lowest and the highest HTTP status. A status below 200 is not final (RFC 9110 section 15).
STATUS_MIN: Final = 100
STATUS_MAX: Final = 599

#: The bytes between the JSON head of a stream and its body.
DELIMITER: Final = b"\0" * 8
#: The content type that announces a metadata prelude to Lambda.
CONTENT_TYPE: Final = "application/vnd.awslambda.http-integration-response"
#: The maximum size of a prelude, in bytes. AWS documents no limit. Lambda's limit for the head of a request is used,
#: since every front door allows less than this for response headers.
MAX_PRELUDE_BYTES: Final = MIB


def parse_json(payload: bytes | bytearray) -> Any:
    """Return the JSON value that ``payload`` contains. Raises InvalidFunctionResponse if ``payload`` is not JSON."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise InvalidFunctionResponse(f"the function's response is not JSON: {error}") from error


def parse_object(payload: bytes | bytearray) -> dict[str, Any]:
    """Return the JSON object in ``payload``. Raises InvalidFunctionResponse if ``payload`` is not a JSON object."""
    response = parse_json(payload)
    if not isinstance(response, dict):
        raise InvalidFunctionResponse(
            f"the function's response is of type {type(response).__name__}, not a JSON object"
        )
    return response


def head_of(response: dict[str, Any], single: Any, multi: Any) -> ResponseHead:
    """Return the status of ``response`` and the headers in the maps ``single`` and ``multi``.

    Raises InvalidFunctionResponse if the status or a map is malformed.
    """
    headers = headers_of(single, multi)
    return ResponseHead(status=status_of(response), headers=headers)


def format_2_head(response: dict[str, Any]) -> ResponseHead:
    """Return status, headers and cookies of a response in payload format 2.0. Metadata preludes have the same format.

    Raises InvalidFunctionResponse if the status, a header or a cookie is malformed.
    """
    headers = headers_of(response.get("headers"), response.get("multiValueHeaders"))
    return ResponseHead(status=status_of(response), headers=headers + set_cookies_of(response))


def body_of(response: dict[str, Any]) -> bytes:
    """Return the body of ``response``. Decode it from base64 if ``isBase64Encoded`` is True.

    Raises InvalidFunctionResponse if either field is malformed.
    """
    return bytes(decode_body(response.get("body"), response.get("isBase64Encoded"), InvalidFunctionResponse))


def status_of(response: dict[str, Any]) -> int:
    """Return ``statusCode`` of ``response``: an integer from 100 to 599, which may be written as a string.

    Raises InvalidFunctionResponse for any other value.
    """
    code = response.get("statusCode")
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == len(str(STATUS_MAX)):
        code = int(code)
    if not isinstance(code, int) or not STATUS_MIN <= code <= STATUS_MAX:
        raise InvalidFunctionResponse(f"statusCode is {code!r}, not an integer from {STATUS_MIN} to {STATUS_MAX}")
    return code


def headers_of(single: Any, multi: Any) -> Headers:
    """Return the headers from two maps: ``single`` has one value per name, ``multi`` has lists of values.

    As on AWS, numbers and booleans become JSON text. If a name is in both maps, ignoring case, the values from both
    maps are returned. A value that is in both maps is returned once (API Gateway, "Output format of a Lambda function
    for proxy integration"). Raises InvalidFunctionResponse for values of other types, for names or values that HTTP
    does not allow, and for more than ``MAX_FIELDS`` headers.
    """
    headers = from_lists(_with_text(multi), InvalidFunctionResponse)
    others = from_map(_with_text(single), InvalidFunctionResponse)
    if headers and others:
        known = {(name.lower(), value) for name, value in headers}
        others = [(name, value) for name, value in others if (name.lower(), value) not in known]
    headers += others
    if len(headers) > MAX_FIELDS:
        raise InvalidFunctionResponse(
            f"the function's response has {len(headers)} headers or cookies, more than the limit of {MAX_FIELDS}"
        )
    return headers


def set_cookies_of(response: dict[str, Any]) -> Headers:
    """Return ``cookies`` of ``response`` as Set-Cookie headers.

    Raises InvalidFunctionResponse if ``cookies`` is not a list, or if a cookie is not a legal header value.
    """
    cookies = response.get("cookies")
    if cookies is None or cookies == []:
        return []
    if not isinstance(cookies, list):
        raise InvalidFunctionResponse(
            f"the response's cookies are of type {type(cookies).__name__}, not a list of strings"
        )
    return headers_of(None, {"set-cookie": cookies})


def _with_text(values: Any) -> Any:
    """Return the map ``values`` with its numbers and booleans as text. If ``values`` is not a map, return it as is."""
    if not isinstance(values, dict):
        return values
    return {name: [*map(_text, value)] if isinstance(value, list) else _text(value) for name, value in values.items()}


def _text(value: Any) -> Any:
    """Return the JSON text of a number or boolean. Return any other value unchanged."""
    return orjson.dumps(value).decode() if isinstance(value, bool | int | float) else value


def encode_prelude(head: ResponseHead) -> bytes:
    """Return the metadata prelude for ``head``, including the delimiter."""
    headers, cookies = join_repeats(head.headers)
    return orjson.dumps({"statusCode": head.status, "headers": headers, "cookies": cookies}) + DELIMITER


class PreludeDecoder:
    """Decodes the metadata prelude of one stream. The prelude may arrive in pieces of any size."""

    __slots__ = ("_buffer",)

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> tuple[ResponseHead | None, bytes]:
        """Parse the next piece. If the prelude is now complete, return its head and the body bytes after the prelude.

        Until then, return (None, b""). Raises InvalidFunctionResponse as soon as the bytes cannot be a prelude.
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
            raise InvalidFunctionResponse("the JSON of the metadata prelude is not followed by 8 NUL bytes")
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
            raise InvalidFunctionResponse(f"the metadata prelude exceeds {MAX_PRELUDE_BYTES} bytes")
        prelude = {"statusCode": 200} | parse_object(self._buffer[:end])
        if prelude.get("multiValueHeaders") is None:
            # The Rust runtime writes a repeated header as a list within the single-value map.
            prelude |= {"headers": None, "multiValueHeaders": prelude.get("headers")}
        return format_2_head(prelude)
