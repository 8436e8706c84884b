"""The inspector's API over real sockets: who may use it, what it shows, and that secrets stay masked."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.emulator.scripted import Handed, LocalLambda, ScriptedRuntime, local_lambda, prelude
from tests.emulator.scripts import each, streaming
from tests.raw_client import RawClient, head

SECRETS = {
    "Authorization": "Bearer a-very-secret-token",
    "Cookie": "session=cookie-secret-1; theme=dark-secret-2",
    "X-Api-Key": "api-key-secret-3",
}
FORBIDDEN = (
    "a-very-secret-token",
    "cookie-secret-1",
    "dark-secret-2",
    "api-key-secret-3",
    "set-secret-4",
    "env-secret-5",
)


async def echo_secrets(runtime: ScriptedRuntime, handed: Handed) -> None:
    """Repeat every header in the body, as careless apps do, with a cookie and a variable's value."""
    body = json.dumps(handed.event["headers"]).encode() + b" env-secret-5"
    upload = await runtime.stream(handed)
    await upload.write(prelude(headers={"content-type": "text/plain"}, cookies=["id=set-secret-4; Path=/"]) + body)
    await upload.end()


async def next_event(client: RawClient) -> tuple[str, Any]:
    """Return the next server-sent event: its name and its data."""
    chunk = await client.chunk()
    fields = dict(line.split(": ", 1) for line in chunk.decode().strip().split("\n"))
    return fields["event"], json.loads(fields["data"])


async def detail(local: LocalLambda, number: int = 1, query: str = "") -> Any:
    answer = await local.inspect(f"records/{number}{query}")
    assert answer.status == 200
    return answer.json()


async def concluded(local: LocalLambda, count: int = 1) -> None:
    for _ in range(count):
        await local.reports.get()


# --- who may use it --------------------------------------------------------------------------------------------------

_FOREIGN = [
    *(
        {"Host": host}
        for host in ("evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "192.0.2.7", "0.0.0.0")
    ),
    *({"Host": host} for host in ("[::2]:80", "localhost@evil.example", "127.0.0.2", "localhost:1:2", "")),
    *({"Origin": origin} for origin in ("http://evil.example", "null", "https://localhost", "http://localhost:1")),
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "Cross-Site", "Origin": "http://localhost"},
]
_PATHS = ("", "events", "records/1", "export?as=har")


@pytest.mark.parametrize("headers", _FOREIGN, ids=str)
async def test_a_foreign_host_or_origin_reads_nothing(headers: dict[str, str]) -> None:
    async with local_lambda(streaming(prelude(), b"x")) as local:
        await local.request("GET", "/")
        for path in _PATHS:
            assert (await local.inspect(path, headers)).status in (400, 404)
        acted = await local.inspect("clear", headers | {"Content-Type": "application/json"}, method="POST", body=b"{}")
        assert acted.status in (400, 404)
        assert len(local.ring) == 1


@pytest.mark.parametrize(
    "target",
    [
        pytest.param("/", id="none"),
        pytest.param("/{wrong}/", id="wrong"),
        pytest.param("/{short}/records/1", id="a-part"),
        pytest.param("/{long}/records/1", id="longer"),
        pytest.param("/{token}", id="no-slash"),
        pytest.param("//{token}/", id="two-slashes"),
        pytest.param("/records/1?token={token}", id="in-the-query"),
        pytest.param("/{upper}/records/1", id="upper-case"),
        pytest.param("/%2e/{token}/", id="within-the-path"),
        pytest.param("/events", id="events"),
    ],
)
async def test_without_the_token_there_is_nothing(target: str) -> None:
    async with local_lambda(streaming(prelude(), b"x")) as local:
        await local.request("GET", "/")
        token = local.inspector_url.split("/")[3]
        names = {
            "token": token,
            "wrong": "x" * len(token),
            "short": token[:-1],
            "long": f"{token}x",
            "upper": token.swapcase(),
        }
        for method in ("GET", "POST"):
            client = await RawClient.connect(local.inspector_port)
            answer = await client.request(method, target.format(**names), b"", {"Content-Type": "application/json"})
            await client.close()
            assert (answer.status, answer.body) == (404, b"not found\n")


