"""VPC Lattice targets, event structure versions 1 and 2.

Version 1 has snake_case names and single values. Version 2 has camelCase names, lists of header values and a request
context. The query parameters in events are still percent-encoded in version 1 and decoded in version 2.

AWS's documentation leaves some details open, so several variants of events are accepted [unsure]. If the path contains
a "?", the query is read from the path, else from the query map. A header or parameter may be a string or a list.
"""

from __future__ import annotations

from adapter.errors import InvalidEvent
from adapter.payload.body import decode_body, event_body
from adapter.payload.formats.codec import SingleValueResponseCodec
from adapter.payload.headers import from_lists, group_by_name, request_map
from adapter.payload.messages import Request
from adapter.payload.request_target import (
    decode_query,
    encode_query,
    join_query,
    method_of,
    query_lists,
    query_pairs,
    request_target,
    split_query,
    split_target,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from adapter.payload.messages import Arrival
    from adapter.payload.request_target import Pairs

_MICROSECONDS_PER_MS = 1000


def _target(path: Any, parameters: Any, query_of: Callable[[Pairs], str]) -> str:
    if isinstance(path, str) and "?" in path:
        return request_target(*split_target(path), is_encoded=True)
    return request_target(path, query_of(query_pairs(parameters)), is_encoded=True)


class LatticeV1(SingleValueResponseCodec):
    """Event structure version 1."""

    name = "lattice-v1"
    base64_key = "is_base64_encoded"

    def matches(self, event: Any) -> bool:
        return isinstance(event, dict) and "raw_path" in event and "method" in event and "requestContext" not in event

    def decode_request(self, event: Any) -> Request:
        return Request(
            method=method_of(event["method"]),
            target=_target(event["raw_path"], event.get("query_string_parameters"), join_query),
            headers=from_lists(event.get("headers"), InvalidEvent),
            body=decode_body(event.get("body"), event.get(self.base64_key), InvalidEvent),
        )

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        body, is_base64 = event_body(request.headers, request.body)
        return {
            "raw_path": request.target,
            "method": request.method,
            "headers": request_map(request.headers),
            "query_string_parameters": dict(split_query(split_target(request.target)[1])),
            "body": body,
            "is_base64_encoded": is_base64,
        }


class LatticeV2(SingleValueResponseCodec):
    """Event structure version 2."""

    name = "lattice-v2"

    def matches(self, event: Any) -> bool:
        """Return whether ``event`` has version 2.0 and a service network, and is not from an HTTP API."""
        if not isinstance(event, dict) or event.get("version") != "2.0" or "method" not in event:
            return False
        context = event.get("requestContext")
        return isinstance(context, dict) and "serviceNetworkArn" in context and "http" not in context

    def decode_request(self, event: Any) -> Request:
        return Request(
            method=method_of(event["method"]),
            target=_target(event.get("path"), event.get("queryStringParameters"), encode_query),
            headers=from_lists(event.get("headers"), InvalidEvent),
            body=decode_body(event.get("body"), event.get("isBase64Encoded"), InvalidEvent),
        )

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        path, query = split_target(request.target)
        body, is_base64 = event_body(request.headers, request.body)
        return {
            "version": "2.0",
            "path": path,
            "method": request.method,
            "headers": group_by_name(request.headers),
            "queryStringParameters": query_lists(decode_query(query)),
            "body": body,
            "isBase64Encoded": is_base64,
            "requestContext": {
                "serviceNetworkArn": arrival.arn("vpc-lattice", "servicenetwork/sn-0123456789abcdef0"),
                "serviceArn": arrival.arn("vpc-lattice", "service/svc-0123456789abcdef0"),
                "targetGroupArn": arrival.arn("vpc-lattice", "targetgroup/tg-0123456789abcdef0"),
                "identity": {"sourceVpcArn": arrival.arn("ec2", "vpc/vpc-0123456789abcdef0")},
                "region": arrival.region,
                "timeEpoch": str(arrival.time_ms * _MICROSECONDS_PER_MS),
            },
        }
