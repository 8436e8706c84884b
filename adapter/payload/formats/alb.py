"""Application Load Balancer targets, with multi-value headers off (the default) or on.

A setting of the target group, "multi-value headers", decides which maps an event contains, and which map of a response
the load balancer reads. So a response must contain the same kind of map as its event. Query parameters in events are
still percent-encoded.

With multi-value headers off, an event contains only the last value of each header and of each query parameter (Elastic
Load Balancing, "Lambda functions as targets"). Of the cookies in the app's response, only the last is sent. But
if the user's settings require all cookies, all are sent, in headers whose names differ in case.
"""

from __future__ import annotations

from adapter.errors import InvalidEvent
from adapter.payload.body import decode_body, event_body, response_parts
from adapter.payload.formats.codec import Codec, SingleValueResponseCodec
from adapter.payload.function_response import body_of, head_of, parse_object
from adapter.payload.headers import from_lists, from_map, group_by_name
from adapter.payload.messages import Request
from adapter.payload.request_target import (
    join_query,
    method_of,
    query_lists,
    query_pairs,
    request_target,
    split_query,
    split_target,
)
from adapter.payload.status_line import status_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adapter.payload.body import BodyRules
    from adapter.payload.headers import Headers
    from adapter.payload.messages import Arrival, ResponseHead
    from adapter.payload.request_target import Pairs


def _is_alb(event: Any) -> bool:
    if not isinstance(event, dict) or "httpMethod" not in event or "version" in event:
        return False
    context = event.get("requestContext")
    return isinstance(context, dict) and "elb" in context


def _request(event: Any, headers: Headers, query: Pairs) -> Request:
    return Request(
        method=method_of(event["httpMethod"]),
        target=request_target(event.get("path"), join_query(query), is_encoded=True),
        headers=headers,
        body=decode_body(event.get("body"), event.get("isBase64Encoded"), InvalidEvent),
    )


def _event(request: Request, arrival: Arrival, maps: dict[str, Any]) -> dict[str, Any]:
    body, is_base64 = event_body(request.headers, request.body)
    group = arrival.arn("elasticloadbalancing", f"targetgroup/{arrival.api_id}/0123456789abcdef")
    return {
        "requestContext": {"elb": {"targetGroupArn": group}},
        "httpMethod": request.method,
        "path": split_target(request.target)[0],
        **maps,
        "body": body,
        "isBase64Encoded": is_base64,
    }


class AlbSingleValue(SingleValueResponseCodec):
    """The format of a target group with multi-value headers off."""

    name = "alb"

    def matches(self, event: Any) -> bool:
        return _is_alb(event) and event.get("multiValueHeaders") is None

    def decode_request(self, event: Any) -> Request:
        headers = from_map(event.get("headers"), InvalidEvent)
        return _request(event, headers, query_pairs(event.get("queryStringParameters")))

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        query = split_query(split_target(request.target)[1])
        headers = {name.lower(): value for name, value in request.headers}
        return _event(request, arrival, {"queryStringParameters": dict(query), "headers": headers})


class AlbMultiValue(Codec):
    """The format of a target group with multi-value headers on."""

    name = "alb-multi-value"

    def matches(self, event: Any) -> bool:
        return _is_alb(event) and event.get("multiValueHeaders") is not None

    def decode_request(self, event: Any) -> Request:
        headers = from_lists(event["multiValueHeaders"], InvalidEvent)
        query = query_pairs(event.get("queryStringParameters"), event.get("multiValueQueryStringParameters"))
        return _request(event, headers, query)

    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        response = {
            "statusCode": head.status,
            "statusDescription": status_line(head.status),
            "multiValueHeaders": group_by_name(head.headers),
        }
        return response_parts(response, head.headers, body, rules)

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        query = split_query(split_target(request.target)[1])
        maps = {
            "multiValueQueryStringParameters": query_lists(query),
            "multiValueHeaders": group_by_name(request.headers),
        }
        return _event(request, arrival, maps)

    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        response = parse_object(payload)
        return head_of(response, None, response.get("multiValueHeaders")), body_of(response)
