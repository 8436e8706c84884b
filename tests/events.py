"""Small events, as the front doors send them."""

from __future__ import annotations

from typing import Any


def function_url(
    path: str = "/", *, method: str = "GET", query: str = "", body: str = "", headers: dict[str, str] | None = None
) -> dict[str, Any]:
    """Return an event of a function URL (payload format 2.0)."""
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": query,
        "headers": headers or {},
        "requestContext": {"http": {"method": method, "path": path}, "stage": "$default"},
        "body": body,
        "isBase64Encoded": False,
    }


def http_api(**changes: Any) -> dict[str, Any]:
    """Return an event of an HTTP API (payload format 2.0). ``changes`` are fields that replace the default ones."""
    return {
        "version": "2.0",
        "rawPath": "/api/items",
        "rawQueryString": "x=1",
        "headers": {"host": "h.example", "accept": "*/*"},
        "requestContext": {"http": {"method": "GET"}, "stage": "$default"},
    } | changes


SQS: dict[str, Any] = {"Records": [{"messageId": "1", "eventSource": "aws:sqs", "body": "hello"}]}
