"""Signatures that botocore makes, and what AWS answers if a part of one is missing or wrong."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from typing import Any

import botocore.auth
import pytest
from botocore.auth import SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from adapter.emulator.access.key_pair import KeyPair, make_key_pair
from adapter.emulator.access.signature import RefusedSignatureError, Scope, verify
from adapter.payload.messages import Request

KEY = make_key_pair()
SCOPE = Scope(region="eu-central-1", service="lambda")
HOST = "abc.lambda-url.eu-central-1.on.aws"
NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MISMATCH = "The request signature we calculated does not match the signature you provided."


@pytest.fixture(autouse=True)
def _botocores_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda *_args, **_options: NOW.replace(tzinfo=None))


def signed(
    method: str = "GET",
    target: str = "/",
    body: bytes = b"",
    headers: dict[str, str] | None = None,
    *,
    key: KeyPair = KEY,
    region: str = SCOPE.region,
    service: str = SCOPE.service,
    token: str | None = None,
    query: bool = False,
) -> Request:
    """Return the request as botocore signs it, and as it comes in. In a query it signs only an empty body."""
    request = AWSRequest(method, f"https://{HOST}{target}", headers=headers or {}, data=body)
    signer = SigV4QueryAuth if query else SigV4Auth
    signer(Credentials(key.access_key_id, key.secret_access_key, token), service, region).add_auth(request)
    sent = request.prepare()
    pairs = [(name, text(value)) for name, value in sent.headers.items()]
    return Request(
        method=method, target=sent.url.partition(HOST)[2] or "/", headers=[("Host", HOST), *pairs], body=body
    )


def text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def changed(
    request: Request, *, body: bytes | None = None, target: str | None = None, **headers: str | None
) -> Request:
    """``request`` with other headers (None removes one), another body or target."""
    other = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = [pair for pair in request.headers if pair[0].lower() not in other]
    return Request(
        method=request.method,
        target=request.target if target is None else target,
        headers=kept + [(name, value) for name, value in other.items() if value is not None],
        body=request.body if body is None else body,
    )


def refusal(request: Request, *, seconds_later: float = 0) -> RefusedSignatureError:
    with pytest.raises(RefusedSignatureError) as caught:
        verify(request, KEY, SCOPE, NOW.timestamp() + seconds_later)
    assert KEY.secret_access_key not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("query", [False, True], ids=["header", "query"])
@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/"),
        ("GET", "/a/b/"),
        # Function URLs are signed as all services but S3 are: the path is encoded once more than on the wire.
        ("GET", "/a%2Fb/%20c"),
        ("GET", "/a(b)'!*;:@$&+,="),
        ("GET", "//a///b/../c/./d"),
        ("GET", "/..//"),
        ("GET", "/x?b=2&a=1&a=0&c"),
        ("GET", "/x?q=a%20b%2Fc%2B&%C3%A9=~-._"),
        ("POST", "/orders?dry=1"),
        ("DELETE", "/x?"),
    ],
)
def test_what_botocore_signs_is_accepted(method: str, target: str, query: bool) -> None:
    body = b'{"a": "\xc3\xa9\x00"}' if method == "POST" and not query else b""
    request = signed(method, target, body, {"content-type": "text/plain", "x-custom": "  a   b "}, query=query)
    verify(request, KEY, SCOPE, NOW.timestamp())


def test_a_post_behind_cloudfront_needs_the_hash_of_its_body_from_the_client() -> None:
    body = b'{"a": 1}'
    # CloudFront signs with the hash that the client sends, and with UNSIGNED-PAYLOAD if it sends none.
    hashed = hashlib.sha256(body).hexdigest()
    verify(signed("POST", "/", body, {"x-amz-content-sha256": hashed}), KEY, SCOPE, NOW.timestamp())
    for value in ("UNSIGNED-PAYLOAD", hashlib.sha256(b"other").hexdigest()):
        error = refusal(signed("POST", "/", body, {"X-Amz-Content-SHA256": value}))
        assert (error.error_type, str(error).startswith(MISMATCH)) == ("InvalidSignatureException", True)


@pytest.mark.parametrize("query", [False, True], ids=["header", "query"])
def test_any_part_that_differs_from_what_was_signed_is_a_mismatch(query: bool) -> None:
    request = signed("POST", "/a?x=1", b"" if query else b"body", {"x-custom": "1"}, query=query)
    others = [
        changed(request, body=b"bodY"),
        changed(request, target=request.target.replace("/a", "/b")),
        changed(request, target=request.target.replace("x=1", "x=2")),
        changed(request, x_custom="2"),
        changed(request, x_custom=None),
        changed(request, host="other.example"),
        Request(method="PUT", target=request.target, headers=request.headers, body=request.body),
        signed("POST", "/a?x=1", b"body", key=KeyPair(access_key_id=KEY.access_key_id, secret_access_key="x")),
    ]
    for other in others:
        error = refusal(other)
        assert (error.error_type, str(error).startswith(MISMATCH)) == ("InvalidSignatureException", True)


def test_without_a_signature_the_answer_is_forbidden() -> None:
    error = refusal(changed(signed(), authorization=None))
    assert (error.error_type, error.key) == ("AccessDeniedException", "Message")
    assert str(error) == (
        "Forbidden. For troubleshooting Function URL authorization issues, see: "
        "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
    )


@pytest.mark.parametrize(
    ("seconds", "message"),
    [
        pytest.param(
            301,
            "Signature expired: 20261128T120000Z is now earlier than 20261128T120001Z (20261128T120501Z - 5 min.)",
            id="too-old",
        ),
        pytest.param(
            -301,
            "Signature not yet current: 20261128T120000Z is still later than 20261128T115959Z "
            "(20261128T115459Z + 5 min.)",
            id="too-new",
        ),
    ],
)
def test_a_clock_that_is_off_by_more_than_five_minutes(seconds: int, message: str) -> None:
    error = refusal(signed(), seconds_later=seconds)
    assert (error.error_type, str(error)) == ("InvalidSignatureException", message)
    verify(signed(), KEY, SCOPE, NOW.timestamp() + seconds // abs(seconds) * 299)


def test_a_signature_in_the_query_is_valid_as_long_as_it_says() -> None:
    request = signed(query=True)
    # botocore's own default is an hour.
    verify(request, KEY, SCOPE, NOW.timestamp() + 3599)
    assert "Signature expired: 20261128T120000Z" in str(refusal(request, seconds_later=3601))


AUTHORIZATION = "AWS4-HMAC-SHA256 Credential={credential}, SignedHeaders={signed}, Signature=00"
CREDENTIAL = f"{KEY.access_key_id}/20261128/eu-central-1/lambda/aws4_request"
SIGNED = "host;x-amz-date"


@pytest.mark.parametrize(
    ("authorization", "error_type", "message"),
    [
        pytest.param(
            "Bearer abc",
            "IncompleteSignatureException",
            "Invalid key=value pair (missing equal-sign) in Authorization header "
            "(hashed with SHA-256 and encoded with Base64): '",
            id="bearer",
        ),
        pytest.param(
            "AWS4-HMAC-SHA256 ",
            "IncompleteSignatureException",
            "Authorization header requires 'Credential' parameter. "
            "Authorization header requires 'Signature' parameter. "
            "Authorization header requires 'SignedHeaders' parameter. "
            "(Hashed with SHA-256 and encoded with Base64) Authorization=",
            id="no-parameters",
        ),
        pytest.param(
            "AWS4-ECDSA-P256-SHA256 Credential=a",
            "IncompleteSignatureException",
            "Unsupported AWS 'algorithm': 'AWS4-ECDSA-P256-SHA256'.",
            id="algorithm",
        ),
        pytest.param(
            AUTHORIZATION.format(credential="AKIA", signed=SIGNED),
            "IncompleteSignatureException",
            "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term, got 'AKIA'",
            id="credential",
        ),
        pytest.param(
            AUTHORIZATION.format(credential=CREDENTIAL, signed="x-amz-date"),
            "InvalidSignatureException",
            "'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.",
            id="host-not-signed",
        ),
        pytest.param(
            AUTHORIZATION.format(credential=CREDENTIAL, signed="host"),
            "InvalidSignatureException",
            "'x-amz-date' must be a 'SignedHeader' in the AWS Authorization.",
            id="amazons-header-not-signed",
        ),
        pytest.param(
            AUTHORIZATION.format(credential=CREDENTIAL.replace("eu-central-1", "eu-west-1"), signed=SIGNED),
            "InvalidSignatureException",
            "Credential should be scoped to a valid region, not 'eu-west-1'. ",
            id="region",
        ),
        pytest.param(
            AUTHORIZATION.format(credential=CREDENTIAL.replace("lambda", "execute-api"), signed=SIGNED),
            "InvalidSignatureException",
            "Credential should be scoped to correct service: 'lambda'. ",
            id="service",
        ),
        pytest.param(
            AUTHORIZATION.format(credential=CREDENTIAL.replace("aws4_", "aws5_"), signed=SIGNED),
            "InvalidSignatureException",
            "Credential should be scoped with a valid terminator: 'aws4_request', not 'aws5_request'. ",
            id="terminator",
        ),
        pytest.param(
            AUTHORIZATION.format(credential=CREDENTIAL.replace("20261128", "20261127"), signed=SIGNED),
            "InvalidSignatureException",
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            "'20261127' != '20261128', from '20261128T120000Z'. ",
            id="date",
        ),
        pytest.param(
            AUTHORIZATION.format(credential=CREDENTIAL.replace(KEY.access_key_id, "AKIAOTHER"), signed=SIGNED),
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            id="key",
        ),
        pytest.param(
            AUTHORIZATION.format(credential=CREDENTIAL, signed=SIGNED),
            "InvalidSignatureException",
            MISMATCH,
            id="signature",
        ),
        pytest.param(
            AUTHORIZATION.format(credential=CREDENTIAL, signed=SIGNED + ";é").replace("=00", "=é"),
            "InvalidSignatureException",
            MISMATCH,
            id="not-ascii",
        ),
    ],
)
def test_missing_and_wrong_parts_have_awss_texts(authorization: str, error_type: str, message: str) -> None:
    error = refusal(changed(signed(), authorization=authorization))
    assert error.error_type == error_type
    assert str(error).startswith(message)


def test_a_signature_without_a_date_or_with_another_form_of_it() -> None:
    request = changed(signed(), x_amz_date=None)
    assert "requires existence of either a 'X-Amz-Date' or a 'Date' header. " in str(refusal(request))
    wrong = AUTHORIZATION.format(credential=CREDENTIAL, signed=SIGNED)
    error = refusal(changed(signed(), x_amz_date="20261128", authorization=wrong))
    assert str(error).startswith("Date must be in ISO-8601 'basic format'. Got '20261128'.")


def test_a_session_token_is_refused_since_the_key_pair_has_none() -> None:
    assert refusal(signed(token="abc")).error_type == "UnrecognizedClientException"
    assert refusal(signed(token="abc", query=True)).error_type == "UnrecognizedClientException"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("X-Amz-Signature", "X", "AWS query-string parameters must include 'X-Amz-Signature'."),
        ("X-Amz-Expires=3600", "X-Amz-Expires=700000", "X-Amz-Expires must be"),
        ("X-Amz-Expires=3600", "X-Amz-Expires=-1", "X-Amz-Expires must be"),
        ("=AWS4-HMAC-SHA256", "=AWS3", "Unsupported AWS 'algorithm': 'AWS3'."),
    ],
)
def test_wrong_parts_of_a_query(old: str, new: str, message: str) -> None:
    request = signed(query=True)
    assert old in request.target
    error = refusal(changed(request, target=request.target.replace(old, new)))
    assert (error.error_type, str(error).startswith(message)) == ("IncompleteSignatureException", True)
