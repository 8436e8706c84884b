"""A function's response, read as front doors read it.

A front door takes a JSON object with a status, headers and a body from the function and answers 502 when it cannot.
The codecs say which fields theirs allows; the fields themselves are read here. ``InvalidFunctionResponse`` is the 502.
"""

from __future__ import annotations

import orjson

from adapter.errors import InvalidFunctionResponse
from adapter.payload.body import decoded_body
from adapter.payload.headers import from_both

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adapter.payload.headers import Headers

#: Statuses that HTTP has; those below 200 are not final (RFC 9110, section 15).
STATUS_MIN, STATUS_MAX = 100, 599


def parsed(payload: bytes | bytearray) -> Any:
    """``payload`` as JSON."""
    try:
        return orjson.loads(payload)
    except orjson.JSONDecodeError as error:
        raise InvalidFunctionResponse(f"the function's response is not JSON: {error}") from error


def parsed_object(payload: bytes | bytearray) -> dict[str, Any]:
    """``payload`` as a JSON object."""
    response = parsed(payload)
    if not isinstance(response, dict):
        raise InvalidFunctionResponse(
            f"the function's response is of type {type(response).__name__}, not a JSON object"
        )
    return response


def status_of(response: dict[str, Any]) -> int:
    """``statusCode``: an integer from 100 to 599, or a string of its digits."""
    code = response.get("statusCode")
    if isinstance(code, str) and code.isascii() and code.isdigit() and len(code) == len(str(STATUS_MAX)):
        code = int(code)
    if not isinstance(code, int) or not STATUS_MIN <= code <= STATUS_MAX:
        raise InvalidFunctionResponse(f"statusCode is {code!r}, not an integer from {STATUS_MIN} to {STATUS_MAX}")
    return code


def headers_of(single: Any, multi: Any) -> Headers:
    """The headers of both maps. Numbers and booleans count as their JSON text, as they do at AWS."""
    return from_both(_with_text(single), _with_text(multi), InvalidFunctionResponse)


def set_cookies_of(response: dict[str, Any]) -> Headers:
    """``cookies``, a list of strings, as Set-Cookie headers."""
    cookies = response.get("cookies")
    if cookies is None:
        return []
    if not isinstance(cookies, list):
        raise InvalidFunctionResponse(f"cookies is of type {type(cookies).__name__}, not a list of strings")
    return headers_of(None, {"set-cookie": cookies})


def _with_text(values: Any) -> Any:
    if not isinstance(values, dict):
        return values
    return {name: [*map(_text, value)] if isinstance(value, list) else _text(value) for name, value in values.items()}


def _text(value: Any) -> Any:
    """A header value that is a number or a boolean as text; everything else as it is, for the check to judge."""
    return orjson.dumps(value).decode() if isinstance(value, bool | int | float) else value


def function_body(response: dict[str, Any]) -> bytes:
    """``body``, decoded as ``isBase64Encoded`` says."""
    return decoded_body(response.get("body"), response.get("isBase64Encoded"), InvalidFunctionResponse)
