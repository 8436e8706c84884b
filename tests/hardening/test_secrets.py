"""Secrets: twenty canaries travel through every error path of all three ways in, and none is found afterwards.

A canary may go where its sender sent it (to the app, or to the client that asked). It may not show in a log, nor in the
answer or the error that the adapter itself writes.
"""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from tests.hardening import figures
from tests.hardening.dev_process import DevProcess
from tests.hardening.recorder import PROBE
from tests.proxy.process import ProxyProcess
from tests.raw_client import raw_client
from tests.runtime_process import RuntimeProcess
from tests.scripted_app import OK, Received, Reply, ScriptedApp
from tests.scripted_runtime_api import ScriptedRuntimeApi
from tests.unused_port import unused_port

PLACES = (
    "authorization",
    "cookie",
    "second-cookie",
    "api-key",
    "query-token",
    "form-password",
    "proxy-authorization",
    "user-in-url",
    "trailer",
    "illegal-value",
    "base64-body",
    "authorizer",
    "client-context",
    "set-cookie",
    "response-header",
    "response-body",
    "error-page",
    "garbage",
    "environment",
    "command-line",
)
CANARY = {place: f"canary-{number:02}-of-the-{place}" for number, place in enumerate(PLACES)}
ENVIRON = {"DATABASE_PASSWORD": CANARY["environment"], "AWS_SECRET_ACCESS_KEY": CANARY["environment"]}
SET_COOKIE = f"Set-Cookie: s={CANARY['set-cookie']}\r\nX-Secret: {CANARY['response-header']}\r\n".encode()
BODY = CANARY["response-body"].encode()


def found(text: str | bytes) -> list[str]:
    """Return the places whose canary is in ``text``."""
    plain = text if isinstance(text, str) else text.decode("utf-8", "replace")
    return [place for place, canary in CANARY.items() if canary in plain]


def test_there_are_twenty_different_canaries() -> None:
    assert len(set(CANARY.values())) == 20
    assert found(f"x{CANARY['cookie']}y") == ["cookie"]


def hang_up_after(raw: bytes) -> Reply:
    def reply(received: Received) -> None:
        received.read_body()
        received.send(raw)
        received.hang_up()

    return reply


def never_answer(received: Received) -> None:
    received.read_body()
    received.wait_for_hang_up()


OK_HEAD = b"HTTP/1.1 200 OK\r\n" + SET_COOKIE
CHUNKED = OK_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
# Everything that an app can do wrong, with its own canaries in it.
MISBEHAVIOUR: dict[str, Reply] = {
    "/reset": hang_up_after(b""),
    "/garbage": hang_up_after(CANARY["garbage"].encode() + b"\r\n\r\n"),
    "/cut-head": hang_up_after(OK_HEAD),
    "/bad-header": hang_up_after(OK_HEAD + b"Cookie " + BODY + b"\r\n\r\n"),
    "/bad-value": hang_up_after(OK_HEAD + b"X: " + BODY + b"\0\r\n\r\n"),
    "/bad-coding": hang_up_after(OK_HEAD + b"Transfer-Encoding: chunked, gzip\r\n\r\n" + BODY),
    "/cut-body": hang_up_after(OK_HEAD + b"Content-Length: 5000\r\n\r\n" + BODY),
    "/bad-chunk": hang_up_after(CHUNKED + BODY + b"\r\n"),
    "/long-chunk": hang_up_after(CHUNKED + b"1\r\nx" + BODY + b"\r\n"),
    "/bad-trailer": hang_up_after(CHUNKED + b"0\r\n" + BODY + b"\r\n\r\n"),
    "/switch": hang_up_after(b"HTTP/1.1 101 X\r\nConnection: upgrade\r\nUpgrade: x\r\n" + SET_COOKIE + b"\r\n" + BODY),
    "/failing": hang_up_after(
        b"HTTP/1.1 500 X\r\nContent-Length: 99\r\n\r\n" + CANARY["error-page"].encode().ljust(99)
    ),
    "/large": hang_up_after(OK_HEAD + b"Content-Length: 8000000\r\n\r\n" + BODY.ljust(8_000_000)),
    "/slow": never_answer,
}


def misbehaving() -> ScriptedApp:
    app = ScriptedApp()
    app.replies.update(MISBEHAVIOUR)
    app.replies[PROBE] = OK
    return app


# --- the runtime --------------------------------------------------------------------------------------------------


