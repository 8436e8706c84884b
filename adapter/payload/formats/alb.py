"""Application Load Balancer targets, with multi-value headers off (the default) or on.

The target group's setting decides which maps an event has and which map of a response the load balancer reads, so the
response has the kind that came in. Query parameters stay encoded. With the setting off repeated headers are joined,
and of several cookies the last one survives: ask for multi-value headers where that matters.
"""

from __future__ import annotations

from adapter.errors import InvalidEvent
from adapter.payload.body import decoded_body, event_body, response_parts
from adapter.payload.formats.codec import Codec
from adapter.payload.formats.event_fields import REGION, listed_parameters, single_parameters
from adapter.payload.function_response import function_body, headers_of, parsed_object, status_of
from adapter.payload.headers import from_lists, from_map, last_values, listed, request_map
from adapter.payload.messages import Request, ResponseHead
from adapter.payload.request_target import (
    joined_query,
    method_of,
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
    from adapter.payload.messages import Arrival


def _is_alb(event: Any) -> bool:
    if not isinstance(event, dict) or "httpMethod" not in event or "version" in event:
        return False
    context = event.get("requestContext")
    return isinstance(context, dict) and "elb" in context


def _event(request: Request, arrival: Arrival, maps: dict[str, Any]) -> dict[str, Any]:
    body, is_base64 = event_body(request.headers, request.body)
    group = f"targetgroup/{arrival.api_id}/0123456789abcdef"
    arn = f"arn:aws:elasticloadbalancing:{REGION}:{arrival.account_id}:{group}"
    return {
        "requestContext": {"elb": {"targetGroupArn": arn}},
        "httpMethod": request.method,
        "path": split_target(request.target)[0],
        **maps,
        "body": body,
        "isBase64Encoded": is_base64,
    }


class AlbSingleValue(Codec):
    """A target group with multi-value headers off."""

    name = "alb"

    def matches(self, event: Any) -> bool:
        return _is_alb(event) and event.get("multiValueHeaders") is None

    def decode_request(self, event: Any) -> Request:
        query = query_pairs(event.get("queryStringParameters"))
        return Request(
            method=method_of(event["httpMethod"]),
            target=request_target(event.get("path"), joined_query(query)),
            headers=from_map(event.get("headers"), InvalidEvent),
            body=decoded_body(event.get("body"), event.get("isBase64Encoded"), InvalidEvent),
        )

    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        response = {
            "statusCode": head.status,
            "statusDescription": status_line(head.status),
            "headers": last_values(head.headers),
        }
        return response_parts(response, head.headers, body, rules)

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        query = split_query(split_target(request.target)[1])
        maps = {"queryStringParameters": single_parameters(query), "headers": request_map(request.headers)}
        return _event(request, arrival, maps)

    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        response = parsed_object(payload)
        headers = headers_of(response.get("headers"), None)
        return ResponseHead(status=status_of(response), headers=headers), function_body(response)


class AlbMultiValue(Codec):
    """A target group with multi-value headers on."""

    name = "alb-multi-value"

    def matches(self, event: Any) -> bool:
        return _is_alb(event) and event.get("multiValueHeaders") is not None

    def decode_request(self, event: Any) -> Request:
        query = query_pairs(event.get("queryStringParameters"), event.get("multiValueQueryStringParameters"))
        return Request(
            method=method_of(event["httpMethod"]),
            target=request_target(event.get("path"), joined_query(query)),
            headers=from_lists(event["multiValueHeaders"], InvalidEvent),
            body=decoded_body(event.get("body"), event.get("isBase64Encoded"), InvalidEvent),
        )

    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        response = {
            "statusCode": head.status,
            "statusDescription": status_line(head.status),
            "multiValueHeaders": listed(head.headers),
        }
        return response_parts(response, head.headers, body, rules)

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        query = split_query(split_target(request.target)[1])
        maps = {
            "multiValueQueryStringParameters": listed_parameters(query),
            "multiValueHeaders": listed(request.headers),
        }
        return _event(request, arrival, maps)

    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        response = parsed_object(payload)
        headers = headers_of(None, response.get("multiValueHeaders"))
        return ResponseHead(status=status_of(response), headers=headers), function_body(response)
