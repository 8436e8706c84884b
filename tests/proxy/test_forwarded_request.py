"""The request that the app gets, byte for byte, from a real proxy."""

from __future__ import annotations

import pytest

from tests.proxy.process import ProxyProcess
from tests.proxy.scripts import get
from tests.raw_client import ask, raw_client
from tests.scripted_app import ScriptedApp

# What the proxy adds to every request with "Host: a" from a client on this machine.
ADDED = [
    ("x-forwarded-for", "127.0.0.1"),
    ("x-forwarded-proto", "http"),
    ("x-forwarded-host", "a"),
    ("forwarded", 'for=127.0.0.1;host="a";proto=http'),
]


async def test_a_request_arrives_as_it_was_sent(app: ScriptedApp, proxy: int) -> None:
    await ask(proxy, get("/a%2Fb//c/../d?x=%20&y", "X-A: 1", "x-a: 2", "Traceparent: 00-1-2-03", "Cookie: c=1"))
    received = app.requests[0]
    assert (received.method, received.target) == ("GET", "/a%2Fb//c/../d?x=%20&y")
    (host, request_id), kept = received.pairs[:2], received.pairs[2:]
    assert host == ("host", "a")
    assert request_id[0] == "x-request-id"
    assert kept == [("x-a", "1"), ("x-a", "2"), ("traceparent", "00-1-2-03"), ("cookie", "c=1"), *ADDED]


async def test_connection_headers_are_not_forwarded(app: ScriptedApp, proxy: int) -> None:
    lines = [
        "Connection: X-Private, Forwarded, keep-alive",
        "X-Private: 1",
        "TE: gzip",
        "Keep-Alive: timeout=5",
        "Proxy-Authorization: secret",
        "X-Amzn-Lambda-Context: forged",
        "x_amzn-request_context: forged",
    ]
    await ask(proxy, get("/", *lines))
    assert app.requests[0].pairs[2:] == ADDED


@pytest.mark.parametrize(
    ("target", "seen", "host"),
    [
        pytest.param("http://b:1/x?y", "/x?y", "b:1", id="absolute"),
        pytest.param("HTTP://b", "/", "b", id="absolute-without-path"),
        pytest.param("http://b?q", "/?q", "b", id="absolute-with-query-alone"),
        pytest.param("//evil/x", "//evil/x", "a", id="two-slashes"),
    ],
)
async def test_the_authority_of_a_target_overrides_host(
    app: ScriptedApp, proxy: int, target: str, seen: str, host: str
) -> None:
    await ask(proxy, get(target))
    assert (app.requests[0].target, app.requests[0].headers["host"]) == (seen, host)


async def test_the_asterisk_is_for_options_only(app: ScriptedApp, proxy: int) -> None:
    await ask(proxy, get("*", method="OPTIONS"))
    assert app.requests[0].target == "*"


@pytest.mark.parametrize(
    ("request_bytes", "status"),
    [
        pytest.param(get("ftp://b/x"), 400, id="other-scheme"),
        pytest.param(get("http://user:secret@b/x"), 400, id="credentials"),
        pytest.param(get("*"), 400, id="asterisk-for-get"),
    ],
)
async def test_targets_outside_the_app_are_refused(
    app: ScriptedApp, proxy: int, request_bytes: bytes, status: int
) -> None:
    answer = await ask(proxy, request_bytes)
    assert answer.status == status
    assert b"secret" not in answer.body
    assert not app.requests


async def test_bytes_after_connect_are_not_read_as_a_request(app: ScriptedApp, proxy: int) -> None:
    async with raw_client(proxy) as client:
        await client.send(b"CONNECT b:443 HTTP/1.1\r\nHost: b:443\r\n\r\n" + get("/"))
        answer = await client.answer()
        assert (answer.status, answer.headers["connection"]) == (405, "close")
        assert await client.rest() == b""
    assert not app.requests


async def test_an_http_1_0_connection_ends_after_its_response(app: ScriptedApp, proxy: int) -> None:
    async with raw_client(proxy) as client:
        await client.send(b"GET / HTTP/1.0\r\n\r\n")
        answer = await client.answer()
        assert (answer.body, answer.headers["connection"]) == (b"ok", "close")
        assert await client.rest() == b""
    assert app.requests[0].headers["host"] == f"127.0.0.1:{app.port}"


async def test_a_request_id_is_kept_or_made_and_sent_both_ways(app: ScriptedApp, proxy: int) -> None:
    kept = await ask(proxy, get("/", "X-Request-Id: mine", "X_Request_Id: forged"))
    made = await ask(proxy, get("/"))
    assert [received.headers["x-request-id"] for received in app.requests] == [
        "mine",
        made.headers["x-request-id"],
    ]
    assert kept.headers["x-request-id"] == "mine"
    assert "x_request_id" not in app.requests[0].headers


