"""A request to the Invoke APIs: which function, which kind of invocation, which event; and everything Lambda refuses.

Any function name and qualifier will do unless one name was chosen. Signatures are accepted and not looked at.
"""

from __future__ import annotations

import binascii
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

import orjson
import pybase64

from adapter.aws.limits import MIB, REQUEST_LIMIT
from adapter.payload.headers import first_values

if TYPE_CHECKING:
    from adapter.net.server import Exchange

# Lambda quotas, "Invocation payload": 1 MB for an asynchronous request, in bytes.
EVENT_LIMIT = MIB
# "Up to 3,583 bytes of base64-encoded data" (Lambda, "Invoke", ClientContext).
_CONTEXT_LIMIT = 3583
_ACCOUNT = "123456789012"
# A name, a partial or a full ARN, each with or without a qualifier (Lambda, "Invoke", FunctionName).
_FUNCTION = re.compile(
    r"(?:(?:arn:aws[a-zA-Z-]*:lambda:(?P<region>[a-z0-9-]+):)?(?P<account>\d{12}):function:)?"
    r"(?P<name>[a-zA-Z0-9_-]{1,64})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]{1,128}))?"
)
_NAME_TEXT = "a function name has up to 64 letters, digits, hyphens and underscores, or is an ARN"


class RefusedInvokeError(Exception):
    """A request that the API answers with an error. ``error_type`` is what the SDKs make an exception of.

    ``key`` is the name that the error's text has in the body: Lambda's own services do not agree on its case.
    """

    def __init__(self, status: int, error_type: str, message: str, *, key: str = "Message") -> None:
        super().__init__(message)
        self.status = status
        self.error_type = error_type
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeRequest:
    """What a caller wants. ``invocation_type`` is RequestResponse, Event or DryRun; absent texts are empty."""

    function: str
    qualifier: str
    arn: str
    invocation_type: str
    event: bytes
    wants_log: bool
    client_context: str
    tenant_id: str

    @property
    def executed_version(self) -> str:
        """The version that answers: a number where one was asked for, else what an alias would lead to here."""
        return self.qualifier if self.qualifier.isdigit() else "$LATEST"


async def read_invoke(
    exchange: Exchange, named: str, types: tuple[str, ...], *, only: str | None, region: str
) -> InvokeRequest:
    """The request for the function that the path names.

    ``types`` are the invocation types that the action has, ``only`` the one function there is, if there is just one.
    Raises RefusedInvokeError, and BodyTruncatedError if the client breaks off.
    """
    function, qualifier, arn = _function(named, exchange.target, region)
    fields = first_values(exchange.headers)
    invocation_type = fields.get("x-amz-invocation-type") or "RequestResponse"
    if invocation_type not in types:
        raise RefusedInvokeError(
            400,
            "InvalidParameterValueException",
            f"1 validation error detected: Value '{invocation_type}' at 'invocationType' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{', '.join(types)}]",
        )
    if only is not None and function != only:
        raise RefusedInvokeError(404, "ResourceNotFoundException", f"Function not found: {arn}")
    return InvokeRequest(
        function=function,
        qualifier=qualifier,
        arn=arn,
        invocation_type=invocation_type,
        event=await _event(exchange, invocation_type),
        wants_log=fields.get("x-amz-log-type") == "Tail",
        client_context=_client_context(fields.get("x-amz-client-context", "")),
        tenant_id=fields.get("x-amz-tenant-id", ""),
    )


def _function(named: str, target: str, region: str) -> tuple[str, str, str]:
    """Name, qualifier and ARN. A qualifier in the name and one in the query have to agree."""
    found = _FUNCTION.fullmatch(unquote(named))
    if found is None:
        raise RefusedInvokeError(400, "ValidationException", f"{unquote(named)!r}: {_NAME_TEXT}", key="message")
    query = target.partition("?")[2]
    asked = parse_qs(query).get("Qualifier", [""])[0] if query else ""
    in_name = found["qualifier"] or ""
    if asked and in_name and asked != in_name:
        raise RefusedInvokeError(
            400,
            "InvalidParameterValueException",
            "The derived qualifier from the function name does not match the specified qualifier.",
        )
    qualifier = asked or in_name
    arn = f"arn:aws:lambda:{found['region'] or region}:{found['account'] or _ACCOUNT}:function:{found['name']}"
    return found["name"], qualifier, f"{arn}:{qualifier}" if qualifier else arn


async def _event(exchange: Exchange, invocation_type: str) -> bytes:
    body = bytearray()
    exchange.send_continue()
    while piece := await exchange.body.read():
        body += piece
        if len(body) > REQUEST_LIMIT:
            raise RefusedInvokeError(
                413,
                "RequestEntityTooLargeException",
                f"Request must be smaller than {REQUEST_LIMIT} bytes for the InvokeFunction operation",
                key="message",
            )
    if invocation_type == "Event" and len(body) > EVENT_LIMIT:
        raise RefusedInvokeError(
            413,
            "RequestEntityTooLargeException",
            f"{len(body)} byte payload is too large for the Event invocation type (limit {EVENT_LIMIT} bytes)",
            key="message",
        )
    # A call without a payload gives the function an empty object.
    event = bytes(body) or b"{}"
    _check_json(event)
    return event


def _check_json(event: bytes) -> None:
    """Raises RefusedInvokeError unless ``event`` is JSON; orjson is quick, the standard library takes all there is."""
    try:
        orjson.loads(event)
    except orjson.JSONDecodeError:
        try:
            json.loads(event, parse_constant=_no_constant, parse_int=float)
        except (ValueError, RecursionError) as error:
            raise RefusedInvokeError(
                400,
                "InvalidRequestContentException",
                f"Could not parse request body into json: Could not parse payload into json: {error}",
            ) from error


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is not JSON")


def _client_context(encoded: str) -> str:
    """The context as JSON text, on one line so that it can be a header."""
    if not encoded:
        return ""
    try:
        if len(encoded) > _CONTEXT_LIMIT:
            raise ValueError
        return json.dumps(json.loads(pybase64.b64decode(encoded, validate=True)), separators=(",", ":"))
    except (binascii.Error, ValueError) as error:
        raise RefusedInvokeError(
            400, "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object."
        ) from error
