"""Verifies the AWS Signature Version 4 in the Authorization header or the query of a request.

The steps are from AWS's IAM guide, "Create a signed AWS API request": canonical request, string to sign, key and
signature. The path, already encoded in the request, is encoded once more, as for every service except S3. The hash of
the body is always computed, since Lambda does not support unsigned payloads (AWS's CloudFront guide, "Restrict access
to a Lambda function URL origin").

Error types and messages are from AWS's IAM guide, "Troubleshoot Signature Version 4", and from answers of AWS that
users have published.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from base64 import b64encode
from calendar import timegm
from dataclasses import dataclass
from time import gmtime, strftime, strptime
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote_to_bytes

from adapter.payload.headers import first
from adapter.payload.request_target import split_query, split_target

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from adapter.emulator.access.key_pair import KeyPair
    from adapter.payload.headers import Headers
    from adapter.payload.messages import Request

ALGORITHM = "AWS4-HMAC-SHA256"
# The maximum difference between the time of a signature and the time of its arrival, in seconds (seen: "- 5 min.").
_SKEW = 300
# The maximum validity of a signature in a query, in seconds (Amazon S3, "Authenticating requests: query parameters").
_MAX_EXPIRES = 604_800
_TIMESTAMP = "%Y%m%dT%H%M%SZ"
_FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key "
    "and signing method. Consult the service documentation for details."
)
_QUERY_SIGNATURE = "X-Amz-Signature"


class RefusedSignatureError(Exception):
    """A request that AWS refuses with status 403. The error's message is AWS's own and never contains a secret.

    ``key`` is the name of the JSON field in which AWS sends the message.
    """

    def __init__(self, error_type: str, message: str, *, key: str = "message") -> None:
        super().__init__(message)
        self.error_type = error_type
        self.key = key


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """The region and the service for which a request must be signed."""

    region: str
    service: str


@dataclass(slots=True, kw_only=True)
class _Claim:
    """A signature and its parameters, not verified yet.

    ``expires`` is the validity of a signature in the query, in seconds. It is None if the signature is in a header.
    """

    credential: list[str]
    signed: list[str]
    signature: str
    timestamp: str
    token: str
    expires: int | None = None


def verify(request: Request, key: KeyPair, scope: Scope, now: float) -> None:
    """Raise RefusedSignatureError unless ``request`` has a valid signature for ``scope``, made with ``key``.

    ``now`` is the current time in seconds since the epoch.
    """
    query = split_query(split_target(request.target)[1])
    parameters = {_decoded(name): _decoded(value) for name, value in query}
    authorization = first(request.headers, "authorization")
    if authorization:
        claim = _claim_of_header(authorization, request.headers)
    elif "X-Amz-Algorithm" in parameters:
        claim = _claim_of_query(parameters)
    else:
        raise RefusedSignatureError("AccessDeniedException", _FORBIDDEN, key="Message")
    _check_signed_headers(claim, request.headers)
    _check_scope(claim, scope)
    _check_time(claim, now)
    # The key pair is of an IAM user, not of a role, so a valid signature has no session token.
    if claim.token or not hmac.compare_digest(claim.credential[0].encode(), key.access_key_id.encode()):
        raise RefusedSignatureError(
            "UnrecognizedClientException", "The security token included in the request is invalid."
        )
    expected = _signature(_canonical_request(request, claim), claim, key.secret_access_key)
    if not hmac.compare_digest(claim.signature.encode(), expected.encode()):
        raise RefusedSignatureError("InvalidSignatureException", _MISMATCH)


# --- the claim -------------------------------------------------------------------------------------------------------


def _claim_of_header(authorization: str, headers: Headers) -> _Claim:
    algorithm, _, rest = authorization.strip().partition(" ")
    hashed = b64encode(hashlib.sha256(authorization.encode()).digest()).decode()
    if not algorithm.startswith("AWS4-") and "=" not in rest:
        raise _incomplete(
            "Invalid key=value pair (missing equal-sign) in Authorization header "
            f"(hashed with SHA-256 and encoded with Base64): '{hashed}'."
        )
    if algorithm.startswith("AWS4-") and algorithm != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{algorithm}'.")
    fields = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    timestamp = first(headers, "x-amz-date") or first(headers, "date")
    names = ("Credential", "Signature", "SignedHeaders")
    missing = [f"Authorization header requires '{name}' parameter. " for name in names if not fields.get(name)]
    if not timestamp:
        missing.append("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header. ")
    if missing:
        raise _incomplete(f"{''.join(missing)}(Hashed with SHA-256 and encoded with Base64) Authorization={hashed}")
    return _Claim(
        credential=_credential(fields["Credential"]),
        signed=fields["SignedHeaders"].lower().split(";"),
        signature=fields["Signature"],
        timestamp=timestamp,
        token=first(headers, "x-amz-security-token"),
    )


def _claim_of_query(parameters: Mapping[str, str]) -> _Claim:
    if parameters["X-Amz-Algorithm"] != ALGORITHM:
        raise _incomplete(f"Unsupported AWS 'algorithm': '{parameters['X-Amz-Algorithm']}'.")
    names = ("X-Amz-Credential", _QUERY_SIGNATURE, "X-Amz-SignedHeaders", "X-Amz-Date")
    missing = [f"AWS query-string parameters must include '{name}'. " for name in names if not parameters.get(name)]
    if missing:
        raise _incomplete("".join(missing) + "Re-examine the query-string parameters.")
    expires = parameters.get("X-Amz-Expires", str(_SKEW))
    if not (expires.isascii() and expires.isdigit() and 1 <= int(expires[:9]) <= _MAX_EXPIRES):
        raise _incomplete(f"X-Amz-Expires must be a number of seconds from 1 to {_MAX_EXPIRES}")
    return _Claim(
        credential=_credential(parameters["X-Amz-Credential"]),
        signed=parameters["X-Amz-SignedHeaders"].lower().split(";"),
        signature=parameters[_QUERY_SIGNATURE],
        timestamp=parameters["X-Amz-Date"],
        token=parameters.get("X-Amz-Security-Token", ""),
        expires=int(expires),
    )


def _credential(text: str) -> list[str]:
    parts = text.split("/")
    if len(parts) != 5:
        raise _incomplete(
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, "
            f"got '{text}'"
        )
    return parts


def _check_signed_headers(claim: _Claim, headers: Headers) -> None:
    """Raise RefusedSignatureError unless the signature covers Host and every x-amz header of the request."""
    if "host" not in claim.signed:
        raise _invalid("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
    for name, _ in headers:
        if name.lower().startswith("x-amz-") and name.lower() not in claim.signed:
            raise _invalid(f"'{name.lower()}' must be a 'SignedHeader' in the AWS Authorization.")


def _check_scope(claim: _Claim, scope: Scope) -> None:
    _, date, region, service, terminator = claim.credential
    mistakes = []
    if region != scope.region:
        mistakes.append(f"Credential should be scoped to a valid region, not '{region}'. ")
    if service != scope.service:
        mistakes.append(f"Credential should be scoped to correct service: '{scope.service}'. ")
    if terminator != "aws4_request":
        mistakes.append(f"Credential should be scoped with a valid terminator: 'aws4_request', not '{terminator}'. ")
    if date != claim.timestamp[:8]:
        mistakes.append(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{date}' != '{claim.timestamp[:8]}', from '{claim.timestamp}'. "
        )
    if mistakes:
        raise _invalid("".join(mistakes))


def _check_time(claim: _Claim, now: float) -> None:
    try:
        signed_at = timegm(strptime(claim.timestamp, _TIMESTAMP))
    except ValueError:
        raise _incomplete(
            f"Date must be in ISO-8601 'basic format'. Got '{claim.timestamp}'. "
            "See http://en.wikipedia.org/wiki/ISO_8601"
        ) from None
    validity = _SKEW if claim.expires is None else claim.expires
    if signed_at < now - validity:
        bound = f"{_timestamp(now - validity)} ({_timestamp(now)} - {validity / 60:g} min.)"
        raise _invalid(f"Signature expired: {claim.timestamp} is now earlier than {bound}")
    if signed_at > now + _SKEW:
        bound = f"{_timestamp(now + _SKEW)} ({_timestamp(now)} + {_SKEW // 60} min.)"
        raise _invalid(f"Signature not yet current: {claim.timestamp} is still later than {bound}")


def _timestamp(seconds: float) -> str:
    return strftime(_TIMESTAMP, gmtime(seconds))


def _incomplete(message: str) -> RefusedSignatureError:
    return RefusedSignatureError("IncompleteSignatureException", message)


def _invalid(message: str) -> RefusedSignatureError:
    return RefusedSignatureError("InvalidSignatureException", message)


# --- the signature ---------------------------------------------------------------------------------------------------


def _canonical_request(request: Request, claim: _Claim) -> str:
    path, query = split_target(request.target)
    lines = [f"{name}:{_canonical_value(request.headers, name)}\n" for name in claim.signed]
    return "\n".join(
        (
            request.method,
            quote(_normalized(path), safe="/~"),
            _canonical_query(split_query(query)),
            "".join(lines),
            ";".join(claim.signed),
            hashlib.sha256(request.body).hexdigest(),
        )
    )


def _normalized(path: str) -> str:
    """Return ``path`` without dot segments (RFC 3986 section 5.2.4) and with repeated slashes replaced by one."""
    kept: list[str] = []
    for segment in path.split("/"):
        if segment == "..":
            kept[-1:] = []
        elif segment not in ("", "."):
            kept.append(segment)
    end = "/" if kept and path.endswith(("/", "/.", "/..")) else ""
    return "/" + "/".join(kept) + end


def _canonical_query(pairs: Iterable[tuple[str, str]]) -> str:
    """Return ``pairs`` as a query: sorted, without the signature, and with uniform percent-encoding."""
    encoded = sorted((quote(_raw(name), safe="~"), quote(_raw(value), safe="~")) for name, value in pairs)
    return "&".join(f"{name}={value}" for name, value in encoded if name != _QUERY_SIGNATURE)


def _canonical_value(headers: Headers, name: str) -> str:
    return ",".join(re.sub(" +", " ", value.strip()) for field, value in headers if field.lower() == name)


def _signature(canonical_request: str, claim: _Claim, secret: str) -> str:
    _, *scope = claim.credential
    hashed = hashlib.sha256(canonical_request.encode()).hexdigest()
    to_sign = "\n".join((ALGORITHM, claim.timestamp, "/".join(scope), hashed))
    key = f"AWS4{secret}".encode()
    for part in scope:
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, to_sign.encode(), "sha256").hex()


def _raw(text: str) -> bytes:
    return unquote_to_bytes(text.replace("+", " "))


def _decoded(text: str) -> str:
    return _raw(text).decode(errors="replace")