def event(path: str, **changes: Any) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": f"token={CANARY['query-token']}",
        "cookies": [f"a={CANARY['cookie']}", f"b={CANARY['second-cookie']}"],
        "headers": {
            "authorization": f"Bearer {CANARY['authorization']}",
            "x-api-key": CANARY["api-key"],
            "proxy-authorization": CANARY["proxy-authorization"],
        },
        "requestContext": {
            "http": {"method": "POST", "path": path},
            "authorizer": {"jwt": {"claims": {"token": CANARY["authorizer"]}}},
        },
        "body": f"password={CANARY['form-password']}",
        "isBase64Encoded": False,
    } | changes


BROKEN_EVENTS: list[dict[str, Any] | bytes] = [
    event("/x", headers={"authorization": f"{CANARY['illegal-value']}\n"}),
    event("/x", headers={"authorization": [CANARY["illegal-value"]]}),
    event("/x", headers=CANARY["illegal-value"]),
    event("/x", cookies=[f"a={CANARY['cookie']}\0"]),
    event("/x", cookies=CANARY["cookie"]),
    event("/x", cookies=[[CANARY["cookie"]]]),
    event("/x", body=CANARY["base64-body"] + "!", isBase64Encoded=True),
    event("/x", body={"password": CANARY["form-password"]}),
    event("/x", rawQueryString=[CANARY["query-token"]]),
    event("/x", rawPath={"token": CANARY["query-token"]}),
    event("/x", isBase64Encoded=1),
    json.dumps(event("/x")).encode()[:-1],
    json.dumps(event("/x")).encode() + CANARY["base64-body"].encode(),
    json.dumps(event("/x")).encode().replace(b"password=", b"\xff"),
    json.dumps(event("/x"))[:-1].encode() + b', "body": "' + CANARY["base64-body"].encode() + b'"}',
    json.dumps(event("/x"))[:-1].encode() + b', "n": NaN}',
    {
        "httpMethod": "GET",
        "requestContext": {},
        "path": "/",
        "queryStringParameters": {"t": [{CANARY["query-token"]: 1}]},
    },
]


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
def test_the_runtime_tells_no_secret(mode: str) -> None:
    environ = ENVIRON | {
        "AWS_LWA_INVOKE_MODE": mode,
        "AWS_LWA_READINESS_CHECK_PATH": PROBE,
        "AWS_LWA_ERROR_STATUS_CODES": "500",
        "AWS_LAMBDA_LOG_LEVEL": "trace",
        "ADAPTER_DEADLINE_MARGIN": "0",
    }
    with ScriptedRuntimeApi() as api, misbehaving() as app, RuntimeProcess(api, app=app, environ=environ) as runtime:
        for path in MISBEHAVIOUR:
            deadline = {"Deadline_Ms": "1"} if path == "/slow" else {}
            api.invoke(event(path), **deadline).begun().wait()
        for broken in BROKEN_EVENTS:
            api.invoke(broken).error()
        api.invoke(event("/good"), Client_Context=CANARY["client-context"]).error()
        app.close()
        api.invoke(event("/gone")).error()
        runtime.terminate()
        log = runtime.stderr()
        errors = [call for call in api.calls if call.path.endswith("/error")]
        trailing = [b64decode(call.trailers.get("lambda-runtime-function-error-body", "")) for call in api.calls]
    assert len(errors) >= len(BROKEN_EVENTS) + 8
    assert found(log) == []
    for call in errors:
        assert found(bytes(call.raw)) == [], bytes(call.body)
    assert found(b"".join(trailing)) == []
    figures.show(f"secrets, runtime, {mode}", f"0 of {len(PLACES)} canaries after {len(errors)} errors")


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(("sh", "-c", "exit 3", CANARY["command-line"]), id="exits"),
        pytest.param(("no-such-program", CANARY["command-line"]), id="cannot-be-started"),
    ],
)
def test_a_failed_init_tells_no_secret(command: tuple[str, ...]) -> None:
    with ScriptedRuntimeApi() as api:
        environ = ENVIRON | {"AWS_LWA_PORT": str(unused_port())}
        with RuntimeProcess(api, *command, environ=environ) as runtime:
            assert found(bytes(api.wait_for("/init/error").wait().raw)) == []
            runtime.exit_code()
            assert found(runtime.stderr()) == []


# --- the proxy ----------------------------------------------------------------------------------------------------


def request(path: str, *lines: str, body: str = "", start: str = "") -> bytes:
    head = [
        start or f"POST {path}?token={CANARY['query-token']} HTTP/1.1",
        "Host: app.example",
        f"Authorization: Bearer {CANARY['authorization']}",
        f"Cookie: a={CANARY['cookie']}; b={CANARY['second-cookie']}",
        f"X-Api-Key: {CANARY['api-key']}",
        f"Proxy-Authorization: {CANARY['proxy-authorization']}",
        *lines,
    ]
    body = body or f"password={CANARY['form-password']}"
    if not any(line.startswith("Transfer-Encoding") for line in lines):
        head.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*head, "", body]).encode()


