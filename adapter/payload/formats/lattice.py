"""VPC Lattice targets, event structure versions 1 and 2.

Version 1 has snake_case names and single values; version 2 camelCase names, lists of header values and a request
context. What AWS's documents leave open is read so that either answer works [unsure]: a path with a "?" carries the
whole query, and the query map counts only without one; parameter values are decoded in version 2 and still encoded in
version 1; a value may be a string or a list. Responses have a single-value map: only the last cookie survives.
"""

from __future__ import annotations

from adapter.errors import InvalidEvent
from adapter.payload.body import decoded_body, event_body, response_parts
from adapter.payload.formats.codec import Codec
from adapter.payload.formats.event_fields import REGION, listed_parameters, single_parameters
from adapter.payload.function_response import function_body, headers_of, parsed_object, status_of
from adapter.payload.headers import from_lists, last_values, listed, request_map
from adapter.payload.messages import Request, ResponseHead
from adapter.payload.request_target import (
    decoded_query,
    encoded_query,
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
    from collections.abc import Callable
    from typing import Any

    from adapter.payload.body import BodyRules
    from adapter.payload.messages import Arrival
    from adapter.payload.request_target import Pairs

_MICROSECONDS_PER_MS = 1000


def _target(path: Any, parameters: Any, query_of: Callable[[Pairs], str]) -> str:
    if isinstance(path, str) and "?" in path:
        return request_target(*split_target(path))
    return request_target(path, query_of(query_pairs(parameters)))


class Lattice(Codec):
    """What both versions share: the response."""

    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        response = {
            "statusCode": head.status,
            "statusDescription": status_line(head.status),
            "headers": last_values(head.headers),
        }
        return response_parts(response, head.headers, body, rules)

    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        response = parsed_object(payload)
        headers = headers_of(response.get("headers"), None)
        return ResponseHead(status=status_of(response), headers=headers), function_body(response)


class LatticeV1(Lattice):
    """Event structure version 1."""

    name = "lattice-v1"
    base64_key = "is_base64_encoded"

    def matches(self, event: Any) -> bool:
        return isinstance(event, dict) and "raw_path" in event and "method" in event and "requestContext" not in event

    def decode_request(self, event: Any) -> Request:
        return Request(
            method=method_of(event["method"]),
            target=_target(event["raw_path"], event.get("query_string_parameters"), joined_query),
            headers=from_lists(event.get("headers"), InvalidEvent),
            body=decoded_body(event.get("body"), event.get(self.base64_key), InvalidEvent),
        )

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        body, is_base64 = event_body(request.headers, request.body)
        return {
            "raw_path": request.target,
            "method": request.method,
            "headers": request_map(request.headers),
            "query_string_parameters": single_parameters(split_query(split_target(request.target)[1])),
            "body": body,
            "is_base64_encoded": is_base64,
        }


class LatticeV2(Lattice):
    """Event structure version 2."""

    name = "lattice-v2"

    def matches(self, event: Any) -> bool:
        """Format 2.0 with a service network; an HTTP API has ``requestContext.http`` instead."""
        if not isinstance(event, dict) or event.get("version") != "2.0" or "method" not in event:
            return False
        context = event.get("requestContext")
        return isinstance(context, dict) and "serviceNetworkArn" in context and "http" not in context

    def decode_request(self, event: Any) -> Request:
        return Request(
            method=method_of(event["method"]),
            target=_target(event.get("path"), event.get("queryStringParameters"), encoded_query),
            headers=from_lists(event.get("headers"), InvalidEvent),
            body=decoded_body(event.get("body"), event.get("isBase64Encoded"), InvalidEvent),
        )

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        path, query = split_target(request.target)
        body, is_base64 = event_body(request.headers, request.body)
        owner = f"{REGION}:{arrival.account_id}"
        return {
            "version": "2.0",
            "path": path,
            "method": request.method,
            "headers": listed(request.headers),
            "queryStringParameters": listed_parameters(decoded_query(query)),
            "body": body,
            "isBase64Encoded": is_base64,
            "requestContext": {
                "serviceNetworkArn": f"arn:aws:vpc-lattice:{owner}:servicenetwork/sn-0123456789abcdef0",
                "serviceArn": f"arn:aws:vpc-lattice:{owner}:service/svc-0123456789abcdef0",
                "targetGroupArn": f"arn:aws:vpc-lattice:{owner}:targetgroup/tg-0123456789abcdef0",
                "identity": {"sourceVpcArn": f"arn:aws:ec2:{owner}:vpc/vpc-0123456789abcdef0"},
                "region": REGION,
                "timeEpoch": str(arrival.time_ms * _MICROSECONDS_PER_MS),
            },
        }
