"""API Gateway HTTP API (payload format 2.0) and Lambda function URLs, which share one format.

Header names are lower case. Repeated headers and query parameters are joined with a comma. Events and responses contain
cookies in a separate list. ``rawQueryString`` is encoded as the client sent it. HTTP APIs decode ``rawPath``, but
function URLs leave it encoded. The runtime handles both paths in the same way: ``request_target`` encodes the
characters that a path must not contain, and leaves encoded characters unchanged. If the stage is not ``$default``,
``rawPath`` begins with the stage. The base path option removes the stage.
"""

from __future__ import annotations

from adapter.errors import InvalidEvent, RefusedRequest
from adapter.payload.body import decode_body, event_body, response_parts
from adapter.payload.formats.codec import PROTOCOL, Codec
from adapter.payload.function_response import body_of, format_2_head, parse_json
from adapter.payload.headers import (
    check_headers,
    cookies_of,
    first,
    from_map,
    join_repeats,
    request_map,
    without_connection,
)
from adapter.payload.messages import Request, ResponseHead
from adapter.payload.request_target import (
    decode_query,
    encode_lone_percents,
    method_of,
    percent_decode,
    query_lists,
    request_target,
    split_target,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from adapter.payload.body import BodyRules
    from adapter.payload.headers import Headers
    from adapter.payload.messages import Arrival

_ROUTE = "$default"


class HttpApi(Codec):
    """Payload format 2.0, with the events of an HTTP API."""

    name = "http-api"

    def matches(self, event: Any) -> bool:
        """Return whether ``event`` has version 2.0 and ``requestContext.http``, and is not for an authorizer."""
        if not isinstance(event, dict) or event.get("version") != "2.0" or event.get("type") == "REQUEST":
            return False
        context = event.get("requestContext")
        return isinstance(context, dict) and isinstance(context.get("http"), dict)

    def decode_request(self, event: Any) -> Request:
        headers = from_map(event.get("headers"), InvalidEvent)
        if cookies := event.get("cookies"):
            headers = _with_cookies(headers, cookies)
        return Request(
            method=method_of(event["requestContext"]["http"].get("method")),
            target=request_target(event.get("rawPath"), event.get("rawQueryString")),
            headers=headers,
            body=decode_body(event.get("body"), event.get("isBase64Encoded"), InvalidEvent),
        )

    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        headers, cookies = join_repeats(head.headers)
        response = {"statusCode": head.status, "headers": headers, "cookies": cookies}
        return response_parts(response, head.headers, body, rules)

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        """Return the event, without empty fields. Cookies are only in ``cookies``, not in ``headers`` [capture].

        Raises RefusedRequest if an HTTP API would refuse the path.
        """
        event = _event(request, request.headers, arrival, _gateway_path)
        event["rawPath"] = event["requestContext"]["http"]["path"]
        event["headers"].pop("cookie", None)
        return event

    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        """Return the response. As on AWS, JSON without a ``statusCode`` becomes the body of a 200 response.

        If the JSON is a string, the body is the text of the string. Otherwise, the body is the JSON without white space
        between its tokens. Function URLs remove this white space; it is not known whether HTTP APIs do [unsure].
        """
        response = parse_json(payload)
        if not isinstance(response, dict) or "statusCode" not in response:
            body = response.encode() if isinstance(response, str) else _compact(payload)
            return ResponseHead(status=200, headers=[("content-type", "application/json")]), body
        return format_2_head(response), body_of(response)


class FunctionUrl(HttpApi):
    """Payload format 2.0, with the events of a function URL. They differ from those of an HTTP API [capture]."""

    name = "function-url"

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        """Return the event of a function URL without authentication. Empty fields are omitted.

        The event does not contain the Connection header [capture]. The headers that Connection lists are omitted, too.
        Otherwise the runtime would forward them, because it does not get the Connection header.
        """
        event = _event(request, without_connection(request.headers), arrival, percent_decode)
        event["requestContext"]["accountId"] = "anonymous"
        return event


def _gateway_path(path: str) -> str:
    """Return ``path`` as an HTTP API writes it into events: decoded, cut off before the first "?", and decoded again.

    Raises RefusedRequest if an escape is malformed after the first decoding. All of this is from captures. The result
    for an escape that is malformed before the first decoding, or for bytes that are not UTF-8, is a guess [unsure].
    """
    once = percent_decode(path).partition("?")[0]
    if encode_lone_percents(once) != once:
        raise RefusedRequest(
            "an HTTP API decodes paths twice and refuses this path: an escape is malformed after the first decoding"
        )
    return percent_decode(once)


def _event(request: Request, headers: Headers, arrival: Arrival, decode_path: Callable[[str], str]) -> dict[str, Any]:
    """Return an event for ``request``, with the fields that HTTP APIs and function URLs share.

    ``headers`` replace the headers of ``request``. ``rawPath`` is still encoded. The path in the request context is
    decoded by ``decode_path``.
    """
    path, query = split_target(request.target)
    decoded_path = decode_path(path)
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": _ROUTE,
        "rawPath": path,
        "rawQueryString": query,
        "headers": request_map(headers),
        "requestContext": _request_context(request, headers, arrival, decoded_path),
    }
    if cookies := cookies_of(headers):
        event["cookies"] = cookies
    if parameters := query_lists(decode_query(query)):
        event["queryStringParameters"] = {name: ",".join(values) for name, values in parameters.items()}
    body, event["isBase64Encoded"] = event_body(headers, request.body)
    if body:
        event["body"] = body
    return event


def _compact(payload: bytes) -> bytes:
    """Return the JSON ``payload`` without white space between its tokens. Numbers and strings are not changed."""
    import re  # only the emulator decodes responses

    # Matches a string, which is kept, or white space, which is removed.
    return re.sub(rb'("(?:[^"\\]|\\.)*")|[ \t\r\n]+', rb"\1", payload)


def _with_cookies(headers: Headers, cookies: Any) -> Headers:
    """Return ``headers`` with one Cookie header: first ``cookies``, then all other cookies from the Cookie headers.

    Raises InvalidEvent if ``cookies`` is not a list of legal header values.
    """
    if not isinstance(cookies, list):
        raise InvalidEvent(f"the event's cookies are of type {type(cookies).__name__}, not a list")
    check_headers(("cookie",), cookies, InvalidEvent)
    known = set(cookies_of([("cookie", cookie) for cookie in cookies]))
    merged = cookies + [cookie for cookie in cookies_of(headers) if cookie not in known]
    others = [header for header in headers if header[0].lower() != "cookie"]
    return [*others, ("cookie", "; ".join(merged))]


def _request_context(request: Request, headers: Headers, arrival: Arrival, path: str) -> dict[str, Any]:
    return {
        "accountId": arrival.account_id,
        "apiId": arrival.api_id,
        "domainName": arrival.domain_name,
        "domainPrefix": arrival.domain_name.partition(".")[0],
        "http": {
            "method": request.method,
            "path": path,
            "protocol": PROTOCOL,
            "sourceIp": arrival.source_ip,
            "userAgent": first(headers, "user-agent"),
        },
        "requestId": arrival.request_id,
        "routeKey": _ROUTE,
        "stage": arrival.stage,
        "time": arrival.log_time,
        "timeEpoch": arrival.time_ms,
    }