async def test_the_apps_own_request_id_is_kept(app: ScriptedApp, proxy: int) -> None:
    app.default = b"HTTP/1.1 200 OK\r\nX-Request-Id: its own\r\nContent-Length: 0\r\n\r\n"
    answer = await ask(proxy, get("/"))
    assert [value for name, value in answer.pairs if name == "x-request-id"] == ["its own"]


async def test_the_origin_is_accepted_from_trusted_proxies_only(app: ScriptedApp, proxy: int) -> None:
    claims = get("/", "X-Forwarded-For: 1.1.1.1", "X-Forwarded-Proto: https", "Forwarded: for=1.1.1.1")
    await ask(proxy, claims)
    with ProxyProcess("--trusted-proxies", "10.0.0.0/8,127.0.0.1", app_port=app.port) as trusting:
        await ask(trusting.port, claims)
    stranger, trusted = (received.headers for received in app.requests)
    assert (stranger["x-forwarded-for"], stranger["x-forwarded-proto"]) == ("127.0.0.1", "http")
    assert (trusted["x-forwarded-for"], trusted["x-forwarded-proto"]) == ("1.1.1.1, 127.0.0.1", "https")
    assert trusted["forwarded"] == 'for=1.1.1.1, for=127.0.0.1;host="a";proto=http'


async def test_a_trusted_proxy_may_speak_of_the_client_and_of_nothing_else(app: ScriptedApp, proxy: int) -> None:
    claims = ["X-Forwarded-Prefix: /a", "X-Forwarded-Ssl: on", "True-Client-IP: 1.1.1.1", "Remote-User: u"]
    internal = ["SCRIPT_NAME: /a", "Script-Name: /a", "X-Original-URL: /a", "X_Forwarded_For: 6.6.6.6", "Proxy: x"]
    await ask(proxy, get("/", *claims, *internal))
    with ProxyProcess("--trusted-proxies", "127.0.0.1", app_port=app.port) as trusting:
        await ask(trusting.port, get("/", *claims, *internal))
    stranger, trusted = ([name for name, _ in received.pairs[2:]] for received in app.requests)
    assert stranger == [name for name, _ in ADDED]
    assert trusted == ["x-forwarded-prefix", "x-forwarded-ssl", "true-client-ip", "remote-user", *stranger]


async def test_several_cookie_lines_become_one(app: ScriptedApp, proxy: int) -> None:
    await ask(proxy, get("/", "Cookie: a=1; b=2", "X-A: 1", "cookie: c=3"))
    assert app.requests[0].pairs[2:4] == [("cookie", "a=1; b=2; c=3"), ("x-a", "1")]


async def test_two_values_of_a_header_that_has_one_are_refused(app: ScriptedApp, proxy: int) -> None:
    answer = await ask(proxy, get("/", "Authorization: Bearer a", "authorization: Bearer b"))
    assert (answer.status, b"2 different authorization headers" in answer.body) == (400, True)
    assert b"Bearer" not in answer.body
    assert not app.requests


async def test_the_paths_that_only_lambda_may_request_are_closed_here_too(app: ScriptedApp) -> None:
    flags = ("--before-checkpoint-path", "/before", "--guard-pass-through", "--base-path", "/api")
    with ProxyProcess(*flags, app_port=app.port) as proxy:
        targets = ["/before", "/Before/", "/api/before", "http://b//before", "/events", "/x/%2e./events"]
        statuses = [(await ask(proxy.port, get(target))).status for target in targets]
        assert (await ask(proxy.port, get("/before/x"))).status == 200
    assert statuses == [403] * len(targets)
    assert [received.target for received in app.requests] == ["/before/x"]


async def test_base_path_and_authorization_source(app: ScriptedApp) -> None:
    with ProxyProcess("--base-path", "/api", "--authorization-source", "X-Token", app_port=app.port) as proxy:
        await ask(proxy.port, get("/api/v1?x", "X-Token: Bearer 1", "Authorization: old"))
        await ask(proxy.port, get("/apiary", "Authorization: own"))
        await ask(proxy.port, get("http://b/api"))
    first, second, third = app.requests
    assert (first.target, first.headers["authorization"]) == ("/v1?x", "Bearer 1")
    assert "x-token" not in first.headers
    assert (second.target, second.headers["authorization"]) == ("/apiary", "own")
    assert (third.target, third.headers["host"]) == ("/", "b")
