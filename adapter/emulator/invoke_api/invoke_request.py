"""Reads requests to the Invoke APIs, and refuses the requests that Lambda refuses.

If ``--function-name`` is set, only this name is accepted. Otherwise every valid name is accepted. Every valid qualifier
is accepted. Signatures are not checked.
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

from adapter.aws.identity import ACCOUNT_ID, FUNCTION_VERSION
from adapter.aws.limits import MIB, REQUEST_LIMIT
from adapter.errors import bounded
from adapter.net.server import BodyTruncatedError
from adapter.payload.headers import first_values

if TYPE_CHECKING:
    from adapter.net.server import Exchange

# Lambda quotas, "Invocation payload": 1 MB for an asynchronous request, in bytes.
EVENT_LIMIT = MIB
# "Up to 3,583 bytes of base64-encoded data" (Lambda, "Invoke", ClientContext).
_CONTEXT_LIMIT = 3583
# A function name, a partial ARN or a full ARN, each with or without a qualifier (Lambda, "Invoke", FunctionName).
_FUNCTION = re.compile(
    r"(?:(?:arn:aws[a-zA-Z-]*:lambda:(?P<region>[a-z0-9-]+):)?(?P<account>\d{12}):function:)?"
    r"(?P<name>[a-zA-Z0-9_-]{1,64})(?::(?P<qualifier>\$LATEST|[a-zA-Z0-9_-]{1,128}))?"
)
# The maximum number of characters in a message. It is limited because some messages contain text from the client.
_MESSAGE_LIMIT = 1024
_QUALIFIER = re.compile(r"\$LATEST|[a-zA-Z0-9_-]{1,128}")
_QUALIFIER_TEXT = "a qualifier is $LATEST, a version, or an alias of up to 128 letters, digits, hyphens and underscores"
_NAME_TEXT = "a function name has up to 64 letters, digits, hyphens and underscores, or is an ARN"


class RefusedInvokeError(Exception):
    """A request that the API answers with an error. SDKs raise the exception named ``error_type``.

    ``key`` is the message's key in the JSON body: Lambda uses "Message" for some errors and "message" for others.
    ``rule`` is the message for the log. It must not contain header values, parts of the query or parts of the event. If
    ``rule`` is empty, ``message`` is logged.
    """

    def __init__(self, status: int, error_type: str, message: str, *, key: str = "Message", rule: str = "") -> None:
        super().__init__(bounded(message, _MESSAGE_LIMIT))
        self.rule = rule or message
        self.status = status
        self.error_type = error_type
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeRequest:
    """A valid request. ``invocation_type`` is RequestResponse, Event or DryRun.

    ``qualifier``, ``client_context`` and ``tenant_id`` are empty if the request does not contain them.
    """

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
        """The version for X-Amz-Executed-Version: the qualifier if it is a number, else $LATEST."""
        return self.qualifier if self.qualifier.isdigit() else FUNCTION_VERSION


async def read_invoke(
    exchange: Exchange, path_name: str, types: tuple[str, ...], *, only: str | None, region: str
) -> InvokeRequest:
    """Read and return an Invoke request. ``path_name`` is the function's name or ARN in the request's path.

    ``types`` are the invocation types that the action allows. ``only`` is the one function name to accept, or None to
    accept any name. ``region`` is used if the request contains no region. Raises RefusedInvokeError if the
    request is not valid, and BodyTruncatedError if the client disconnects before the body is complete.
    """
    function, qualifier, arn = _function(path_name, exchange.target, region)
    fields = first_values(exchange.headers)
    invocation_type = fields.get("x-amz-invocation-type") or "RequestResponse"
    if invocation_type not in types:
        rule = f"Member must satisfy enum value set: [{', '.join(types)}]"
        raise _invalid_parameter(
            f"1 validation error detected: Value '{invocation_type}' at 'invocationType' failed to satisfy constraint: "
            f"{rule}",
            rule=f"invocationType: {rule}",
        )
    if only is not None and function != only:
        message = f"Function not found: {arn}"
        raise RefusedInvokeError(404, "ResourceNotFoundException", message, rule=f"Function not found: {function}")
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


def _invalid_parameter(message: str, *, rule: str = "") -> RefusedInvokeError:
    return RefusedInvokeError(400, "InvalidParameterValueException", message, rule=rule)


def _function(path_name: str, target: str, region: str) -> tuple[str, str, str]:
    """Return the function's name, qualifier and ARN.

    Raises RefusedInvokeError if the name or the qualifier is not valid, or if the path and the query contain different
    qualifiers.
    """
    parts = _FUNCTION.fullmatch(unquote(path_name))
    if parts is None:
        message = f"{unquote(path_name)!r}: {_NAME_TEXT}"
        raise RefusedInvokeError(400, "ValidationException", message, key="message", rule=_NAME_TEXT)
    query = target.partition("?")[2]
    in_query = parse_qs(query).get("Qualifier", [""])[0] if query else ""
    in_name = parts["qualifier"] or ""
    if in_query and in_name and in_query != in_name:
        raise _invalid_parameter("The derived qualifier from the function name does not match the specified qualifier.")
    qualifier = in_query or in_name
    if qualifier and not _QUALIFIER.fullmatch(qualifier):
        raise RefusedInvokeError(400, "ValidationException", f"{qualifier!r}: {_QUALIFIER_TEXT}", key="message")
    arn = f"arn:aws:lambda:{parts['region'] or region}:{parts['account'] or ACCOUNT_ID}:function:{parts['name']}"
    return parts["name"], qualifier, f"{arn}:{qualifier}" if qualifier else arn


async def _event(exchange: Exchange, invocation_type: str) -> bytes:
    try:
        body = await exchange.read_body(REQUEST_LIMIT)
    except BodyTruncatedError as error:
        if error.refusal is None:
            raise
        raise RefusedInvokeError(error.refusal.status, "InvalidRequestContentException", str(error)) from error
    if body is None:
        raise _too_large(f"Request must be smaller than {REQUEST_LIMIT} bytes for the InvokeFunction operation")
    if invocation_type == "Event" and len(body) > EVENT_LIMIT:
        raise _too_large(
            f"{len(body)} byte payload is too large for the Event invocation type (limit {EVENT_LIMIT} bytes)"
        )
    # If the request has no payload, the event is an empty object.
    event = body or b"{}"
    _check_json(event)
    return event


def _too_large(message: str) -> RefusedInvokeError:
    return RefusedInvokeError(413, "RequestEntityTooLargeException", message, key="message")


def _check_json(event: bytes) -> None:
    """Raise RefusedInvokeError if ``event`` is not JSON."""
    try:
        orjson.loads(event)
    except orjson.JSONDecodeError:
        # orjson is fast, but it refuses some JSON that the standard library accepts.
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
    """Return the decoded client context as one line of JSON. Raises RefusedInvokeError if ``encoded`` is not valid."""
    if not encoded:
        return ""
    try:
        if len(encoded) > _CONTEXT_LIMIT:
            raise ValueError
        return json.dumps(json.loads(pybase64.b64decode(encoded, validate=True)), separators=(",", ":"))
    except (binascii.Error, ValueError, RecursionError) as error:
        raise RefusedInvokeError(
            400, "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object."
        ) from error
