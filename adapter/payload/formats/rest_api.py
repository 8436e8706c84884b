"""API Gateway REST APIs, and HTTP APIs with payload format 1.0. Both use the same format.

An event contains every header and every query parameter twice, in a single-value map and in a multi-value map. The
query parameters are decoded. A response has only ``multiValueHeaders``: API Gateway merges both maps, so it would send
a header twice if both maps contained the header.

``path`` does not contain the stage; ``requestContext.path`` does. REST APIs leave ``path`` and the path parameters
encoded [capture]; HTTP APIs decode them [field]. Only the events of HTTP APIs contain a ``version``.
"""

from __future__ import annotations

from adapter.errors import InvalidEvent, InvalidFunctionResponse
from adapter.payload.body import decode_body, event_body, response_parts
from adapter.payload.formats.codec import PROTOCOL, Codec
from adapter.payload.function_response import body_of, head_of, parse_object
from adapter.payload.headers import excerpt, first, from_both, group_by_name, without_connection
from adapter.payload.messages import Request
from adapter.payload.request_target import (
    decode_query,
    encode_query,
    method_of,
    query_lists,
    query_pairs,
    request_target,
    split_target,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from adapter.payload.body import BodyRules
    from adapter.payload.headers import Headers
    from adapter.payload.messages import Arrival, ResponseHead

#: The keys that API Gateway accepts in a response. It answers 502 if a response has any other key.
_RESPONSE_KEYS = frozenset({"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"})
#: Header names whose case API Gateway changes, with the result. All other names keep the client's case [capture].
_SPELLINGS = {
    "host": "Host",
    "user-agent": "User-Agent",
    "x-amzn-trace-id": "X-Amzn-Trace-Id",
    "x-forwarded-for": "X-Forwarded-For",
    "x-forwarded-port": "X-Forwarded-Port",
    "x-forwarded-proto": "X-Forwarded-Proto",
}
#: Headers that events do not contain. Captures show this for the first one. The others frame a body, too [unsure].
_NOT_IN_EVENT = frozenset({"content-length", "transfer-encoding", "trailer"})
#: A made-up id for the resource ``/{proxy+}``.
_RESOURCE_ID = "proxy1"
#: The fields of ``identity`` that are null if the API uses no IAM, Cognito or client certificate.
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
        """Return whether ``event`` has a method and a context, and is not an ALB, WebSocket or authorizer event."""
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
            target=request_target(event.get("path"), encode_query(query), is_encoded=event.get("version") != "1.0"),
            headers=from_both(event.get("headers"), event.get("multiValueHeaders"), InvalidEvent),
            body=decode_body(event.get("body"), event.get("isBase64Encoded"), InvalidEvent),
        )

    def encode_response(self, head: ResponseHead, body: bytes | bytearray, rules: BodyRules) -> list[bytes]:
        response = {"statusCode": head.status, "multiValueHeaders": group_by_name(head.headers)}
        return response_parts(response, head.headers, body, rules)

    def encode_event(self, request: Request, arrival: Arrival) -> dict[str, Any]:
        """Return the event of the resource ``/{proxy+}``. Bodies become base64 as for other front doors.

        In ``path``, repeated slashes at the start are replaced by one slash. ``requestContext.path`` keeps them. The
        path parameter ``proxy`` has no slashes at its start or end [capture].
        """
        requested_path, query = split_target(request.target)
        path = "/" + requested_path.lstrip("/")
        proxy = path.strip("/")
        pairs = decode_query(query)
        headers = _event_headers(request.headers)
        resource = "/{proxy+}" if proxy else "/"
        body, is_base64 = event_body(request.headers, request.body)
        return {
            "resource": resource,
            "path": path,
            "httpMethod": request.method,
            "headers": {name: values[-1] for name, values in headers.items()},
            "multiValueHeaders": headers,
            "queryStringParameters": dict(pairs) or None,
            "multiValueQueryStringParameters": query_lists(pairs) or None,
            "pathParameters": {"proxy": proxy} if proxy else None,
            "stageVariables": None,
            "requestContext": _request_context(request, arrival, requested_path) | {"resourcePath": resource},
            "body": body or None,
            "isBase64Encoded": is_base64,
        }

    def decode_response(self, payload: bytes) -> tuple[ResponseHead, bytes]:
        """Return the HTTP response. As on API Gateway, the status is 200 if ``payload`` contains none.

        Raises InvalidFunctionResponse if a key is unknown, or if a value in ``multiValueHeaders`` is not a list.
        """
        response = parse_object(payload)
        if unknown := sorted(response.keys() - _RESPONSE_KEYS):
            allowed = ", ".join(sorted(_RESPONSE_KEYS))
            raise InvalidFunctionResponse(f"the response has the key {unknown[0]!r}; a REST API accepts only {allowed}")
        multi = response.get("multiValueHeaders")
        for name, values in multi.items() if isinstance(multi, dict) else ():
            if not isinstance(values, list):
                raise InvalidFunctionResponse(
                    f"the value of {excerpt(name)} in multiValueHeaders is of type {type(values).__name__}, not a list"
                )
        if response.get("statusCode") is None:
            response["statusCode"] = 200
        return head_of(response, response.get("headers"), multi), body_of(response)


def _event_headers(headers: Headers) -> dict[str, list[str]]:
    """Return the ``multiValueHeaders`` of an event. If a name has several spellings, use the first spelling [unsure].

    The event does not contain the Connection header [capture]. The headers that Connection lists are omitted, too.
    Otherwise the runtime would forward them, because it does not get the Connection header.
    """
    spellings = dict(_SPELLINGS)
    lists: dict[str, list[str]] = {}
    for name, value in without_connection(headers):
        lower = name.lower()
        if lower not in _NOT_IN_EVENT:
            lists.setdefault(spellings.setdefault(lower, name), []).append(value)
    return lists


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
        "requestTime": arrival.log_time,
        "requestTimeEpoch": arrival.time_ms,
        "resourceId": _RESOURCE_ID,
        "stage": arrival.stage,
    }
