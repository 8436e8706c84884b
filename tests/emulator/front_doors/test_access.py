"""Front doors with CORS, a signature, an authorizer's context and a domain, with scripted runtimes behind them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from adapter.emulator.access.key_pair import KeyPair, make_key_pair, read_key_pair
from tests.answer import Answer
from tests.emulator.door_answers import ALL, MULTI, PAYLOADS
from tests.emulator.scripted import Handed, LocalLambda, Script, ScriptedRuntime, local_lambda, prelude
from tests.emulator.scripts import buffered, each, streaming

ORIGIN = "https://www.example.com"
CORS = json.dumps(
    {
        "AllowOrigins": [ORIGIN, "https://other.example"],
        "AllowMethods": ["GET", "POST"],
        "AllowHeaders": ["content-type", "x-custom"],
        "ExposeHeaders": ["x-a"],
        "AllowCredentials": True,
        "MaxAge": 60,
    }
)
PREFLIGHT = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-custom"}
APPS_OWN = {"access-control-allow-origin": "*", "Access-Control-Allow-Methods": "TRACE", "x-a": "1"}


def cors_headers(answer: Answer) -> dict[str, str]:
    return {name.lower(): value for name, value in answer.pairs if name.lower().startswith("access-control-")}


def keeper(events: asyncio.Queue[Any], payload: object) -> Script:
    """Keeps each event, and answers with ``payload``."""

    async def serve(runtime: ScriptedRuntime, handed: Handed) -> None:
        events.put_nowait(handed.event)
        await runtime.respond(handed, json.dumps(payload).encode())

    return each(serve)


# --- CORS --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("door", "status"), [("function-url", 200), ("http-api", 204)])
async def test_a_preflight_is_answered_by_aws_and_never_reaches_the_app(door: str, status: int) -> None:
    async with local_lambda(buffered(PAYLOADS[door]), front_doors=door, cors=CORS) as local:
        answer = await local.request("OPTIONS", "/x", headers=PREFLIGHT)
        assert (answer.status, answer.body) == (status, b"")
        assert cors_headers(answer) == {
            "access-control-allow-origin": ORIGIN,
            "access-control-allow-credentials": "true",
            "access-control-allow-methods": "GET,POST",
            "access-control-allow-headers": "content-type,x-custom",
            "access-control-max-age": "60",
        }
        record = await local.visit()
        assert (record.status, local.starts) == (status, 0)
        assert "CORS" in record.answered_by


@pytest.mark.parametrize("door", ["function-url", "http-api"])
async def test_a_preflight_of_another_origin_gets_no_cors_headers(door: str) -> None:
    async with local_lambda(buffered(PAYLOADS[door]), front_doors=door, cors=CORS) as local:
        answer = await local.request("OPTIONS", "/", headers=PREFLIGHT | {"Origin": "https://evil.example"})
        assert (cors_headers(answer), local.starts) == ({}, 0)


async def test_an_options_request_that_is_no_preflight_reaches_the_app() -> None:
    async with local_lambda(buffered(PAYLOADS["http-api"]), front_doors="http-api", cors=CORS) as local:
        assert (await local.request("OPTIONS", "/", headers={"Origin": ORIGIN})).status == 201


@pytest.mark.parametrize("door", ["function-url", "http-api"])
@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        pytest.param(
            {"Origin": ORIGIN},
            {
                "access-control-allow-origin": ORIGIN,
                "access-control-allow-credentials": "true",
                "access-control-expose-headers": "x-a",
            },
            id="allowed",
        ),
        pytest.param({"Origin": "https://evil.example"}, {}, id="not-allowed"),
        pytest.param({}, {}, id="none"),
    ],
)
async def test_awss_headers_replace_those_of_the_app(
    door: str, origin: Mapping[str, str], expected: dict[str, str]
) -> None:
    payload = {"statusCode": 200, "headers": APPS_OWN, "body": "hi"}
    script = streaming(prelude(headers=APPS_OWN), b"hi") if door == "function-url" else buffered(payload)
    async with local_lambda(script, front_doors=door, cors=CORS) as local:
        answer = await local.request("GET", "/", headers=origin)
        assert (answer.body, answer.header("x-a"), cors_headers(answer)) == (b"hi", "1", expected)


@pytest.mark.parametrize(
    ("door", "allowed", "origin", "expected"),
    [
        ("function-url", "*", "https://a.example", "*"),
        ("http-api", "*", "null", "*"),
        ("http-api", "https://*", "https://a.example", "https://a.example"),
        ("http-api", "https://*", "http://a.example", None),
        ("http-api", "http://*", "http://a.example", "http://a.example"),
        ("function-url", "https://*", "https://a.example", None),
        ("function-url", "https://a.example", "https://a.example.evil", None),
        ("function-url", "https://a.example", "HTTPS://A.EXAMPLE", None),
    ],
)
async def test_origins_and_wildcards(door: str, allowed: str, origin: str, expected: str | None) -> None:
    cors = json.dumps({"AllowOrigins": [allowed]})
    async with local_lambda(buffered(PAYLOADS[door]), front_doors=door, cors=cors, invoke_mode="buffered") as local:
        answer = await local.request("GET", "/", headers={"Origin": origin})
        assert cors_headers(answer) == ({} if expected is None else {"access-control-allow-origin": expected})


async def test_without_the_option_preflights_and_headers_are_the_apps() -> None:
    payload = {"statusCode": 200, "headers": APPS_OWN}
    async with local_lambda(buffered(payload), front_doors="http-api") as local:
        answer = await local.request("OPTIONS", "/", headers=PREFLIGHT)
        assert cors_headers(answer) == {"access-control-allow-origin": "*", "access-control-allow-methods": "TRACE"}


# --- signatures --------------------------------------------------------------------------------------------------


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    pair = make_key_pair()
    file = tmp_path / "key.json"
    file.write_text(json.dumps({"AccessKeyId": pair.access_key_id, "SecretAccessKey": pair.secret_access_key}))
    return file


def key_of(file: Path) -> KeyPair:
    return read_key_pair(str(file), "")


def signature(local: LocalLambda, key_file: Path, method: str, path: str, body: bytes = b"") -> dict[str, str]:
    """Return the headers that botocore adds to a request."""
    key = key_of(key_file)
    request = AWSRequest(method, f"http://127.0.0.1:{local.port}{path}", data=body)
    signer = SigV4Auth(Credentials(key.access_key_id, key.secret_access_key), "lambda", "us-east-1")
    signer.add_auth(request)
    return {"Host": f"127.0.0.1:{local.port}", **dict(request.headers.items())}


async def test_a_signed_request_is_invoked_and_its_caller_is_in_the_event(key_file: Path) -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    flags: dict[str, Any] = {"auth": "aws-iam", "auth_key_file": str(key_file), "invoke_mode": "buffered"}
    async with local_lambda(keeper(events, PAYLOADS["function-url"]), **flags) as local:
        body = b'{"name": "Alice"}'
        headers = signature(local, key_file, "POST", "/a%2Fb/?x=1", body)
        assert (await local.request("POST", "/a%2Fb/?x=1", body, headers)).status == 201
        event = events.get_nowait()
        # As in a capture of a request that a user signed.
        assert event["requestContext"]["accountId"] == "123456789012"
        assert event["requestContext"]["authorizer"] == {
            "iam": {
                "accessKey": key_of(key_file).access_key_id,
                "accountId": "123456789012",
                "callerId": "AIDALOCALUSEREXAMPLE",
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": "arn:aws:iam::123456789012:user/local",
                "userId": "AIDALOCALUSEREXAMPLE",
            }
        }
        assert "authorization" not in event["headers"]
        assert event["headers"]["x-amz-date"] == headers["X-Amz-Date"]


async def test_requests_without_a_valid_signature_get_awss_403(key_file: Path) -> None:
    flags: dict[str, Any] = {"auth": "aws-iam", "auth_key_file": str(key_file), "front_doors": "function-url,http-api"}
    async with local_lambda(buffered(PAYLOADS["http-api"]), **flags) as local:
        unsigned = await local.request("GET", "/")
        assert (unsigned.status, unsigned.header("x-amzn-ErrorType")) == (403, "AccessDeniedException")
        assert json.loads(unsigned.body)["Message"].startswith("Forbidden. For troubleshooting Function URL")
        headers = signature(local, key_file, "POST", "/", b"one")
        changed = await local.request("POST", "/", b"other", headers)
        assert (changed.status, changed.header("x-amzn-ErrorType")) == (403, "InvalidSignatureException")
        assert json.loads(changed.body)["message"].startswith("The request signature we calculated does not match")
        bearer = await local.request("GET", "/", headers={"Authorization": "Bearer =hidden, Credential=hidden"})
        assert (bearer.status, bearer.header("x-amzn-ErrorType")) == (403, "IncompleteSignatureException")
        assert local.starts == 0
        records = [await local.visit() for _ in range(3)]
        assert all(record.refused for record in records)
        # AWS's text may quote a header, so it is not in the line.
        assert [record.error_type for record in records] == [
            f"{name}; the response contains the reason"
            for name in ("AccessDeniedException", "InvalidSignatureException", "IncompleteSignatureException")
        ]
        # Only function URLs have an AuthType.
        local.port = local.door_ports[1]
        assert (await local.request("GET", "/")).status == 201


async def test_a_preflight_needs_no_signature(key_file: Path) -> None:
    flags: dict[str, Any] = {"auth": "aws-iam", "auth_key_file": str(key_file), "cors": CORS}
    async with local_lambda(buffered({}), **flags) as local:
        assert (await local.request("OPTIONS", "/", headers=PREFLIGHT)).status == 200


async def test_the_signature_counts_for_the_host_that_the_client_used_not_for_the_domain(key_file: Path) -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    flags: dict[str, Any] = {
        "auth": "aws-iam",
        "auth_key_file": str(key_file),
        "domain": "a.example",
        "invoke_mode": "buffered",
    }
    async with local_lambda(keeper(events, PAYLOADS["function-url"]), **flags) as local:
        assert (await local.request("GET", "/", headers=signature(local, key_file, "GET", "/"))).status == 201
        assert events.get_nowait()["headers"]["host"] == "a.example"


async def test_neither_the_secret_nor_a_signature_is_recorded(key_file: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    flags: dict[str, Any] = {
        "auth": "aws-iam",
        "auth_key_file": str(key_file),
        "record": str(folder),
        "invoke_mode": "buffered",
    }
    async with local_lambda(buffered(PAYLOADS["function-url"]), **flags) as local:
        headers = signature(local, key_file, "GET", "/")
        assert (await local.request("GET", "/", headers=headers)).status == 201
        (recording,) = folder.iterdir()
        text = recording.read_text()
        assert key_of(key_file).secret_access_key not in text
        assert headers["Authorization"].rpartition("Signature=")[2] not in text
        notices = [local.notices.get_nowait() for _ in range(local.notices.qsize())]
        assert key_of(key_file).secret_access_key not in "\n".join(notices)


# --- the authorizer's context, the domain ------------------------------------------------------------------------


@pytest.mark.parametrize("door", ["http-api", "rest-api"])
async def test_an_authorizers_context_is_in_the_event(door: str, tmp_path: Path) -> None:
    context = {"jwt": {"claims": {"sub": "user-1"}, "scopes": ["a"]}}
    (tmp_path / "context.json").write_text(json.dumps(context))
    events: asyncio.Queue[Any] = asyncio.Queue()
    flags: dict[str, Any] = {
        "front_doors": door,
        "authorizer_context": str(tmp_path / "context.json"),
        "invoke_mode": "buffered",
    }
    async with local_lambda(keeper(events, MULTI), **flags) as local:
        await local.request("GET", "/")
        assert events.get_nowait()["requestContext"]["authorizer"] == context


def hosts(event: dict[str, Any]) -> set[str]:
    """Return the Host in all maps of headers of an event."""
    maps = [event.get("headers") or {}, event.get("multiValueHeaders") or {}]
    values = [value for each in maps for name, value in each.items() if name.lower() == "host"]
    return {one for value in values for one in ([value] if isinstance(value, str) else value)}


@pytest.mark.parametrize("door", ALL)
async def test_with_a_domain_the_app_gets_it_as_its_host(door: str) -> None:
    events: asyncio.Queue[Any] = asyncio.Queue()
    flags: dict[str, Any] = {"front_doors": door, "domain": "Shop.Example", "invoke_mode": "buffered"}
    async with local_lambda(keeper(events, PAYLOADS[door]), **flags) as local:
        await local.request("GET", "/", headers={"Host": f"127.0.0.1:{local.port}"})
        event = events.get_nowait()
        assert hosts(event) <= {"shop.example"}
        context = event.get("requestContext", {})
        if "domainName" in context:
            assert (context["domainName"], context["domainPrefix"]) == ("shop.example", "shop")
        if door != "lattice-v1":
            assert hosts(event) == {"shop.example"}


async def test_a_domain_is_no_host_of_the_control_api_or_the_invoke_apis() -> None:
    async with local_lambda(buffered({}), domain="shop.example") as local:
        local.port = local.invoke_port
        for path in ("/_adapter/status", "/2015-03-31/functions/f/invocations"):
            assert (await local.request("POST", path, headers={"Host": "shop.example"})).status == 403


# --- WebSockets --------------------------------------------------------------------------------------------------

# The request that a browser sends for `new WebSocket("ws://127.0.0.1:3000/ws")`.
BROWSER = {
    "Connection": "Upgrade",
    "Pragma": "no-cache",
    "Cache-Control": "no-cache",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0",
    "Upgrade": "websocket",
    "Origin": "http://127.0.0.1:3000",
    "Sec-WebSocket-Version": "13",
    "Accept-Encoding": "gzip, deflate, br, zstd",
    "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits",
}


@pytest.mark.parametrize("door", ALL)
async def test_a_websocket_is_explained_once_for_each_path_and_is_a_plain_get_or_400(door: str) -> None:
    flags: dict[str, Any] = {"front_doors": door, "invoke_mode": "buffered"}
    async with local_lambda(buffered(PAYLOADS[door]), **flags) as local:
        outcome, status = ("answers with 400", 400) if door.startswith("alb") else ("as a plain GET", 201)
        for path in ("/ws", "/ws?room=1", "/ws", "/chat"):
            answer = await local.request("GET", path, headers=BROWSER)
            assert (answer.status, answer.header("upgrade")) == (status, None)
        notices = [local.notices.get_nowait() for _ in range(local.notices.qsize())]
        explained = [line for line in notices if "WebSocket" in line]
        assert [line.partition(":")[0] for line in explained] == ["/ws", "/chat"]
        assert all("no front door of Lambda can upgrade" in line and outcome in line for line in explained)


@pytest.mark.parametrize(("door", "status"), [("function-url", 201), ("rest-api", 201), ("alb", 400)])
async def test_a_real_websocket_client_is_not_upgraded(door: str, status: int) -> None:
    async with local_lambda(buffered(PAYLOADS[door]), front_doors=door, url_invoke_mode="buffered") as local:
        with pytest.raises(InvalidStatus) as caught:
            await connect(f"ws://127.0.0.1:{local.port}/ws", proxy=None)
        assert caught.value.response.status_code == status


async def test_other_upgrades_are_not_explained() -> None:
    async with local_lambda(buffered(PAYLOADS["http-api"]), front_doors="http-api") as local:
        await local.request("GET", "/", headers={"Connection": "Upgrade, HTTP2-Settings", "Upgrade": "h2c"})
        notices = [local.notices.get_nowait() for _ in range(local.notices.qsize())]
        assert not [line for line in notices if "WebSocket" in line]
