"""API Gateway HTTP API (payload format 2.0) and Lambda function URLs, which share one format.

Names are lower case, repeated headers and query parameters are joined with a comma, cookies have a list of their own in
both directions, and ``rawPath`` and ``rawQueryString`` are what the client sent. (HTTP APIs decode ``rawPath`` once,
function URLs leave it encoded; neither can be told from the event, so that it is used as it is.) A stage other than
``$default`` is part of ``rawPath``: that is what the base path option is for.
"""

from __future__ import annotations

from adapter.errors import InvalidEvent
from adapter.payload.body import decoded_body, event_body, response_parts
from adapter.payload.formats.codec import Codec
from adapter.payload.formats.event_fields import PROTOCOL, listed_parameters, log_time
from adapter.payload.function_response import function_body, headers_of, parsed, set_cookies_of, status_of
from adapter.payload.headers import check, cookies_of, first, from_map, joined, request_map
from adapter.payload.messages import Request, ResponseHead
from adapter.payload.request_target import decoded_query, method_of, request_target, split_target

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adapter.payload.body import BodyRules
    from adapter.payload.headers import Headers
    from adapter.payload.messages import Arrival

_ROUTE = "$default"


class HttpApi(Codec):
    """Payload format 2.0."""

    name = "http-api"

    def matches(self, event: Any) -> bool:
        """Format 2.0 with ``requestContext.http``; an authorizer's event has a ``type`` besides and is not HTTP."""
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
            body=decoded_body(event.get("body"), event.get("isBase64Encoded"), InvalidEvent),
        )

    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        headers, cookies = joined(head.headers)
        response = {"statusCode": head.status, "headers": headers, "cookies": cookies}
        return response_parts(response, head.headers, body, rules)

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        """A function URL's event. Fields with nothing in them are absent, as they are there."""
        path, query = split_target(request.target)
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": _ROUTE,
            "rawPath": path,
            "rawQueryString": query,
            "headers": request_map(request.headers),
            "requestContext": _request_context(request, arrival, path),
        }
        if cookies := cookies_of(request.headers):
            event["cookies"] = cookies
        if parameters := listed_parameters(decoded_query(query)):
            event["queryStringParameters"] = {name: ",".join(values) for name, values in parameters.items()}
        body, event["isBase64Encoded"] = event_body(request.headers, request.body)
        if body:
            event["body"] = body
        return event

    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        """As AWS: JSON without a ``statusCode`` is itself the body of a 200 answer of type ``application/json``."""
        response = parsed(payload)
        if not isinstance(response, dict) or "statusCode" not in response:
            return ResponseHead(status=200, headers=[("content-type", "application/json")]), bytes(payload)
        return format_2_head(response), function_body(response)


def format_2_head(response: dict[str, Any]) -> ResponseHead:
    """Status, headers and cookies of format 2.0, which metadata preludes use as well."""
    headers = headers_of(response.get("headers"), response.get("multiValueHeaders"))
    return ResponseHead(status=status_of(response), headers=headers + set_cookies_of(response))


def _with_cookies(headers: Headers, cookies: Any) -> Headers:
    """``headers`` with one Cookie header, which has those of ``cookies`` and any others that a header had."""
    if not isinstance(cookies, list):
        raise InvalidEvent(f"the event's cookies are of type {type(cookies).__name__}, not a list")
    check(("cookie",), cookies, InvalidEvent)
    known = set(cookies_of([("cookie", cookie) for cookie in cookies]))
    merged = cookies + [cookie for cookie in cookies_of(headers) if cookie not in known]
    others = [header for header in headers if header[0].lower() != "cookie"]
    return [*others, ("cookie", "; ".join(merged))]


def _request_context(request: Request, arrival: Arrival, path: str) -> dict[str, Any]:
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
            "userAgent": first(request.headers, "user-agent"),
        },
        "requestId": arrival.request_id,
        "routeKey": _ROUTE,
        "stage": arrival.stage,
        "time": log_time(arrival.time_ms),
        "timeEpoch": arrival.time_ms,
    }
