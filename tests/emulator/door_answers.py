"""The expected answers of each front door, and responses in its format, written by hand from AWS's documents."""

from __future__ import annotations

from typing import Any

GATEWAY_ERROR = b'{"message":"Internal Server Error"}'
REST_ERROR = b'{"message": "Internal server error"}'


def page(line: str) -> bytes:
    """Return a load balancer's error page."""
    return (
        f"<html>\r\n<head><title>{line}</title></head>\r\n<body>\r\n<center><h1>{line}</h1></center>\r\n"
        "</body>\r\n</html>\r\n"
    ).encode()


# The answers to clients if the function fails.
FUNCTION_ERRORS = {
    "function-url": (502, b"Internal Server Error"),
    "http-api": (500, GATEWAY_ERROR),
    "rest-api": (502, REST_ERROR),
    "alb": (502, page("502 Bad Gateway")),
    "alb-multi-value": (502, page("502 Bad Gateway")),
    "lattice": (502, b"Bad Gateway"),
    "lattice-v1": (502, b"Bad Gateway"),
}
ALL = list(FUNCTION_ERRORS)
STREAMING = ["function-url", "rest-api"]
COLLECTING = [name for name in ALL if name not in STREAMING]
# The answers to clients if Lambda refuses the invocation.
THROTTLED = {
    "function-url": (429, b'{"Message":"Rate Exceeded."}'),
    "http-api": (503, b'{"message":"Service Unavailable"}'),
    "rest-api": (500, REST_ERROR),
    "alb": (502, page("502 Bad Gateway")),
    "alb-multi-value": (502, page("502 Bad Gateway")),
    "lattice": (503, b"Service Unavailable"),
    "lattice-v1": (503, b"Service Unavailable"),
}
# A function's response with status 201, a header, a cookie and a body, in the format of each front door.
SINGLE = {"statusCode": 201, "headers": {"x-a": "1", "set-cookie": "a=1"}, "body": "aGk=", "isBase64Encoded": True}
MULTI = {
    "statusCode": 201,
    "multiValueHeaders": {"x-a": ["1"], "set-cookie": ["a=1"]},
    "body": "hi",
    "isBase64Encoded": False,
}
PAYLOADS: dict[str, dict[str, Any]] = {
    "function-url": {"statusCode": 201, "headers": {"x-a": "1"}, "cookies": ["a=1"], "body": "hi"},
    "http-api": {"statusCode": 201, "headers": {"x-a": "1"}, "cookies": ["a=1"], "body": "hi"},
    "rest-api": MULTI,
    "alb": SINGLE,
    "alb-multi-value": MULTI,
    "lattice": SINGLE,
    "lattice-v1": SINGLE,
}