async def test_a_page_of_the_inspector_itself_is_allowed() -> None:
    async with local_lambda(streaming(prelude(), b"x")) as local:
        await local.request("GET", "/")
        host = f"127.0.0.1:{local.inspector_port}"
        for headers in (
            {"Host": host, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"},
            {"Host": "localhost:3002", "Sec-Fetch-Site": "none"},
            {"Host": "[::1]:3002"},
        ):
            answer = await local.inspect("records/1", headers)
            assert answer.status == 200
            assert "script-src 'self'" in (answer.header("content-security-policy") or "")
            assert answer.header("x-content-type-options") == "nosniff"
            assert answer.header("referrer-policy") == "no-referrer"


async def test_each_start_has_a_token_of_its_own() -> None:
    urls = []
    for _ in range(2):
        async with local_lambda(streaming(prelude())) as local:
            urls.append(local.inspector_url.split("/")[3])
    assert urls[0] != urls[1]
    assert min(map(len, urls)) >= 32


# --- the live events -------------------------------------------------------------------------------------------------


async def test_the_events_begin_with_everything_and_go_on_with_what_changes() -> None:
    async with local_lambda(streaming(prelude(statusCode=201), b"hello")) as local:
        await local.request("GET", "/first?x=1")
        await concluded(local)
        token = local.inspector_url.split("/")[3]
        client = await RawClient.connect(local.inspector_port)
        await client.send(head("GET", f"/{token}/events", {}))
        assert (await client.head()).header("content-type") == "text/event-stream"
        name, hello = await next_event(client)
        assert name == "hello"
        [first] = hello["records"]
        assert (first["id"], first["target"], first["status"], first["bytes"]) == (1, "/first?x=1", 201, 5)
        assert (first["cold"], first["ended"], first["environment"]) == (True, True, 1)
        assert first["billedMs"] > 0
        assert hello["environments"][0]["state"] == "idle"
        await local.request("GET", "/second")
        seen: dict[str, Any] = {}
        while seen.get("ended") is not True:
            name, data = await next_event(client)
            if name == "record":
                seen = data
        assert (seen["id"], seen["target"], seen["cold"]) == (2, "/second", False)
        local.ring.clear()
        while name != "cleared":
            name, _ = await next_event(client)
        await client.close()


async def test_no_secret_is_in_the_events_or_in_a_detail_until_it_is_asked_for() -> None:
    async with local_lambda(each(echo_secrets), secret_values=["env-secret-5"]) as local:
        await local.request("POST", "/?access_token=a-very-secret-token&page=2", b"posted", SECRETS)
        await concluded(local)
        token = local.inspector_url.split("/")[3]
        client = await RawClient.connect(local.inspector_port)
        await client.send(head("GET", f"/{token}/events", {}))
        await client.head()
        hello = await client.chunk()
        await client.close()
        shown = await local.inspect("records/1")
        for text in (hello.decode(), shown.body.decode(), json.dumps(decoded_bodies(shown.json()))):
            assert [secret for secret in FORBIDDEN if secret in text] == []
        assert "page=2" in shown.json()["target"]
        assert ["x-api-key", "••••"] in [
            [name.lower(), value] for name, value in shown.json()["clientRequest"]["headers"]
        ]
        revealed = await detail(local, query="?unmask=1")
        text = json.dumps([revealed, decoded_bodies(revealed)])
        assert [secret for secret in FORBIDDEN if secret not in text] == []


def decoded_bodies(shown: Any) -> str:
    from base64 import b64decode

    return b64decode(shown["response"]["bodyBase64"]).decode()


async def test_a_detail_has_the_request_of_the_client_and_that_of_the_app() -> None:
    async with local_lambda(streaming(prelude(headers={"x-a": "1"}), b"one", b"two")) as local:
        await local.request("PUT", "/a%2Fb?x=1", b"\xff\x00", {"X-Twice": "1", "Content-Type": "image/png"})
        await concluded(local)
        shown = await detail(local)
        request, app = shown["clientRequest"], shown["appRequest"]
        assert (request["method"], request["target"], request["bodyBase64"]) == ("PUT", "/a%2Fb?x=1", "/wA=")
        assert (app["method"], app["target"], app["bodyBytes"]) == ("PUT", "/a%2Fb?x=1", 2)
        assert "x-amzn-lambda-context" in {name.lower() for name, _ in app["headers"]}
        assert shown["event"]["rawPath"] == "/a%2Fb"
        assert shown["response"]["prelude"]["statusCode"] == 200
        assert (shown["response"]["bodyBytes"], decoded_bodies(shown)) == (6, "onetwo")
        assert shown["pieces"][-1][1:] == [6, 6]
        assert [phase["name"] for phase in shown["phases"]] == ["queued", "init", "app", "prelude", "stream", "end"]
        assert shown["report"]["memoryMb"] == 1024
        assert shown["cloudwatch"].startswith("START RequestId")
        bare = await detail(local, query="?bodies=0")
        assert (bare["event"], bare["response"]["bodyBase64"]) == (None, None)


async def test_bodies_can_be_left_out() -> None:
    async with local_lambda(streaming(prelude(), b"private"), inspector_bodies="none") as local:
        await local.request("POST", "/", b"posted-too")
        answer = await local.inspect("records/1")
        assert answer.json()["event"] is None
        assert answer.json()["response"]["bodyBytes"] == 7
        assert b"posted-too" not in answer.body
        assert not local.ring.find(1).body  # type: ignore[union-attr]