USER = f"http://me:{CANARY['user-in-url']}@app.example/x"
REFUSED = [
    request("/x", f"X: {CANARY['illegal-value']}\0"),
    request("/x", f"{CANARY['illegal-value']}"),
    request("/x", f"Transfer-Encoding: chunked, {CANARY['illegal-value']}"),
    request("/x", f"Content-Length: {CANARY['illegal-value']}"),
    request("/x", "Host: second.example"),
    request("/x", "X: " + CANARY["illegal-value"] * 60_000),
    request("/x", start=f"GET {USER}?token={CANARY['query-token']} HTTP/1.1"),
    request("/x", start=f"GET ftp{USER[4:]} HTTP/1.1"),
    request("/x", start=f"GET /a b?token={CANARY['query-token']} HTTP/1.1"),
    request("/x", start=f"GET /x?token={CANARY['query-token']}#{CANARY['query-token']} HTTP/1.1"),
    request("/x", start=f"CONNECT me:{CANARY['user-in-url']}@app.example:443 HTTP/1.1"),
    request("/x", start=f"{CANARY['api-key']} /x HTTP/1.1"),
    request("/x", "Transfer-Encoding: chunked", body=CANARY["form-password"]),
    request("/x", "Transfer-Encoding: chunked", body=f"1\r\nx\r\n0\r\n{CANARY['trailer']}\r\n\r\n"),
    request("/x", "Transfer-Encoding: chunked", body=f"1\r\nx\r\n0\r\nX: {CANARY['trailer']}\0\r\n\r\n"),
]


async def answer_to(port: int, raw: bytes) -> tuple[int, bytes]:
    """Status and every byte of the answer, to the end of the connection or of the server's patience with us."""
    async with raw_client(port) as client:
        sending = asyncio.ensure_future(client.send(raw.replace(b"\r\n", b"\r\nConnection: close\r\n", 1)))
        try:
            head = await client.head()
            return head.status, head.raw_head + await client.rest()
        except (asyncio.IncompleteReadError, ConnectionError) as cut:
            return 0, cut.partial if isinstance(cut, asyncio.IncompleteReadError) else b""
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)


async def provoke(
    port: int, *, is_ours: Callable[[bytes], bool] = lambda answer: True, paths: Iterable[str] = MISBEHAVIOUR
) -> int:
    """Take every error path; how many answers of the server's own there were. ``is_ours`` tells them from the app's."""
    errors = 0
    for raw in (*map(request, paths), *REFUSED):
        status, answer = await answer_to(port, raw)
        if status >= 400 and is_ours(answer):
            errors += 1
            assert found(answer) == [], (raw[:80], answer)
    return errors


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_the_proxy_tells_no_secret(mode: str, log_format: str) -> None:
    flags = ["--invoke-mode", mode, "--request-timeout", "0.3", "--log-level", "trace", "--log-format", log_format]
    with misbehaving() as app:
        flags += ["--readiness-path", PROBE, "--bandwidth", "unlimited"]
        with ProxyProcess(*flags, app_port=app.port, environ=ENVIRON) as process:
            errors = await provoke(process.port, is_ours=lambda answer: CANARY["error-page"].encode() not in answer)
            app.close()
            assert (await answer_to(process.port, request("/gone")))[0] in (502, 503)
            process.wait_for_line("/gone")
        log = "\n".join(process.lines())
    assert errors >= len(REFUSED) + 6
    assert found(log) == []
    figures.show(f"secrets, proxy, {mode}, {log_format}", f"0 of {len(PLACES)} canaries after {errors} errors")


# --- the front doors ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["buffered", "response_stream"])
async def test_the_local_lambda_tells_no_secret(mode: str) -> None:
    doors = ("function-url", "rest-api", "alb")
    flags = ("--invoke-mode", mode, "--timeout", "1", "--bandwidth", "unlimited", "--error-statuses", "500")
    with misbehaving() as app:
        with DevProcess(app.port, *flags, doors=doors, **ENVIRON) as dev:
            errors = 0
            for door, port in dev.ports.items():
                # A timeout is that of the function at each front door, and takes a second. One is enough.
                paths = MISBEHAVIOUR if door == "alb" else [path for path in MISBEHAVIOUR if path != "/slow"]
                errors += await provoke(port, paths=paths)
        log = dev.output()
    assert errors >= len(doors) * (len(REFUSED) + 6)
    assert found(log) == []
    figures.show(f"secrets, front doors, {mode}", f"0 of {len(PLACES)} canaries after {errors} errors")
