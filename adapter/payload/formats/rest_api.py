"""API Gateway REST API, and HTTP APIs with payload format 1.0, which has the same shape.

Events have every header and every query parameter twice, in a single-value and in a multi-value map, the parameters
decoded. Responses fill ``multiValueHeaders`` alone, since API Gateway merges both maps and would duplicate them.

``path`` has no stage (``requestContext.path`` has it). AWS does not say how far ``path`` is decoded [unsure], so that
its percent-encoded bytes are kept and only what a request line may not carry is encoded.
"""

from __future__ import annotations

from adapter.errors import InvalidEvent, InvalidFunctionResponse
from adapter.payload.body import decoded_body, event_body, response_parts
from adapter.payload.formats.codec import Codec
from adapter.payload.formats.event_fields import PROTOCOL, listed_parameters, log_time, single_parameters
from adapter.payload.function_response import function_body, headers_of, parsed_object, status_of
from adapter.payload.headers import first, from_both, listed
from adapter.payload.messages import Request, ResponseHead
from adapter.payload.request_target import (
    decoded_query,
    encoded_query,
    method_of,
    percent_decoded,
    query_pairs,
    request_target,
    split_target,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adapter.payload.body import BodyRules
    from adapter.payload.messages import Arrival

#: All that API Gateway accepts in a response: with any other key it answers 502.
_RESPONSE_KEYS = frozenset({"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"})
#: An id of the greedy proxy resource, which is always the one called here.
_RESOURCE_ID = "proxy1"
#: ``identity`` without IAM, Cognito or a client certificate: every field is there and null.
_ANONYMOUS = (
    "accessKey",
    "accountId",
    "caller",
    "cognitoAuthenticationProvider",
    "cognitoAuthenticationType",
    "cognitoIdentityId",
    "cognitoIdentityPoolId",
    "principalOrgId",
    "user",
    "userArn",
)


class RestApi(Codec):
    """Payload format 1.0."""

    name = "rest-api"

    def matches(self, event: Any) -> bool:
        """A method and a gateway's context, but no load balancer's, no WebSocket's and no authorizer's."""
        if not isinstance(event, dict) or "httpMethod" not in event or event.get("type") in ("REQUEST", "TOKEN"):
            return False
        context = event.get("requestContext")
        return (
            isinstance(context, dict)
            and "elb" not in context
            and "connectionId" not in context
            and event.get("version") in (None, "1.0")
        )

    def decode_request(self, event: Any) -> Request:
        query = query_pairs(event.get("queryStringParameters"), event.get("multiValueQueryStringParameters"))
        return Request(
            method=method_of(event["httpMethod"]),
            target=request_target(event.get("path"), encoded_query(query)),
            headers=from_both(event.get("headers"), event.get("multiValueHeaders"), InvalidEvent),
            body=decoded_body(event.get("body"), event.get("isBase64Encoded"), InvalidEvent),
        )

    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        response = {"statusCode": head.status, "multiValueHeaders": listed(head.headers)}
        return response_parts(response, head.headers, body, rules)

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        """The event of a greedy proxy resource, binary types configured as the other front doors have them."""
        path, query = split_target(request.target)
        pairs = decoded_query(query)
        headers = listed(request.headers)
        resource = "/" if path == "/" else "/{proxy+}"
        body, is_base64 = event_body(request.headers, request.body)
        return {
            "resource": resource,
            "path": path,
            "httpMethod": request.method,
            "headers": {name: values[-1] for name, values in headers.items()},
            "multiValueHeaders": headers,
            "queryStringParameters": single_parameters(pairs) or None,
            "multiValueQueryStringParameters": listed_parameters(pairs) or None,
            "pathParameters": None if path == "/" else {"proxy": percent_decoded(path[1:])},
            "stageVariables": None,
            "requestContext": _request_context(request, arrival, path) | {"resourcePath": resource},
            "body": body or None,
            "isBase64Encoded": is_base64,
        }

    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        """As API Gateway: nothing is inferred, and a key that it does not know is an error."""
        response = parsed_object(payload)
        if unknown := sorted(response.keys() - _RESPONSE_KEYS):
            allowed = ", ".join(sorted(_RESPONSE_KEYS))
            raise InvalidFunctionResponse(f"the response has the key {unknown[0]!r}; a REST API accepts {allowed}")
        headers = headers_of(response.get("headers"), response.get("multiValueHeaders"))
        return ResponseHead(status=status_of(response), headers=headers), function_body(response)


def _request_context(request: Request, arrival: Arrival, path: str) -> dict[str, Any]:
    user_agent = first(request.headers, "user-agent") or None
    return {
        "accountId": arrival.account_id,
        "apiId": arrival.api_id,
        "domainName": arrival.domain_name,
        "domainPrefix": arrival.domain_name.partition(".")[0],
        "extendedRequestId": arrival.request_id,
        "httpMethod": request.method,
        "identity": dict.fromkeys(_ANONYMOUS) | {"sourceIp": arrival.source_ip, "userAgent": user_agent},
        "path": f"/{arrival.stage}{path}",
        "protocol": PROTOCOL,
        "requestId": arrival.request_id,
        "requestTime": log_time(arrival.time_ms),
        "requestTimeEpoch": arrival.time_ms,
        "resourceId": _RESOURCE_ID,
        "stage": arrival.stage,
    }
