"""Headers of the connection: removed in both directions, before the adapter adds its own, in all three ways in."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.hardening.dev_process import DOORS, DevProcess
from tests.hardening.recorder import PROBE, Recorder
from tests.hardening.test_identity import FORMATS, EventOf, Pairs, request
from tests.proxy.process import ProxyProcess
from tests.raw_client import RawClient, ask, raw_client
from tests.runtime_process import RuntimeProcess
from tests.scripted_runtime_api import ScriptedRuntimeApi

# What a message says of the connection it came over, as it is sent and in other spellings.
HOP_BY_HOP: Pairs = [
    ("Keep-Alive", "timeout=5"),
    ("Proxy-Authenticate", "Basic"),
    ("Proxy-Authorization", "Basic eDp5"),
    ("PROXY-CONNECTION", "keep-alive"),
    ("Proxy-Authentication-Info", "x"),
    ("TE", "trailers, deflate"),
    ("Trailer", "X-Late"),
    ("X-Nominated", "1"),
    ("x-also-nominated", "2"),
]
NOMINATION = ("Connection", "X-Nominated, keep-alive,\tX-ALSO-NOMINATED, Host")
# What an app's server could take for one of those, or for a setting of its own.
FOR_AN_APP_ALONE: Pairs = [
    ("Transfer_Encoding", "chunked"),
    ("Content_Length", "5"),
    ("keep_alive", "timeout=5"),
    ("Proxy", "http://evil.example"),
]
KEPT: Pairs = [("X-Kept", "a"), ("X-Kept", "b"), ("X-Text", "t\u00e9xt \t end"), ("Authorization", "Bearer t")]
REMOVED = {name.lower() for name, _ in (*HOP_BY_HOP, *FOR_AN_APP_ALONE)}
# What the adapter's own message may say of its connection.
OWN = {"connection": {"close", "keep-alive", "te"}, "content-length": {"0", "2"}, "transfer-encoding": {"chunked"}}


def check_forwarded(pairs: Pairs, expected: Pairs) -> None:
    names = {name for name, _ in pairs}
    assert not names & REMOVED, names & REMOVED
    for name, value in pairs:
        assert name not in OWN or value in OWN[name], (name, value)
    wanted = {name.lower() for name, _ in expected}
    kept = sorted((name, value.encode("latin-1").decode()) for name, value in pairs if name in wanted)
    assert kept == sorted((name.lower(), value) for name, value in expected)


@pytest.fixture
def api() -> Iterator[ScriptedRuntimeApi]:
    with ScriptedRuntimeApi() as scripted:
        yield scripted


@pytest.mark.parametrize("event_of", FORMATS)
def test_an_event_brings_no_header_of_another_connection(
    app: Recorder, api: ScriptedRuntimeApi, event_of: EventOf
) -> None:
    sent = [NOMINATION, ("Content-Length", "99"), ("Transfer-Encoding", "chunked"), ("Expect", "100-continue")]
    sent += [("Upgrade", "h2c"), ("Host", "app.example"), *HOP_BY_HOP, *FOR_AN_APP_ALONE, *KEPT[1:]]
    environ = {"AWS_LWA_PORT": str(app.port), "AWS_LWA_READINESS_CHECK_PATH": PROBE}
    with RuntimeProcess(api, environ=environ):
        api.invoke(event_of("/x", sent)).answer()
    (recorded,) = app.requests
    assert not {"upgrade", "expect", "connection", "transfer-encoding"} & {name for name, _ in recorded.pairs}
    check_forwarded(recorded.pairs, [*KEPT[1:], ("Host", "app.example")])


async def test_the_proxy_takes_headers_of_the_clients_connection_off(app: Recorder, proxy: ProxyProcess) -> None:
    sent = [NOMINATION, *HOP_BY_HOP, *FOR_AN_APP_ALONE, *KEPT]
    assert (await ask(proxy.port, request("/x", sent))).status == 200
    (recorded,) = app.requests
    assert not {"upgrade", "expect"} & {name for name, _ in recorded.pairs}
    # The one exception: "trailers" alone is forwarded, without the other coding of the client's TE.
    assert (recorded.all("te"), recorded.all("connection")) == (["trailers"], ["te"])
    others = [(name, value) for name, value in recorded.pairs if name != "te"]
    check_forwarded(others, [*KEPT, ("Host", "app.example")])


async def test_a_protocol_that_is_not_to_be_switched_to_is_not_offered(app: Recorder, proxy: ProxyProcess) -> None:
    connection = ("Connection", "Upgrade, HTTP2-Settings")
    answer = await ask(proxy.port, request("/x", [connection, ("Upgrade", "h2c"), ("HTTP2-Settings", "AAMAAABk")]))
    assert answer.status == 200
    assert not {"upgrade", "connection", "http2-settings"} & {name for name, _ in app.requests[0].pairs}


async def test_the_proxy_asks_for_a_body_itself_and_forwards_no_expectation(app: Recorder, proxy: ProxyProcess) -> None:
    async with raw_client(proxy.port) as client:
        await client.send(b"POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
        assert (await client.head()).status == 100
        await client.send(b"hi")
        assert (await client.answer()).status == 200
    assert app.requests[0].body == b"hi"
    assert app.requests[0].all("expect") == []


@pytest.mark.parametrize("door", DOORS)
async def test_no_front_door_brings_a_header_of_the_clients_connection(
    app: Recorder, dev: DevProcess, door: str
) -> None:
    assert (await ask(dev.ports[door], request("/x", [NOMINATION, *HOP_BY_HOP, *FOR_AN_APP_ALONE]))).status == 200
    (recorded,) = app.requests
    check_forwarded(recorded.pairs, [("Host", "app.example")])


def hopping_reply() -> bytes:
    lines = [NOMINATION, *HOP_BY_HOP, *KEPT[:1], ("Content-Length", "2")]
    head = "".join(f"{name}: {value}\r\n" for name, value in lines)
    return f"HTTP/1.1 200 OK\r\n{head}\r\nok".encode()


def check_answer(pairs: Pairs, body: bytes) -> None:
    assert body == b"ok"
    assert not {name for name, _ in pairs} & REMOVED
    assert [value for name, value in pairs if name == "x-kept"] == ["a"]
    assert {value for name, value in pairs if name == "connection"} <= {"close", "keep-alive"}


async def test_the_proxy_takes_headers_of_the_apps_connection_off(app: Recorder, proxy: ProxyProcess) -> None:
    app.replies["/x"] = hopping_reply()
    answer = await ask(proxy.port, request("/x", []))
    check_answer(answer.pairs, answer.body)


@pytest.mark.parametrize("door", DOORS)
async def test_no_front_door_shows_a_header_of_the_apps_connection(app: Recorder, dev: DevProcess, door: str) -> None:
    app.replies["/x"] = hopping_reply()
    answer = await ask(dev.ports[door], request("/x", []))
    check_answer(answer.pairs, answer.body)


@pytest.mark.parametrize("event_of", FORMATS)
def test_a_payload_names_no_header_of_the_apps_connection(
    app: Recorder, api: ScriptedRuntimeApi, event_of: EventOf
) -> None:
    app.replies["/x"] = hopping_reply()
    environ = {"AWS_LWA_PORT": str(app.port), "AWS_LWA_READINESS_CHECK_PATH": PROBE}
    with RuntimeProcess(api, environ=environ):
        payload = api.invoke(event_of("/x", [])).answer().json()
    headers = {**payload.get("headers", {}), **payload.get("multiValueHeaders", {})}
    names = {name.lower() for name in headers}
    assert not names & (REMOVED | set(OWN))
    assert headers["x-kept"] in ("a", ["a"])


# What a message's header section alone may say (RFC 9110, sections 6.5.1 and 7.6.1).
NOT_TRAILERS = [
    *(
        "Connection",
        "Content-Length",
        "Transfer-Encoding",
        "TE",
        "Trailer",
        "Upgrade",
        "Keep-Alive",
        "Proxy-Connection",
    ),
    *("Host", "Max-Forwards", "Expect", "Cache-Control", "Pragma", "Range", "Vary", "Age", "Date", "Expires"),
    *("If-Match", "If-None-Match", "If-Modified-Since", "If-Unmodified-Since", "If-Range", "IF", "Realm", "Warning"),
    *("Authorization", "Cookie", "Set-Cookie", "set_cookie", "WWW-Authenticate", "Proxy-Authorization"),
    *("Content-Type", "content_type", "Content-Encoding", "Content-Range", "Content-Language", "Content-Location"),
    *("Location", "Retry-After", "Proxy-Authenticate", "X-Forwarded-Host", "Forwarded", "X-Real-Ip"),
]


@pytest.mark.parametrize("trailer", ["X-Request-Id", "X-Nominated", *NOT_TRAILERS])
async def test_no_trailer_of_the_app_says_what_its_head_must(app: Recorder, proxy: ProxyProcess, trailer: str) -> None:
    head = f"Transfer-Encoding: chunked\r\nConnection: X-Nominated\r\nTrailer: X-Late, {trailer}\r\n"
    tail = f"2\r\nok\r\n0\r\n{trailer}: 5\r\nX-Late: 1\r\n\r\n"
    app.replies["/x"] = f"HTTP/1.1 200 OK\r\n{head}\r\n{tail}".encode()
    answer = await ask(proxy.port, request("/x", []))
    assert (answer.body, answer.trailers) == (b"ok", [("X-Late", "1")])
    assert answer.all("trailer") == ["X-Late"]


@pytest.mark.parametrize("trailer", [b"X: a\rSet-Cookie: b", b"X y: a", b"X: a\0", b"X: a\r\n folded", b": a"])
async def test_trailers_that_are_no_headers_end_the_response_without_its_end(
    app: Recorder, proxy: ProxyProcess, trailer: bytes
) -> None:
    app.replies["/x"] = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n%s\r\n\r\n" % trailer
    async with raw_client(proxy.port) as client:
        await client.send(request("/x", []))
        raw = await everything(client)
    assert b"Set-Cookie" not in raw
    assert b"0\r\n\r\n" not in raw


async def everything(client: RawClient) -> bytes:
    return await client.rest()


@pytest.mark.parametrize(
    "trailer",
    [
        *("X-Amzn-Request-Context", "x_amz_tenant_id", "X-Forwarded-For", "X-Forwarded-Prefix", "X-Request-Id"),
        *("SCRIPT_NAME", "Remote-User", "X-Nominated"),
        *NOT_TRAILERS,
    ],
)
async def test_trailers_of_the_client_cannot_add_what_the_proxy_says(
    app: Recorder, proxy: ProxyProcess, trailer: str
) -> None:
    lines = f"Host: a\r\nTransfer-Encoding: chunked\r\nConnection: X-Nominated\r\nTrailer: {trailer}, X-Late\r\n"
    head = f"POST /x HTTP/1.1\r\n{lines}\r\n".encode()
    tail = f"2\r\nhi\r\n0\r\n{trailer}: forged\r\nX-Late: 1\r\n\r\n".encode()
    async with raw_client(proxy.port) as client:
        await client.send(head + tail)
        await client.answer()
    # Servers may read some of them as a framing of the message, and refuse it.
    for recorded in app.requests:
        assert recorded.trailers == [("x-late", "1")]
        assert recorded.all("trailer") == ["X-Late"]
    assert app.violations == []
